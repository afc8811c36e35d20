"""Profiles: what requests do, sampled for a few seconds."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final

import pytest

from tests.support.client import Client, Response
from tests.support.servers import running_server
from tests.support.waiting import wait_until
from waitressd.insight.answers import Answer, BadQuestion, Query
from waitressd.insight.profile import Moment, Profiler, Work, read_question, requests_of
from waitressd.machine import Machine
from waitressd.net.stacks import REFUSAL, take

LONG_AGO: Final = -1e9

pytestmark = pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL or "stacks are shown")


def ask(**parameters: object) -> Query:
    return Query("GET", "/profile", {name: str(value) for name, value in parameters.items()}, "")


def weights(answer: Answer) -> Counter[str]:
    """Read a collapsed answer to its end."""
    assert answer.status == 200
    found: Counter[str] = Counter()
    for line in b"".join(answer.body).decode().splitlines():
        stack, _, weight = line.rpartition(" ")
        found[stack] += int(weight)
    return found


class Clock:
    """A clock that moves when somebody sleeps; every sleep takes longer than it should by `late` seconds."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 100.0
        self._late = late

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self._late

    def machine(self) -> Machine:
        return Machine(monotonic=lambda: self.now, sleep=self.sleep)


class Hanging:
    """A thread that hangs in a function of a known name until the test lets it go."""

    def __init__(self) -> None:
        self.entered, self._left = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.totals, name="a thread; of\nsomebody", daemon=True)

    def totals(self) -> None:
        self.entered.set()
        self._left.wait(30)

    def work(self, label: str = "/reports/{id}", since: float = LONG_AGO) -> Work:
        assert self._thread.ident is not None
        return Work(self._thread.ident, label, since, self)

    def __enter__(self) -> "Hanging":
        self._thread.start()
        assert self.entered.wait(30)
        return self

    def __exit__(self, *_error: object) -> None:
        self._left.set()
        self._thread.join(30)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    with Hanging() as hanging:
        yield hanging


BAD: Final = [
    ({"seconds": "0.9"}, "seconds is a number from 1 to 60"),
    ({"seconds": "61"}, "seconds is a number from 1 to 60"),
    ({"seconds": "nan"}, "seconds is a number from 1 to 60"),
    ({"seconds": ""}, "seconds is a number from 1 to 60"),
    ({"rate": "201"}, "rate is a whole number of samples a second, from 1 to 200"),
    ({"rate": "0"}, "rate is a whole number of samples a second, from 1 to 200"),
    ({"rate": "1.5"}, "rate is a whole number of samples a second, from 1 to 200"),
    ({"rate": "many"}, "rate is a whole number of samples a second, from 1 to 200"),
    ({"threads": "idle"}, "threads is busy or all"),
    ({"format": "pprof"}, "format is collapsed or speedscope"),
    ({"second": "5"}, "unknown parameter second; there are format, rate, seconds, threads, worker"),
    ({"worker": "2"}, "this is worker 1"),
]


@pytest.mark.parametrize(("parameters", "text"), BAD)
def test_a_bad_question_is_told_what_is_allowed(parameters: dict[str, str], text: str) -> None:
    with pytest.raises(BadQuestion, match=re.escape(text)):
        read_question(Query("GET", "/profile", parameters, ""))
    with pytest.raises(BadQuestion):
        Profiler(list).answer(Query("GET", "/profile", parameters, ""))


def test_there_is_one_at_a_time(hanging: Hanging) -> None:
    profiler = Profiler(lambda: [hanging.work()], Clock().machine())
    first = profiler.answer(ask())
    second = profiler.answer(ask())
    assert (second.status, json.loads(b"".join(second.body))) == (
        409,
        {"error": "another profile is being taken; one at a time"},
    )
    assert weights(first).total() == 5_000_000
    assert weights(profiler.answer(ask(seconds=2))).total() == 2_000_000


@pytest.mark.parametrize("pieces", [0, 1, 20])
def test_the_next_one_may_begin_when_the_client_has_left(pieces: int, hanging: Hanging) -> None:
    profiler = Profiler(lambda: [hanging.work()], Clock().machine())
    body: Any = profiler.answer(ask()).body
    for _ in range(pieces):
        assert next(body) == b""
    body.close()
    assert profiler.answer(ask()).status == 200


def test_a_client_that_leaves_is_noticed_ten_times_a_second(hanging: Hanging) -> None:
    for rate in (1, 100, 200):
        clock = Clock()
        body = Profiler(lambda: [hanging.work()], clock.machine()).answer(ask(rate=rate)).body
        gaps = [later - earlier for earlier, later in pairwise(clock.now for piece in body if not piece)]
        assert 0.09 < min(gaps) <= max(gaps) < 0.21


def test_a_request_that_hangs_has_all_the_time(hanging: Hanging) -> None:
    found = weights(Profiler(lambda: [hanging.work()], Clock().machine()).answer(ask(seconds=2, rate=50)))
    ((stack, weight),) = [(stack, weight) for stack, weight in found.items() if weight]
    frames = stack.split(";")
    assert (frames[0], weight) == ("/reports/{id}", 2_000_000)
    assert re.fullmatch(r"tests\.unit\.insight\.test_profile:Hanging\.totals:\d+", frames[1])  # no frame of threading
    assert "(100 samples in 2.000 s)" in found


