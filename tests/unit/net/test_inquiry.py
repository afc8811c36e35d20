"""A task that waits for its body: exactly one of two threads runs, and nothing waits for ever."""

import io
import threading
from collections.abc import Callable
from typing import BinaryIO, cast

import pytest

from waitressd.http.errors import ClientDisconnected, UploadAborted
from waitressd.net.inquiry import AwaitedBody, Inquiry, inquiry_limit


class Ends:
    """Counts the ends of inquiries, and waits for their threads."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1

    def check(self) -> None:
        """Each inquiry ends once, and so does its thread."""
        for thread in threading.enumerate():
            if thread.name == "waitressd-inquiry":
                thread.join(10)
        assert self.count == 1


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_a_task_that_does_not_read_is_done_at_once(ends: Ends) -> None:
    seen: list[str] = []
    inquiry = Inquiry(lambda body: seen.append(threading.current_thread().name), ends)
    inquiry.resume(None)
    assert (seen, inquiry.is_waiting) == (["waitressd-inquiry"], False)
    assert not inquiry.give_up()
    ends.check()


@pytest.mark.parametrize(
    ("use", "wanted"),
    [
        (lambda body: body.read(), b"one\ntwo"),
        (lambda body: body.read(2), b"on"),
        (lambda body: body.readline(), b"one\n"),
        (lambda body: body.readlines(), [b"one\n", b"two"]),
        (lambda body: (next(body), next(body)), (b"one\n", b"two")),
        (list, [b"one\n", b"two"]),
        (lambda body: (body.seek(4), body.tell(), body.read()), (4, 4, b"two")),
        (lambda body: (body.read(0), body.read(), body.read()), (b"", b"one\ntwo", b"")),
    ],
)
def test_any_use_of_the_body_waits_for_it(ends: Ends, use: Callable[[BinaryIO], object], wanted: object) -> None:
    seen: list[object] = []
    inquiry = Inquiry(lambda body: seen.append(use(body)), ends)
    inquiry.resume(None)
    assert (seen, inquiry.is_waiting) == ([], True)
    inquiry.resume(io.BytesIO(b"one\ntwo"))
    assert (seen, inquiry.is_waiting) == ([wanted], False)
    assert not inquiry.give_up()
    ends.check()


def test_a_task_whose_body_never_comes_is_told_so_at_every_read(ends: Ends) -> None:
    failures: list[BaseException] = []

    def task(body: BinaryIO) -> None:
        for _ in range(3):
            try:
                body.read()
            except ClientDisconnected as error:
                failures.append(error)

    inquiry = Inquiry(task, ends)
    inquiry.resume(None)
    assert inquiry.give_up()
    inquiry.abandon()
    assert (len(failures), inquiry.is_waiting) == (3, False)
    ends.check()


def test_an_inquiry_that_never_began_ends_when_it_is_given_up(ends: Ends) -> None:
    inquiry = Inquiry(lambda body: None, ends)
    assert not inquiry.give_up()
    ends.check()


def test_a_closed_body_asks_for_nothing(ends: Ends) -> None:
    inquiry = Inquiry(lambda body: None, ends)
    body = AwaitedBody(inquiry)
    body.close()
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read()
    inquiry.give_up()


def test_a_body_that_is_lost_says_so(ends: Ends) -> None:
    seen: list[object] = []

    def task(body: BinaryIO) -> None:
        awaited = cast("AwaitedBody", body)
        seen.append(awaited.is_lost)
        with pytest.raises(UploadAborted) as caught:
            awaited.ask()
        seen.extend([awaited.is_lost, isinstance(caught.value, OSError)])

    inquiry = Inquiry(task, ends)
    inquiry.resume(None)
    assert inquiry.give_up()
    inquiry.abandon()
    assert seen == [False, True, True]
    ends.check()


@pytest.mark.parametrize(("threads", "limit"), [(1, 0), (3, 0), (4, 1), (7, 1), (8, 2), (100, 25)])
def test_how_many_may_wait_at_once(threads: int, limit: int) -> None:
    assert inquiry_limit(threads) == limit


def test_without_a_thread_the_task_begins_when_its_body_is_here(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    seen: list[object] = []
    inquiry = Inquiry(lambda body: seen.append((threading.current_thread().name, body.read())), ends)
    inquiry.resume(None)
    assert inquiry.is_waiting
    inquiry.resume(io.BytesIO(b"here"))
    assert (seen, inquiry.is_waiting) == ([(threading.current_thread().name, b"here")], False)
    assert not inquiry.give_up()
    assert ends.count == 1


def test_without_a_thread_nothing_waits_for_the_end(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    inquiry = Inquiry(lambda body: None, ends)
    inquiry.resume(None)
    assert not inquiry.give_up()
    assert ends.count == 1
