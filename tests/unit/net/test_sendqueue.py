"""How much of what was sent the other side has not taken."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from waitressd.net.sendqueue import unacknowledged_bytes


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_what_was_taken_is_not_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
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
