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
from waitressd.insight.profile import LONG_AGO, Moment, Profiler, Sight, look_through
from waitressd.machine import Machine
from waitressd.net.stacks import REFUSAL, take, take_one

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

    def look(self, threads: str) -> list[Sight]:
        """Look at the thread as if it had a request."""
        assert self._thread.ident is not None
        return [Sight("/reports/{id}", take_one(self._thread.ident).steps)]

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
    ({"seconds": "0"}, "seconds of /profile is a whole number, 1 to 60, not '0'."),
    ({"seconds": "61"}, "seconds of /profile is a whole number, 1 to 60, not '61'."),
    ({"seconds": "nan"}, "seconds of /profile is a whole number, 1 to 60, not 'nan'."),
    ({"rate": "201"}, "rate of /profile is a whole number, 1 to 200, not '201'."),
    ({"rate": "1.5"}, "rate of /profile is a whole number, 1 to 200, not '1.5'."),
    ({"threads": "idle"}, "threads of /profile is one of busy, all, not 'idle'."),
    ({"format": "pprof"}, "format of /profile is one of collapsed, speedscope, not 'pprof'."),
    ({"worker": "2"}, "This is worker 1."),
    ({"second": "5"}, "'second' is no parameter of /profile; it takes seconds, rate, threads, format, worker."),
]


@pytest.mark.parametrize(("parameters", "text"), BAD)
def test_a_bad_question_is_told_what_is_allowed(parameters: dict[str, str], text: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        Profiler(lambda threads: []).answer(Query("GET", "/profile", parameters, ""))
    assert str(caught.value) == text


def test_there_is_one_at_a_time(hanging: Hanging) -> None:
    profiler = Profiler(hanging.look, Clock().machine())
    first = profiler.answer(ask())
    second = profiler.answer(ask())
    assert second.status == 409
    assert json.loads(b"".join(second.body))["error"] == "Another profile is being taken; one at a time."
    assert weights(first).total() == 5_000_000
    assert weights(profiler.answer(ask(seconds=2))).total() == 2_000_000


@pytest.mark.parametrize("pieces", [0, 1, 20])
def test_the_next_one_may_begin_when_the_client_has_left(pieces: int, hanging: Hanging) -> None:
    profiler = Profiler(hanging.look, Clock().machine())
    body: Any = profiler.answer(ask()).body
    for _ in range(pieces):
        assert next(body) == b""
    body.close()
    assert profiler.answer(ask()).status == 200


def test_a_client_that_leaves_is_noticed_ten_times_a_second(hanging: Hanging) -> None:
    for rate in (1, 100, 200):
        clock = Clock()
        body = Profiler(hanging.look, clock.machine()).answer(ask(rate=rate)).body
        gaps = [later - earlier for earlier, later in pairwise(clock.now for piece in body if not piece)]
        assert 0.09 < min(gaps) <= max(gaps) < 0.21


def test_a_request_that_hangs_has_all_the_time(hanging: Hanging) -> None:
    found = weights(Profiler(hanging.look, Clock().machine()).answer(ask(seconds=2, rate=50)))
    ((stack, weight),) = [(stack, weight) for stack, weight in found.items() if weight]
    frames = stack.split(";")
    assert (frames[0], weight) == ("/reports/{id}", 2_000_000)
    assert re.fullmatch(r"tests\.unit\.insight\.test_profile:Hanging\.totals:\d+", frames[1])  # no frame of threading
    assert "(100 samples in 2.000 s)" in found


def test_fewer_samples_weigh_more(hanging: Hanging) -> None:
    clock = Clock(late=0.3)  # as where something holds the interpreter lock
    found = weights(Profiler(hanging.look, clock.machine()).answer(ask(seconds=3)))
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
        answer = Profiler(look_through(lambda: server.lanes)).answer(ask(seconds=1, format=form))
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
        hanging = [int(weight) for stack, _, weight in rows if re.match(r"/hang;.*:Application\.totals:", stack)]
        assert sum(hanging) > 1_900_000
        assert admin.get("/profile?seconds=0").status == 400


def test_all_threads_are_those_without_a_request_as_well() -> None:
    with hung(1) as server, Hanging():
        profiler = Profiler(look_through(lambda: server.lanes))
        found = {threads: weights(profiler.answer(ask(seconds=1, threads=threads))) for threads in ("busy", "all")}
    roots = {
        threads: Counter({stack.partition(";")[0]: weight for stack, weight in stacks.items() if weight})
        for threads, stacks in found.items()
    }
    assert roots["busy"].keys() == {"/hang"}
    assert {"/hang", "thread a thread of somebody", "thread server under test"} <= roots["all"].keys()
    # The one that looks is not among them.
    assert not any("test_all_threads" in stack for stack in found["all"])
