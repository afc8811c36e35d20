"""What a process has in hand: noted while it runs, readable from outside, and never two halves of two requests."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest

from waitressd import forks, inhand
from waitressd.inhand import ENTRY_BYTES, Desk, InHand, note_in, noting, read


@dataclass
class Line:
    number: int = 3


@dataclass
class Exchange:
    number: int = 7
    line: Line = field(default_factory=Line)


@dataclass
class Request:
    method: str = "GET"
    target: str = "/a?secret=1"


@pytest.fixture
def memory() -> memoryview:
    return memoryview(bytearray(4 * ENTRY_BYTES))


def seen_while(memory: memoryview, request: Request, desk: Desk | None = None) -> list[InHand]:
    """What can be read while a request runs."""
    found: list[InHand] = []

    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        found.extend(read(memory))

    (desk or Desk(memory)).noting(handler)(request, None, Exchange())
    return found


def test_a_request_is_there_while_it_runs_and_gone_afterwards(memory: memoryview) -> None:
    before = monotonic()
    (found,) = seen_while(memory, Request())
    assert before <= found.since <= monotonic()
    assert (found.connection, found.number, found.thread) == (3, 7, threading.get_ident())
    assert (found.method, found.target) == ("GET", "/a?secret=1")
    assert read(memory) == []


def test_one_that_ends_with_an_error_is_gone_too(memory: memoryview) -> None:
    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Desk(memory).noting(handler)(Request(), None, Exchange())
    assert read(memory) == []


def test_in_a_line_there_is_no_query_and_no_end(memory: memoryview) -> None:
    (found,) = seen_while(memory, Request(target="/" + "a" * 150 + "?secret=1"))
    assert found.describe() == "GET /" + "a" * 119


def test_what_is_too_long_is_cut_and_looks_like_it(memory: memoryview) -> None:
    (found,) = seen_while(memory, Request(target="/" + "a" * 5000))
    assert found.target.startswith("/aaaa")
    assert found.target.endswith("a\N{HORIZONTAL ELLIPSIS}")
    assert len(found.target) < ENTRY_BYTES
    (next_one,) = seen_while(memory, Request(target="/b"))
    assert next_one.target == "/b"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/caf\xc3\xa9", "/caf\xe9"),  # octets of UTF-8, as a client sends them
        ("/caf\xe9", r"/caf\xe9"),
        ("/\x1b[31m\r\nX: y\x00", r"/\x1b[31m\r\nX: y"),
        ("/\xe2\x80\xae", r"/\u202e"),  # would turn the direction of what follows
        ("/\u20ac", "/?"),  # never sent: the text of a target is octets
    ],
)
def test_what_is_shown_is_printable(memory: memoryview, target: str, shown: str) -> None:
    (found,) = seen_while(memory, Request(target=target))
    assert found.target == shown


def test_each_thread_has_an_entry_and_the_oldest_comes_first(memory: memoryview) -> None:
    desk, begun, go = Desk(memory), threading.Semaphore(0), threading.Event()

    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        begun.release()
        go.wait()

    threads = []
    for number in range(3):
        args = (Request(target=f"/{number}"), None, Exchange(number))
        threads.append(threading.Thread(target=desk.noting(handler), args=args))
        threads[-1].start()
        begun.acquire()
    found = read(memory)
    times = desk.begun()
    go.set()
    for thread in threads:
        thread.join()
    assert [each.target for each in found] == ["/0", "/1", "/2"]
    assert [each.thread for each in found] == [thread.ident for thread in threads]
    assert sorted(times) == [each.since for each in found]
    assert desk.begun() == []
    assert read(memory) == []


def test_the_entry_of_a_thread_that_has_ended_is_the_next_ones(memory: memoryview) -> None:
    desk = Desk(memory)
    for number in range(20):
        found: list[InHand] = []
        thread = threading.Thread(
            target=lambda n=number, found=found: found.extend(seen_while(memory, Request(target=f"/{n}"), desk))
        )
        thread.start()
        thread.join()
        assert [each.target for each in found] == [f"/{number}"]


def test_threads_beyond_the_memory_run_all_the_same() -> None:
    memory = memoryview(bytearray(ENTRY_BYTES + 10))
    desk, ran = Desk(memory), threading.Event()

    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        inner = threading.Thread(target=desk.noting(last), args=(Request(target="/b"), None, Exchange()))
        inner.start()
        inner.join()

    def last(_request: Any, _body: Any, _exchange: Any, /) -> None:
        assert [found.target for found in read(memory)] == ["/a"]
        assert len(desk.begun()) == 2
        ran.set()

    desk.noting(handler)(Request(target="/a"), None, Exchange())
    assert ran.is_set()


def test_an_entry_that_changes_while_it_is_read_is_not_shown(
    memory: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, layout = Desk(memory), inhand._LAYOUT

    class Late:
        """The layout, where the next request begins between the two looks at the time."""

        @staticmethod
        def unpack_from(entry: memoryview, start: int) -> tuple[Any, ...]:
            found = layout.unpack_from(entry, start)
            entry[:8].cast("d")[0] += 1.0
            return found

    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(inhand, "_LAYOUT", Late)
            assert read(memory) == []

    desk.noting(handler)(Request(), None, Exchange())


@pytest.fixture
def nobody_notes() -> Iterator[None]:
    yield
    for desk in inhand._desks[:]:
        forks.drop(desk)
    inhand._desks.clear()


@pytest.mark.usefixtures("nobody_notes")
def test_handlers_are_left_alone_where_nobody_notes(memory: memoryview) -> None:
    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        """Do nothing."""

    assert noting(handler) is handler
    note_in(memory)
    assert noting(handler) is not handler


@pytest.mark.usefixtures("nobody_notes")
@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_a_child_of_the_application_writes_nothing_there(memory: memoryview) -> None:
    note_in(memory)
    pid = os.fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGKILL if inhand._desks else signal.SIGTERM)
        signal.pause()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
