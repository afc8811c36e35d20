"""Bytes on their way, with and without what a platform may lack."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platforms import WAYS, lack
from tests.support.waiting import wait_until
from waitressd.net.wire import (
    SEND_PARTS,
    BrokenFileError,
    send_file,
    send_parts,
    unacknowledged_bytes,
    write_at,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    lack(monkeypatch, *WAYS[request.param])
    return str(request.param)


def test_parts_in_their_order(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert send_parts(ours, (b"ab", memoryview(b"cd"), b"", b"e")) == 5
    assert theirs.recv(100) == b"abcde"
    assert send_parts(ours, [b"x"] * (SEND_PARTS + 9)) == SEND_PARTS
    assert theirs.recv(1000) == b"x" * SEND_PARTS


def test_a_stretch_of_a_file(pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = pair
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        with pytest.raises(BrokenFileError, match="ends at offset 6, and 10 bytes more were promised"):
            send_file(ours, file.fileno(), 6, 10)
        assert send_file(ours, file.fileno(), 1, 3) == 3
        assert send_file(ours, file.fileno(), 4, 10) == 2
    assert theirs.recv(10) == b"bcdef"


def test_a_file_that_cannot_be_read_is_not_taken_for_a_client_that_left(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"abc")
        file.flush()
        with pytest.raises(BrokenFileError, match=r"cannot be read at offset 0: .*Bad file descriptor"):
            send_file(pair[0], file.fileno(), 0, 3)
    reading, writing = os.pipe()
    try:
        with pytest.raises(BrokenFileError, match="cannot be read"):
            send_file(pair[0], reading, 0, 3)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_file_that_the_kernel_does_not_send_is_copied(pair: tuple[socket.socket, socket.socket]) -> None:
    with Path("/proc/self/status").open("rb") as file:
        assert send_file(pair[0], file.fileno(), 0, 4) == 4
    assert pair[1].recv(10) == b"Name"


def test_a_client_that_left_is_not_taken_for_a_file(pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    pair[1].close()
    with path.open("rb") as file, pytest.raises(BrokenPipeError):
        send_file(pair[0], file.fileno(), 0, 3)


def test_writing_at_a_position(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w+b", buffering=0) as file:
        assert write_at(file.fileno(), memoryview(b"defg"), 3) == 4
        assert write_at(file.fileno(), memoryview(b"abc"), 0) == 3
    assert path.read_bytes() == b"abcdefg"


@pytest.fixture
def slow_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_what_was_taken_is_not_counted(slow_pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = slow_pair
    assert unacknowledged_bytes(ours) == 0
    sent = ours.send(bytes(1 << 20))
    left = unacknowledged_bytes(ours)
    assert 0 < left <= sent
    received = 0
    while received < sent:
        received += len(theirs.recv(1 << 20))
    assert wait_until(lambda: unacknowledged_bytes(ours) == 0)


def test_a_system_that_does_not_tell_holds_nothing(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:  # a descriptor of which nobody can ask that
        assert unacknowledged_bytes(file) == 0  # type: ignore[arg-type]  # it has a fileno, which is enough
