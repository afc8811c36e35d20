"""What is put into a mailbox comes out once, whole, and in order; what does not fit stays where it was."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from waitressd.net.handover import Kept
from waitressd.net.mailbox import MESSAGE_BYTES, Mailbox
from waitressd.peer import UNIX, Peer

KEPT = Kept("127.0.0.1:8080", Peer("127.0.0.1", 5), 3, 1.5, 2.5)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with contextlib.closing(Mailbox.create()) as box:
        yield box


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_a_connection_goes_on_under_another_number(box: Mailbox, pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    assert box.is_empty()
    assert box.take() is None
    assert box.put(here, KEPT)
    here.close()
    there.sendall(b"on its way")
    assert not box.is_empty()
    arrival = box.take()
    assert arrival is not None
    sock, kept = arrival
    with sock:
        assert kept == KEPT
        assert sock.family == socket.AF_UNIX
        assert not sock.get_inheritable()
        assert not sock.getblocking()
        assert sock.recv(100) == b"on its way"
        sock.sendall(b"and back")
        assert there.recv(100) == b"and back"
    assert box.is_empty()


def test_both_ends_can_be_passed_to_another_process(box: Mailbox, pair: tuple[socket.socket, socket.socket]) -> None:
    other = Mailbox.from_descriptors(*map(os.dup, box.descriptors))
    with contextlib.closing(other):
        assert box.put(pair[0], KEPT)
        arrival = other.take()
        assert arrival is not None
        arrival[0].close()
        assert box.take() is None


def test_a_full_mailbox_takes_nothing_and_loses_nothing(
    box: Mailbox, pair: tuple[socket.socket, socket.socket]
) -> None:
    count = 0
    while box.put(pair[0], Kept("x", UNIX, count)):
        count += 1
    assert count >= 10
    numbers = []
    while arrival := box.take():
        arrival[0].close()
        numbers.append(arrival[1].answered)
    assert numbers == list(range(count))
    assert box.put(pair[0], KEPT)


def test_what_is_too_long_stays_here(box: Mailbox, pair: tuple[socket.socket, socket.socket]) -> None:
    assert not box.put(pair[0], Kept("x" * MESSAGE_BYTES, UNIX))
    assert box.is_empty()


def test_without_a_descriptor_it_stays_in_the_mailbox(
    box: Mailbox, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.put(pair[0], KEPT)

    def refuse(_fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as kernel:
        kernel.setattr(os, "dup", refuse)  # what the kernel says
        with pytest.raises(OSError, match="Too many"):
            box.take()
    arrival = box.take()
    assert arrival is not None
    arrival[0].close()


@pytest.mark.parametrize("data", [b"", b"\1", b"\1\0{}", b"\1\0[9]", b"\1\0[1,2]", b"\1\0" + b"x" * 100])
def test_nonsense_is_closed_and_the_next_one_taken(
    box: Mailbox, pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    here, there = pair
    inlet = socket.socket(fileno=os.dup(box.descriptors[0]))
    with inlet:
        socket.send_fds(inlet, [data or b"\0"], [here.fileno()])
        inlet.send(b"no descriptor")
    assert box.put(here, KEPT)
    arrival = box.take()
    assert arrival is not None
    arrival[0].close()
    assert box.take() is None
    here.close()
    assert there.recv(1) == b""  # nobody holds it any more
