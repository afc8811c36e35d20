"""Blocks that come fast: the kernel has each, and none waits for the application."""

import contextlib
import fcntl
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.heldwire import HeldWire
from tests.support.waiting import wait_until
from waitressd.http.response import build_head
from waitressd.net.bursts import BURST_BLOCKS, BURST_SECONDS, LATE_SECONDS, QUIET_PUSHES, Burst, Bursts

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


def ring_nobody() -> None:
    """Where nobody watches."""


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


def begin(bursts: Bursts, sock: socket.socket) -> Burst:
    burst = bursts.begin(sock, HEAD)
    assert burst is not None
    return burst


def fill(burst: Burst, server: socket.socket, client: socket.socket) -> None:
    """Send as many blocks as make a burst; each is at the client before the next one, and acknowledged."""
    for number in range(BURST_BLOCKS):
        block = b"block %d" % number
        assert burst.send(block) == len(block)
        assert client.recv(100) == block
    assert wait_until(lambda: not queued(server, UNACKNOWLEDGED))


@linux
def test_a_block_that_is_held_is_with_the_kernel_and_leaves_with_a_push() -> None:
    bursts = Bursts(Time())
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        for _ in range(2):
            burst.send(b"held")
            assert queued(server, UNSENT) == 4
            assert bursts.push(ring_nobody)
            assert queued(server, UNSENT) == 0
            assert client.recv(100) == b"held"
            assert wait_until(lambda: not queued(server, UNACKNOWLEDGED))


@linux
def test_blocks_that_are_held_leave_together_and_in_order() -> None:
    bursts = Bursts(Time())
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        for number in range(10):
            burst.send(b"%d" % number)
        burst.end()
        assert client.recv(100) == b"0123456789"


@linux
@pytest.mark.parametrize("seconds", [BURST_SECONDS * 1.01, 1.0])
def test_a_block_that_comes_later_is_not_held_and_takes_the_others_along(seconds: float) -> None:
    clock = Time()
    bursts = Bursts(clock)
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        burst.send(b"held ")
        clock.now += seconds
        burst.send(b"late")
        assert queued(server, UNSENT) == 0
        assert client.recv(100) == b"held late"


@linux
def test_the_end_of_a_stream_holds_nothing() -> None:
    bursts = Bursts(Time())
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        burst.send(b"last")
        assert queued(server, UNSENT) == 4
        burst.end()
        assert queued(server, UNSENT) == 0
        assert bursts.push(ring_nobody)  # it is still in the list, and nothing is left to do


@linux
def test_a_stream_for_which_a_push_was_late_holds_nothing_any_more() -> None:
    clock = Time()
    bursts = Bursts(clock)
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        burst.send(b"held")
        clock.now += LATE_SECONDS * 1.01
        bursts.push(ring_nobody)
        assert client.recv(100) == b"held"
        for _ in range(2 * BURST_BLOCKS):
            burst.send(b"sent")
            assert queued(server, UNSENT) == 0
            assert client.recv(100) == b"sent"


@linux
def test_what_has_no_burst_is_sent_as_ever() -> None:
    bursts = Bursts(Time())
    events = build_head("200 OK", [("Content-Type", "text/event-stream; charset=utf-8")])
    one, other = socket.socketpair()
    with one, other, connected() as (server, _):
        assert bursts.begin(one, HEAD) is None
        assert bursts.begin(server, events) is None
        assert bursts.begin(server, None) is None


@linux
def test_a_push_of_a_closed_connection_does_nothing() -> None:
    bursts = Bursts(Time())
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        burst.send(b"held")
        server.close()
        bursts.push(ring_nobody)
        assert client.recv(100) == b"held"
        burst.end()


def test_somebody_is_rung_for_when_nobody_has_pushed_for_a_while() -> None:
    bursts, rings = Bursts(Time()), []
    burst = Burst(bursts, HeldWire(), Time())  # type: ignore[arg-type]  # a wire that counts

    def ring() -> None:
        rings.append(1)

    assert not bursts.push(ring)
    bursts.expect(burst)
    assert rings == [1]
    assert bursts.push(ring)
    for _ in range(QUIET_PUSHES):
        bursts.expect(burst)  # nobody need ring: it comes again by itself
        assert bursts.push(ring)
    for _ in range(QUIET_PUSHES):
        assert bursts.push(ring)
    assert rings == [1]
    assert not bursts.push(ring)
    bursts.expect(burst)
    assert rings == [1, 1]


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
    """One thread sends bursts, another one pushes and sleeps until it is rung for; nothing else pushes here."""
    bursts, bell, over = Bursts(time.monotonic), threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if not bursts.push(bell.set):
                bell.wait()
                bell.clear()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(200):
            wire = HeldWire()
            burst = Burst(bursts, wire, lambda: 0.0)  # type: ignore[arg-type]  # as above
            for _ in range(BURST_BLOCKS + 1 + number % 7):
                burst.send(b"block")
            assert wait_until(wire.is_pushed), f"burst {number}"
    finally:
        over.set()
        bell.set()
        watcher.join()


@linux
def test_a_block_arrives_though_nobody_pushes() -> None:
    """What PEP 3333 demands: nothing but the kernel is needed for it."""
    bursts = Bursts(Time())
    with connected() as (server, client):
        burst = begin(bursts, server)
        fill(burst, server, client)
        for number in range(3):
            burst.send(b"held %d" % number)
            assert client.recv(100) == b"held %d" % number
