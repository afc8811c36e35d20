"""Slow answers have threads of their own, few of them, and only as long as there is something to make."""

import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

from tests.support.admin import echo
from tests.support.waiting import wait_until
from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.rendering import Rendering
from waitressd.insight.slowlane import MOST_THREADS, SlowLane

QUERY = Query("GET", "/profile", {}, "")


def lane_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("waitressd-insight-")]


def test_an_answer_comes_and_its_thread_goes() -> None:
    made: SimpleQueue[Rendering] = SimpleQueue()
    lane = SlowLane(made.put)
    rendering = Rendering(QUERY, Endpoint("/profile", "profile", echo, is_slow=True))
    assert lane.take(rendering)
    assert made.get(timeout=10) is rendering
    assert rendering.whole is not None
    assert wait_until(lambda: not lane_threads())
    lane.close()


def test_there_are_few_of_them() -> None:
    gate = threading.Event()

    def hang(query: Query) -> Answer:
        gate.wait(30)
        return echo(query)

    made: SimpleQueue[Rendering] = SimpleQueue()
    lane = SlowLane(made.put)
    endpoint = Endpoint("/profile", "profile", hang, is_slow=True)
    assert all(lane.take(Rendering(QUERY, endpoint)) for _ in range(MOST_THREADS))
    assert not lane.take(Rendering(QUERY, endpoint))
    gate.set()
    for _ in range(MOST_THREADS):
        made.get(timeout=10)
    assert wait_until(lambda: lane.take(Rendering(QUERY, endpoint)))
    made.get(timeout=10)
    assert wait_until(lambda: not lane_threads())


def test_what_goes_on_and_on_ends_with_the_server() -> None:
    def forever(query: Query) -> Answer:
        return Answer(200, "text/plain", iter(lambda: b"", None))

    lane = SlowLane(lambda rendering: None)
    assert lane.take(Rendering(QUERY, Endpoint("/profile", "profile", forever, is_slow=True)))
    lane.close()
    assert wait_until(lambda: not lane_threads())


def test_what_sleeps_most_of_the_time_ends_as_soon() -> None:
    begun, pieces = threading.Event(), list[bool]()
    lane = SlowLane(lambda rendering: None)

    def sampling(query: Query) -> Answer:
        def sample() -> Iterator[bytes]:
            for _ in range(200):
                time.sleep(0.02)  # longer than the lane goes without a look
                pieces.append(lane._ends)
                begun.set()
                yield b""

        return Answer(200, "text/plain", sample())

    assert lane.take(Rendering(QUERY, Endpoint("/profile", "profile", sampling, is_slow=True)))
    assert begun.wait(10)
    lane.close()
    assert wait_until(lambda: not lane_threads())
    assert sum(pieces) <= 1, "the piece that was being made at the end"
