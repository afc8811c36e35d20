"""Blocks that come fast: the kernel has each, and none waits for the application."""

import contextlib
import fcntl
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.heldwire import HeldWire
from tests.support.waiting import wait_until
from waitressd.http.response import build_head
from waitressd.net.bursts import (
    BURST_BLOCKS,
    BURST_SECONDS,
    BUSY_BLOCKS,
    BUSY_LOOKS,
    LATE_SECONDS,
    LOOK_SECONDS,
    PUSH_SECONDS,
    Burst,
    Bursts,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is held")

HEAD = build_head("200 OK", [("Content-Type", "text/csv")])
UNSENT = 0x894B  # SIOCOUTQNSD: bytes that the kernel has, and has not sent yet
UNACKNOWLEDGED = 0x5411  # SIOCOUTQ: the same, and those that the client has not acknowledged


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def queued(sock: socket.socket, what: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(sock, what, b"\0\0\0\0"))[0]
    return count


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.settimeout(5)
        server, _ = listener.accept()
        with server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setblocking(False)
            yield server, client


@dataclass(frozen=True)
class Stream:
    """A stream whose next block is held, and both ends of its connection."""

    clock: Time
    bursts: Bursts
    burst: Burst
    server: socket.socket
    client: socket.socket

    def unsent(self) -> int:
        """Return how many bytes the kernel holds."""
        return queued(self.server, UNSENT)

    def push_later(self) -> None:
        """Push when what is held now has been held for long enough."""
        self.clock.now += PUSH_SECONDS * 1.01
        self.bursts.push()


@contextlib.contextmanager
def streaming() -> Iterator[Stream]:
    """Begin a stream with as many blocks as make a burst; each is at the client before the next one."""
    clock = Time()
    bursts = Bursts(clock)
    bursts.is_watched = True
    with connected() as (server, client):
        burst = bursts.begin(server, HEAD)
        assert burst is not None
        for number in range(BURST_BLOCKS):
            block = b"block %d" % number
            assert burst.send(block) == len(block)
            assert client.recv(100) == block
        assert wait_until(lambda: not queued(server, UNACKNOWLEDGED))
        yield Stream(clock, bursts, burst, server, client)


@linux
def test_a_block_that_is_held_is_with_the_kernel_and_leaves_with_a_push() -> None:
    with streaming() as stream:
        for _ in range(2):
            stream.burst.send(b"held")
            assert stream.bursts.push()
            assert stream.unsent() == 4, "it may be the last one, and end by itself"
            stream.push_later()
            assert stream.unsent() == 0
            assert stream.client.recv(100) == b"held"
            assert wait_until(lambda: not queued(stream.server, UNACKNOWLEDGED))


@linux
def test_blocks_that_are_held_leave_together_and_in_order() -> None:
    with streaming() as stream:
        for number in range(10):
            stream.burst.send(b"%d" % number)
        stream.burst.end()
        assert stream.client.recv(100) == b"0123456789"


@linux
@pytest.mark.parametrize("seconds", [BURST_SECONDS * 1.01, 1.0])
def test_a_block_that_comes_later_is_not_held_and_takes_the_others_along(seconds: float) -> None:
    with streaming() as stream:
        stream.burst.send(b"held ")
        stream.clock.now += seconds
        stream.burst.send(b"late")
        assert stream.unsent() == 0
        assert stream.client.recv(100) == b"held late"


@linux
def test_the_end_of_a_stream_holds_nothing() -> None:
    with streaming() as stream:
        stream.burst.send(b"last")
        assert stream.unsent() == 4
        stream.burst.end()
        assert stream.unsent() == 0
        stream.push_later()  # nothing is left to do


@linux
def test_the_end_pushes_also_while_another_thread_is_about_to() -> None:
    """A reset may follow at once, with which the kernel drops what it has not sent."""
    held_at_the_end: list[int] = []

    class SlowWire(HeldWire):
        """A socket in whose first push the stream ends, as if the watcher were held up there."""

        def setsockopt(self, *option: int) -> None:
            if not held_at_the_end:
                held_at_the_end.append(-1)
                burst.end()
                held_at_the_end.append(self.held)
            super().setsockopt(*option)

    bursts = Bursts(Time())
    bursts.is_watched = True
    burst = Burst(bursts, SlowWire(), Time())  # type: ignore[arg-type]  # a wire that counts
    for _ in range(BURST_BLOCKS + 1):
        burst.send(b"block")
    burst.push(Time().now)
    assert held_at_the_end == [-1, 0]


@linux
def test_a_stream_for_which_a_push_was_late_holds_nothing_any_more() -> None:
    with streaming() as stream:
        stream.burst.send(b"held")
        stream.clock.now += LATE_SECONDS * 1.01
        stream.bursts.push()
        assert stream.client.recv(100) == b"held"
        for _ in range(2 * BURST_BLOCKS):
            stream.burst.send(b"sent")
            assert stream.unsent() == 0
            assert stream.client.recv(100) == b"sent"


@linux
def test_what_has_no_burst_is_sent_as_ever() -> None:
    bursts = Bursts(Time())
    events = build_head("200 OK", [("Content-Type", "Text/Event-Stream; charset=utf-8")])
    one, other = socket.socketpair()
    with one, other, connected() as (server, _):
        assert bursts.begin(one, HEAD) is None
        assert bursts.begin(server, events) is None
        assert bursts.begin(server, None) is None


@linux
def test_a_push_of_a_closed_connection_does_nothing() -> None:
    with streaming() as stream:
        stream.burst.send(b"held")
        stream.server.close()
        stream.push_later()
        assert stream.client.recv(100) == b"held"
        stream.burst.end()


def test_blocks_are_held_only_while_streams_keep_the_server_busy() -> None:
    clock = Time()
    bursts = Bursts(clock)

    def look(share: float) -> bool:
        clock.now += 2 * LOOK_SECONDS
        bursts.fast_blocks = int(share * BUSY_BLOCKS * 2 * LOOK_SECONDS)
        bursts.look()
        return bursts.is_watched

    for _ in range(BUSY_LOOKS - 1):
        assert not look(1.1), "it may be one stream that is over"
    assert look(1.1)
    assert bursts.push(), "it comes again"
    assert look(1.1)
    assert not look(0.9)
    assert not bursts.push()
    assert not look(1.1)


def test_a_look_comes_not_too_soon_after_another() -> None:
    clock = Time()
    bursts = Bursts(clock)
    for _ in range(3 * BUSY_LOOKS):
        clock.now += LOOK_SECONDS / 4
        bursts.fast_blocks = 1000 * BUSY_BLOCKS
        bursts.look()
    assert bursts.fast_blocks
    assert not bursts.is_watched


def test_nothing_is_held_while_nobody_pushes() -> None:
    bursts, wire = Bursts(Time()), HeldWire()
    burst = Burst(bursts, wire, Time())  # type: ignore[arg-type]  # a wire that counts
    for _ in range(2 * BURST_BLOCKS):
        burst.send(b"block")
        assert wire.is_pushed()
    assert bursts.fast_blocks == BURST_BLOCKS
    bursts.is_watched = True
    burst.send(b"block")
    assert not wire.is_pushed()


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns after a few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@linux
@pytest.mark.usefixtures("restless")
def test_no_block_is_forgotten_while_another_thread_pushes() -> None:
    """One thread sends bursts, another one pushes; nothing else pushes here."""
    held_for = (PUSH_SECONDS + LATE_SECONDS) / 2
    bursts, over = Bursts(lambda: 1.0 + held_for), threading.Event()
    bursts.is_watched = True

    def watch() -> None:
        while not over.is_set():
            bursts.push()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(200):
            wire = HeldWire()
            burst = Burst(bursts, wire, lambda: 1.0)  # type: ignore[arg-type]  # as above
            for _ in range(BURST_BLOCKS + 1 + number % 7):
                burst.send(b"block")
            assert wait_until(wire.is_pushed), f"burst {number}"
    finally:
        over.set()
        watcher.join()


@linux
def test_a_block_arrives_though_nobody_pushes() -> None:
    """What PEP 3333 demands: nothing but the kernel is needed for it."""
    with streaming() as stream:
        for number in range(3):
            stream.burst.send(b"held %d" % number)
            assert stream.client.recv(100) == b"held %d" % number
