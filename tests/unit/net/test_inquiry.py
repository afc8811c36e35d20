"""A task that waits for its body: exactly one of two threads runs, and nothing waits for ever."""

import io
import threading
from collections.abc import Callable
from typing import BinaryIO

import pytest

from waitressd.http.errors import ClientDisconnected
from waitressd.net.inquiry import AwaitedBody, Inquiry, inquiry_limit


def wait_for_end(name: str = "waitressd-inquiry") -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)


def test_a_task_that_does_not_read_is_done_at_once() -> None:
    seen: list[str] = []
    inquiry = Inquiry(lambda body: seen.append(threading.current_thread().name))
    inquiry.resume(None)
    assert (seen, inquiry.is_waiting) == (["waitressd-inquiry"], False)
    inquiry.abandon()  # harmless
    wait_for_end()


@pytest.mark.parametrize(
    ("use", "wanted"),
    [
        (lambda body: body.read(), b"one\ntwo"),
        (lambda body: body.read(2), b"on"),
        (lambda body: body.readline(), b"one\n"),
        (lambda body: body.readlines(), [b"one\n", b"two"]),
        (list, [b"one\n", b"two"]),
        (lambda body: (body.seek(4), body.tell(), body.read()), (4, 4, b"two")),
        (lambda body: (body.read(0), body.read(), body.read()), (b"", b"one\ntwo", b"")),
    ],
)
def test_any_use_of_the_body_waits_for_it(use: Callable[[BinaryIO], object], wanted: object) -> None:
    seen: list[object] = []
    inquiry = Inquiry(lambda body: seen.append(use(body)))
    inquiry.resume(None)
    assert (seen, inquiry.is_waiting) == ([], True)
    inquiry.resume(io.BytesIO(b"one\ntwo"))
    assert (seen, inquiry.is_waiting) == ([wanted], False)
    wait_for_end()


def test_a_task_whose_body_never_comes_is_told_so_at_every_read() -> None:
    failures: list[BaseException] = []

    def task(body: BinaryIO) -> None:
        for _ in range(3):
            try:
                body.read()
            except ClientDisconnected as error:
                failures.append(error)

    inquiry = Inquiry(task)
    inquiry.resume(None)
    inquiry.abandon()
    assert (len(failures), inquiry.is_waiting) == (3, False)
    inquiry.abandon()
    wait_for_end()


def test_an_inquiry_that_never_began_can_be_abandoned() -> None:
    inquiry = Inquiry(lambda body: None)
    inquiry.abandon()
    assert not inquiry.is_waiting


def test_a_closed_body_asks_for_nothing() -> None:
    def never() -> BinaryIO:
        raise AssertionError("nobody must wait")

    body = AwaitedBody(never)
    body.close()
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read()


@pytest.mark.parametrize(("threads", "limit"), [(1, 1), (4, 1), (7, 1), (8, 2), (100, 25)])
def test_how_many_may_wait_at_once(threads: int, limit: int) -> None:
    assert inquiry_limit(threads) == limit
