"""The stacks of a worker, as its master reads them: each once, whole, and with the requests of the threads."""

import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from waitressd.fleet.stackfile import KEPT_BYTES, SETTLED_SECONDS, StackFile, with_requests
from waitressd.inhand import InHand

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fleets here")


@pytest.fixture
def file() -> Iterator[StackFile]:
    file = StackFile()
    yield file
    file.close()


def test_what_was_written_is_read_once_and_not_before_it_is_whole(file: StackFile) -> None:
    assert file.look(10.0) == ""
    assert file.due == float("inf")
    os.write(file.fd, b"Thread 1\n")
    assert file.look(10.0) == ""
    assert file.due == 10.0 + SETTLED_SECONDS
    os.write(file.fd, b"  File\n")
    assert file.look(file.due) == ""  # more has come
    assert file.look(file.due) == "Thread 1\n  File"
    assert file.look(20.0) == ""
    assert file.due == float("inf")


def test_the_end_of_a_worker_shows_what_nobody_has_read(file: StackFile) -> None:
    os.write(file.fd, b"Thread 1\n")
    assert file.close() == "Thread 1"
    assert file.close() == ""
    assert file.look(30.0) == ""


def test_whoever_asks_is_given_what_comes_and_nobody_else(file: StackFile) -> None:
    os.write(file.fd, b"before\n")
    file.look(1.0)
    file.look(2.0)

    def request() -> None:
        os.write(file.fd, b"Thread 1\n")
        assert file.look(3.0) == ""

    assert file.ask(request, 5.0) == "Thread 1"
    assert file.look(9.0) == ""


def test_who_writes_nothing_is_not_waited_for_longer_than_was_said(file: StackFile) -> None:
    assert file.ask(lambda: None, 0.02) == ""
    os.write(file.fd, b"late\n")
    assert file.look(1.0) == ""
    assert file.look(2.0) == "late"


def test_the_end_of_a_worker_ends_the_waiting(file: StackFile) -> None:
    asked = threading.Event()
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(file.ask(asked.set, 600.0)))
    thread.start()
    asked.wait()
    assert file.close() == ""
    thread.join()
    assert answers == [""]
    assert file.ask(lambda: None, 0.01) == ""


def test_the_file_does_not_grow_without_end(file: StackFile) -> None:
    other = os.dup(file.fd)  # as a worker has it
    for _ in range(3):
        os.write(other, b"x" * KEPT_BYTES + b"\n")
        file.look(1.0)
        assert len(file.look(2.0)) == KEPT_BYTES
        assert os.fstat(file.fd).st_size <= KEPT_BYTES
    os.write(other, b"Thread 1")
    file.look(3.0)
    assert file.look(4.0) == "Thread 1"
    os.close(other)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "Thread 0x00000000000000ff (most recent call first):",
            "Thread 0x00000000000000ff [GET /a, 2.5 s] (most recent call first):",
        ),
        (
            "Thread 0x00000000000000ff [waitressd-1] (most recent call first):",
            "Thread 0x00000000000000ff [waitressd-1] [GET /a, 2.5 s] (most recent call first):",
        ),
        (
            "Current thread 0x00000000000000ff (most recent call first):",
            "Current thread 0x00000000000000ff [GET /a, 2.5 s] (most recent call first):",
        ),
        ("Thread 0x00000000000000fe (most recent call first):",) * 2,
        ('  File "Thread 0x00000000000000ff", line 3',) * 2,
    ],
)
def test_each_thread_is_named_with_its_request(line: str, shown: str) -> None:
    request = InHand(10.0, 0xFF, 1, 1, "GET", "/a?secret=1")
    assert with_requests(f"{line}\n  File x", [request], 12.5) == f"{shown}\n  File x"


def test_without_memory_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise OSError(12, "no memory")

    monkeypatch.setattr("waitressd.fleet.stackfile.new_file", refuse)
    making: Callable[[], StackFile] = StackFile
    with pytest.raises(OSError, match="no memory"):
        making()
