"""Calls that keep the interpreter move the same bytes and raise the same errors as the methods of the socket."""

import socket
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from tests.unit.test_imports import imported_with
from waitressd.net.held import RECEIVE_BYTES, SEND_BYTES, HeldCalls, HeldSender, open_held_calls
from waitressd.net.wire import WOULD_BLOCK

Pair = tuple[socket.socket, socket.socket]


class Exchange:
    """What a sender needs of one."""

    def __init__(self, wire: object) -> None:
        self.wire = self.out = wire


class Sealed:
    """A wire that is no plain socket."""

    def recv(self, _count: int) -> bytes:
        return b"opened"


@pytest.fixture
def calls() -> HeldCalls:
    found = open_held_calls()
    if found is None:
        pytest.skip("there is no interpreter to keep")
    return found


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(5)
        yield ours, theirs


def lend(calls: HeldCalls, wire: socket.socket) -> tuple[Exchange, HeldSender]:
    exchange = Exchange(wire)
    calls.lend(exchange)
    assert isinstance(exchange.out, HeldSender)
    return exchange, exchange.out


def test_a_server_imports_it_without_ctypes() -> None:
    assert "ctypes" not in imported_with("import waitressd.net.held, waitressd.dispatch.dispatcher")


@pytest.mark.parametrize("count", [1, 3, 4, RECEIVE_BYTES, RECEIVE_BYTES + 1])
def test_what_is_there_is_received_up_to_a_count(calls: HeldCalls, pair: Pair, count: int) -> None:
    ours, theirs = pair
    theirs.sendall(b"abcd")
    assert calls.receive(ours, count) == b"abcd"[:count]
    theirs.close()
    assert calls.receive(ours, RECEIVE_BYTES) == b"abcd"[count:]
    assert calls.receive(ours, count) == b""


def test_what_was_received_stays(calls: HeldCalls, pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"one")
    first = calls.receive(ours, 3)
    theirs.sendall(b"two")
    assert (calls.receive(ours, 3), first) == (b"two", b"one")


def test_no_more_is_received_than_there_is_memory_for(pair: Pair) -> None:
    asked_for = []

    def receive(_wire: socket.socket, _address: int, count: int, _flags: int) -> int:
        asked_for.append(count)
        return 0

    ours, theirs = pair
    theirs.sendall(b"data")
    held = HeldCalls(lambda *_: 0, receive, bytearray(RECEIVE_BYTES), 0)
    assert held.receive(ours, RECEIVE_BYTES + 1) == b"data", "by the socket, which has memory of its own"
    assert held.receive(ours, RECEIVE_BYTES) == b""
    assert asked_for == [RECEIVE_BYTES]


def test_nothing_to_receive_is_said_as_by_the_socket(calls: HeldCalls, pair: Pair) -> None:
    with pytest.raises(WOULD_BLOCK):
        calls.receive(pair[0], 100)


def test_what_is_no_plain_socket_is_used_as_ever(calls: HeldCalls) -> None:
    wire = Sealed()
    assert calls.receive(wire, 100) == b"opened"  # type: ignore[arg-type]  # as little as it needs
    exchange = Exchange(wire)
    calls.lend(exchange)
    assert exchange.out is wire


SENDS: list[Callable[[HeldSender, bytes], int]] = [
    lambda sender, data: sender.send(data),
    lambda sender, data: sender.send(memoryview(data)),
    lambda sender, data: sender.sendmsg([data[:1], memoryview(data)[1:]]),
]


@pytest.mark.parametrize("send", SENDS, ids=["bytes", "view", "parts"])
@pytest.mark.parametrize("count", [1, 20, SEND_BYTES, SEND_BYTES + 1])
def test_the_first_bytes_are_sent_and_the_next_go_to_the_wire(
    calls: HeldCalls, pair: Pair, send: Callable[[HeldSender, bytes], int], count: int
) -> None:
    ours, theirs = pair
    exchange, sender = lend(calls, ours)
    data = bytes(range(256)) * (count // 256 + 1)
    assert send(sender, data[:count]) == count
    assert exchange.out is ours
    received = b""
    while len(received) < count:
        received += theirs.recv(count)
    assert received == data[:count]


@pytest.mark.parametrize("send", SENDS, ids=["bytes", "view", "parts"])
def test_a_kernel_that_is_full_takes_what_it_can_and_then_nothing(
    calls: HeldCalls, pair: Pair, send: Callable[[HeldSender, bytes], int]
) -> None:
    sent = 0
    with pytest.raises(WOULD_BLOCK):
        while True:
            sent += send(lend(calls, pair[0])[1], b"x" * SEND_BYTES)
    assert sent > 0


@pytest.mark.parametrize("send", SENDS, ids=["bytes", "view", "parts"])
def test_a_client_that_is_gone_raises_and_kills_nobody(
    calls: HeldCalls, pair: Pair, send: Callable[[HeldSender, bytes], int]
) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(BrokenPipeError):
        send(lend(calls, ours)[1], b"data")


def test_a_closed_socket_sends_to_nobody_else(calls: HeldCalls, pair: Pair) -> None:
    ours, theirs = pair
    number = ours.fileno()
    sender = lend(calls, ours)[1]
    ours.close()
    with socket.socket() as other:  # which has the number now
        assert other.fileno() == number
        with pytest.raises(OSError, match="Bad file descriptor"):
            sender.send(b"data")
        with pytest.raises(OSError, match="Bad file descriptor"):
            calls.receive(ours, 100)
    assert theirs.recv(100) == b""


def test_each_event_loop_receives_into_memory_of_its_own(calls: HeldCalls) -> None:
    other = open_held_calls()
    assert other is not None
    assert other._address != calls._address


@pytest.mark.parametrize(
    ("name", "value"),
    [("platform", "darwin"), ("implementation", SimpleNamespace(name="pypy")), ("_is_gil_enabled", lambda: False)],
)
def test_where_nothing_is_to_be_kept_there_are_no_calls(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(sys, name, value, raising=False)
    assert open_held_calls() is None


def test_an_interpreter_without_ctypes_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert open_held_calls() is None
