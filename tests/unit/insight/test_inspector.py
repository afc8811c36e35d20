"""Who is in the server, where they hang, since when."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.loop import GET, Loop, answer
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.insight.inspector import Inspector, RequestView, TimeLimit
from waitressd.insight.slices import finish
from waitressd.net.exchange import Exchange
from waitressd.net.recorder import Fault

if TYPE_CHECKING:
    from waitressd.dispatch.lane import Lane

POST = b"POST /upload?key=secret HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


class OneLane:
    """A dispatcher that a test turns by hand, as a lane."""

    def __init__(self, loop: Loop) -> None:
        self.dispatcher = loop.dispatcher
        self.workers = loop.workers

    def busy_workers(self) -> list[Any]:
        return []


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop() as loop:
        yield loop


def inspect(loop: Loop, **options: Any) -> Inspector:
    return Inspector(lambda: [cast("Lane", OneLane(loop))], clock=lambda: loop.time, **options)


def requests(loop: Loop, **options: Any) -> list[RequestView]:
    return finish(inspect(loop, **options).requests())


def test_nobody_is_there(loop: Loop) -> None:
    with loop.connect():
        assert requests(loop) == []
    assert finish(Inspector(list).requests()) == []
    assert len(finish(Inspector(list).standings())) == 0


def test_a_head_that_has_begun(loop: Loop) -> None:
    with loop.connect() as client:
        loop.request(client, b"GET / HT")
        loop.time += 2.5
        (view,) = requests(loop)
    assert (view.phase, view.method, view.target, view.queue_seconds) == ("head", None, None, None)
    assert (view.age_seconds, view.phase_seconds) == (2.5, 2.5)
    assert view.peer == f"127.0.0.1:{view.peer.rpartition(':')[2]}"
    assert (view.client, view.thread, view.place, view.status) == ("127.0.0.1", None, None, None)
    assert not view.stack


def test_a_body_that_comes_in(loop: Loop) -> None:
    with loop.connect() as client:
        loop.request(client, POST[:20])
        loop.time += 1.0
        loop.request(client, POST[20:] + b"123")
        loop.time += 2.0
        (view,) = requests(loop)
        assert (view.phase, view.method, view.target, view.has_query) == ("body", "POST", "/upload", True)
        assert (view.age_seconds, view.phase_seconds) == (3.0, 2.0)
        assert (view.received_bytes, view.expected_bytes) == (3, 10)
        assert requests(loop, shows_query=True)[0].target == "/upload?key=secret"


def test_those_that_wait_for_a_thread_in_their_order(loop: Loop) -> None:
    with loop.connect() as first, loop.connect() as second, loop.busy():
        loop.request(first, GET)
        loop.time += 1.0
        loop.request(second, GET)
        loop.time += 2.0
        views = requests(loop, worker=3)
        loop.role.queue.clear()
    assert [(view.phase, view.age_seconds, view.queue_seconds) for view in views] == [
        ("queued", 3.0, 3.0), ("queued", 2.0, 2.0),
    ]  # fmt: skip
    assert [view.id.partition("-")[0] for view in views] == ["3", "3"]
    assert len({view.id for view in views}) == 2


def test_all_ages_are_those_of_one_moment(loop: Loop) -> None:
    """However long the look takes: who came first is the older one."""
    with loop.connect() as first, loop.connect() as second, loop.busy():
        loop.request(first, GET)
        loop.request(second, GET)

        def clock() -> float:
            loop.time += 5.0
            return loop.time

        views = finish(Inspector(lambda: [cast("Lane", OneLane(loop))], clock=clock).requests())
        loop.role.queue.clear()
    assert [view.age_seconds for view in views] == [5.0, 5.0]


def test_a_request_whose_turn_has_not_come_waits(loop: Loop) -> None:
    """It is complete and read; whoever holds the role runs another one, or hangs."""
    with loop.connect() as client:
        client.send(GET)
        assert loop.dispatcher._turn()
        loop.dispatcher._read_ready(loop.worker)
        loop.time += 4.0
        (view,) = requests(loop)
        loop.settle()
    assert (view.phase, view.age_seconds) == ("queued", 4.0)


def test_an_answer_that_its_client_does_not_take() -> None:
    size = 20 << 20
    with Loop(lambda _request, _body, exchange: answer(exchange, b"x" * size)) as loop, loop.connect() as client:
        loop.request(client, GET)
        loop.time += 5.0
        (view,) = requests(loop)
        assert (view.phase, view.status, view.method) == ("flush", 200, "GET")
        assert view.phase_seconds == 5.0
        assert view.sent_bytes + view.pending_bytes == pytest.approx(size, abs=1000)
        assert view.pending_bytes > 0
        assert not view.client_gone
        (standing,) = finish(inspect(loop).standings())
        connection = inspect(loop).connection(standing, loop.time)
        assert (connection.state, connection.state_seconds, connection.pending_bytes) == (
            "flushing", 5.0, view.pending_bytes,
        )  # fmt: skip


def test_every_state_of_a_connection(loop: Loop) -> None:
    with contextlib.ExitStack() as stack:
        idle, head, body, queued = (stack.enter_context(loop.connect()) for _ in range(4))
        loop.request(idle, GET)
        loop.time += 1.0
        loop.request(head, b"GET / HT")
        loop.request(body, POST + b"1")
        stack.enter_context(loop.busy())
        loop.request(queued, GET)
        loop.time += 2.0
        inspector = inspect(loop)
        found = [inspector.connection(each, loop.time) for each in finish(inspector.standings())]
        loop.role.queue.clear()
    assert [(each.state, each.state_seconds, each.requests, each.method) for each in found] == [
        ("idle", 3.0, 1, None), ("head", 2.0, 1, None), ("body", 2.0, 1, "POST"), ("queued", 2.0, 1, "GET"),
    ]  # fmt: skip
    assert all(each.age_seconds == 3.0 for each in found)
    assert found[0].deadline_seconds == pytest.approx(120 - 3.0)
    assert found[1].deadline_seconds == pytest.approx(20 - 2.0)
    assert len({each.id for each in found}) == 4


def test_a_new_connection_has_brought_nothing(loop: Loop) -> None:
    with loop.connect():
        inspector = inspect(loop)
        (standing,) = finish(inspector.standings())
        found = inspector.connection(standing, loop.time)
    assert (found.state, found.requests, found.received_bytes, found.sent_bytes) == ("idle", 0, 0, 0)


# -- with threads


def service_inspector(service: Service) -> Inspector:
    return Inspector(lambda: [service.lane])


def test_where_those_hang_that_run() -> None:
    with Service(3).run() as service, service.all_hung(3):
        views = finish(service_inspector(service).requests())
        assert len(views) == 3
        line = Service._handle.__code__.co_firstlineno + 4
        for view in views:
            assert (view.phase, view.method, view.target) == ("application", "GET", "/hang")
            assert view.place is not None
            assert view.place.endswith(f"service.py:{line} Service._handle")
            assert view.thread in {"test-0", "test-1", "test-2"}
            assert view.native_id is not None
            assert [frame.function for frame in view.stack.frames][-2:] == ["Event.wait", "Condition.wait"]
            assert 0 <= view.phase_seconds < 30
        assert len({(view.thread, view.native_id, view.id) for view in views}) == 3


def test_the_role_s_lock_is_not_taken() -> None:
    with Service(2).run() as service, service.all_hung(2), service.connect() as waiting:
        waiting.send(GET)
        assert wait_until(lambda: len(service.dispatcher.role.queue) == 1)
        with service.dispatcher.role.lock:
            inspector = service_inspector(service)
            found: list[Any] = []
            thread = threading.Thread(
                target=lambda: found.extend(
                    (finish(inspector.requests()), finish(inspector.standings()), finish(inspector.threads(0)))
                )
            )
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        views, standings, threads = found
        assert sorted(view.phase for view in views) == ["application", "application", "queued"]
        assert sorted(standings.states) == ["queued", "running", "running"]
        assert {"task", "dispatcher"} <= {thread.role for thread in threads}
        service.gate.set()
        assert waiting.receive().status == 200


def test_a_request_that_is_just_taken_or_given_back_is_not_lost() -> None:
    """Its thread waits for the interpreter, perhaps for long, and is not at it yet or no more."""
    with Loop() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        (exchange,) = loop.exchanges
        loop.role.queue.clear()
        exchange.begin()  # taken out of the queue by a worker that has not woken up
        loop.time += 1.0
        (view,) = requests(loop)
        assert (view.phase, view.age_seconds, view.thread, view.place) == ("application", 1.0, None, None)
        exchange.note(loop.time, loop.time + 1.0)  # it has run
        loop.time += 3.0
        (view,) = requests(loop)
        assert (view.phase, view.phase_seconds, view.queue_seconds) == ("flush", 2.0, 1.0)
        exchange.break_off(Fault.CLIENT)


def test_what_others_know_of_a_request_is_shown_with_it() -> None:
    class Seen:
        place = ""
        since = 0.0

    with Service(1).run() as service, service.all_hung(1):
        inspector = service_inspector(service)
        (view,) = finish(inspector.requests())
        assert (view.unchanged_seconds, view.limit_seconds, view.overdue, view.answered_status) == (
            None, None, False, None,
        )  # fmt: skip
        seen = Seen()
        seen.place, seen.since = view.place or "", time.monotonic() - 40
        inspector.seen = lambda _exchange: seen
        inspector.time_limit = lambda _exchange: TimeLimit(5.0, overdue=True, answered_status=504)
        (view,) = finish(inspector.requests())
        assert view.unchanged_seconds == pytest.approx(40, abs=5)
        assert (view.limit_seconds, view.overdue, view.answered_status) == (5.0, True, 504)
        seen.place = "elsewhere.py:1 f"
        assert finish(inspector.requests())[0].unchanged_seconds == 0.0


class Saying(Service):
    """Its requests say something in their environ."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(1)
        self.said = said

    def _handle(self, request: Any, body: Any, exchange: Exchange) -> None:
        exchange.environ = self.said
        super()._handle(request, body, exchange)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"waitressd.route": "/users/{id}", "REMOTE_ADDR": "10.0.0.7", "waitressd.request_id": "abc"},
            ("/users/{id}", "10.0.0.7", "abc"),
        ),
        ({"waitressd.route": "x" * 201, "REMOTE_ADDR": None, "waitressd.request_id": 5}, (None, "127.0.0.1", None)),
        ({"waitressd.route": "", "REMOTE_ADDR": ""}, (None, "127.0.0.1", None)),
        ({"waitressd.route": "/\udc80<script>"}, ("/\\udc80<script>", "127.0.0.1", None)),
        ({"waitressd.route": b"/bytes"}, (None, "127.0.0.1", None)),
    ],
)
def test_what_the_application_says_of_a_request(said: dict[str, Any], expected: tuple[Any, ...]) -> None:
    with Saying(said).run() as service, service.all_hung(1):
        (view,) = finish(service_inspector(service).requests())
        assert (view.route, view.client, view.request_id) == expected


def test_a_share_of_the_processor_is_known_at_the_first_question_of_what_hangs_for_long() -> None:
    with Service(1).run() as service, service.all_hung(1):
        inspector = service_inspector(service)
        inspector.on_tick(time.monotonic() + 10)  # the tick of the thread that watches
        assert wait_until(lambda: finish(inspector.requests())[0].cpu_share is not None)
        assert finish(inspector.requests())[0].cpu_share == pytest.approx(0.0, abs=0.2)