def test_fewer_samples_weigh_more(hanging: Hanging) -> None:
    clock = Clock(late=0.3)  # as where something holds the interpreter lock
    found = weights(Profiler(lambda: [hanging.work()], clock.machine()).answer(ask(seconds=3)))
    (summary,) = [re.fullmatch(r"\((\d+) samples in (\S+) s\)", stack) for stack in found if stack.startswith("(")]
    assert summary is not None
    assert int(summary[1]) < 15
    assert found.total() == round(float(summary[2]) * 1e6)
    assert float(summary[2]) < 3.5


def test_what_has_begun_in_a_gap_was_not_there_all_the_time() -> None:
    assert Moment(now=10.0, gap=0.01, interval=0.01).weight(since=LONG_AGO) == 0.01
    assert Moment(now=10.0, gap=0.01, interval=0.01).weight(since=9.999) == 0.01  # one of many that are not seen
    assert Moment(now=10.0, gap=0.5, interval=0.01).weight(since=LONG_AGO) == 0.5
    assert Moment(now=10.0, gap=0.5, interval=0.01).weight(since=9.75) == 0.25
    assert Moment(now=10.0, gap=0.5, interval=0.01).weight(since=9.999) == 0.01


def test_a_stack_is_never_taken_for_that_of_another_request(hanging: Hanging) -> None:
    def look() -> list[Work]:
        return [hanging.work()._replace(what=object())]  # each time another one

    assert weights(Profiler(look, Clock().machine()).answer(ask())).total() == 0


def test_a_route_that_becomes_known_meanwhile_counts(hanging: Hanging) -> None:
    labels = iter(["(no route)", "/late"] * 10_000)
    found = weights(Profiler(lambda: [hanging.work(next(labels))], Clock().machine()).answer(ask()))
    assert {stack.partition(";")[0] for stack, weight in found.items() if weight} == {"/late"}


def test_all_threads_are_those_without_a_request_as_well(hanging: Hanging) -> None:
    with Hanging() as other:
        profiler = Profiler(lambda: [hanging.work()], Clock().machine())
        found = weights(profiler.answer(ask(threads="all")))
        roots = Counter({stack.partition(";")[0]: weight for stack, weight in found.items() if weight})
        assert roots["/reports/{id}"] == roots["thread a thread of somebody"] == 5_000_000
        assert not any("test_all_threads" in stack for stack in found)  # the one that looks is not among them
        assert other.entered.is_set()
        assert "thread a thread of somebody" not in weights(profiler.answer(ask()))


class Application:
    """Hangs in `totals` until the test lets it go."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.left = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["waitressd.route"] = "/hang"
        self.totals()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def totals(self) -> None:
        self.inside.release()
        assert self.left.wait(30)


@contextmanager
def hung(count: int, **settings: Any) -> Iterator[Any]:
    """Serve, with so many requests that hang."""
    application = Application()
    with running_server(application, threads=count, **settings) as running:
        clients = [running.connect() for _ in range(count)]
        try:
            for client in clients:
                client.send(b"GET /hang/17 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert application.inside.acquire(timeout=30)
            yield running.server
        finally:
            application.left.set()
            for client in clients:
                assert client.receive().status == 200
                client.close()


@pytest.mark.parametrize("form", ["collapsed", "speedscope"])
def test_a_server_that_hangs_shows_where(form: str) -> None:
    with hung(4) as server:
        answer = Profiler(lambda: requests_of(server._running.lanes)).answer(ask(seconds=1, format=form))
        text = b"".join(answer.body).decode()
    if form == "collapsed":
        assert answer.content_type == "text/plain; charset=utf-8"
        rows = [row.rpartition(" ") for row in text.splitlines()]
        found = [(stack, int(weight) / 1e6) for stack, _, weight in rows]
    else:
        assert answer.content_type == "application/json"
        assert dict(answer.fields)["Content-Disposition"].endswith('.speedscope.json"')
        file = json.loads(text)
        names = [frame["name"] for frame in file["shared"]["frames"]]
        (profile,) = file["profiles"]
        stacks = [";".join(names[number] for number in stack) + ";" for stack in profile["samples"]]
        found = list(zip(stacks, profile["weights"], strict=True))
    total = sum(weight for _, weight in found)
    assert 3.9 < total < 20  # a second, or the little more that a busy machine takes, of each of the four threads
    assert sum(weight for stack, weight in found if re.search(":Application.totals[:;]", stack)) >= 0.95 * total


def test_it_is_asked_at_the_admin_address() -> None:
    with hung(2, admin_listen="127.0.0.1:0") as server, Client(server.admin_addresses[0]) as admin:
        with Client(server.admin_addresses[0]) as first:
            first.send(b"GET /profile?seconds=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert wait_until(lambda: any(stack.passes(Profiler._sample.__code__) for stack in take().values()))
            assert admin.get("/profile?seconds=60").status == 409
        # It has left. The next one need not wait for the rest of the minute.
        found: list[Response] = []

        def has_one() -> bool:
            found.append(admin.get("/profile?seconds=1"))
            return found[-1].status == 200

        assert wait_until(has_one)
        answer = found[-1]
        rows = [row.rpartition(" ") for row in answer.body.decode().splitlines()]
        assert sum(int(weight) for stack, _, weight in rows if ":Application.totals:" in stack) > 1_900_000
        assert admin.get("/profile?seconds=0").status == 400
