"""Sending and receiving without giving up the interpreter, for a server whose threads fight for it.

A method of a socket lets other threads run Python meanwhile. Beside an application that computes this is right. Where
many tasks block and come back all the time, a thread that gives the interpreter up for the ten microseconds of a send
gets it back only after another one, which runs on another processor with everything to fetch anew; and one that reads
for all others lets them run dry. With tasks of a millisecond in 16 threads, each request took seven switches
of threads and takes three; together with the rest of the reserve (`dispatch/passing.py`) it costs a third less.

So this calls the same functions of the C library by `ctypes.PyDLL`, which keeps the interpreter. They never wait
(MSG_DONTWAIT) and move little at once. Whatever goes wrong is left to the method of the socket, which says it as ever.

A closed descriptor's number may belong to somebody else a moment later. So the number is asked of the socket inside the
call: nothing else runs between question and use.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from waitressd.net.wire import Wire

SEND_BYTES: Final = 16 * 1024  # more than that is sent while others run
RECEIVE_BYTES: Final = 128 * 1024  # the same of one read: a little more than what is asked for between requests

# Both exist wherever these calls are made.
_SEND_FLAGS: Final[int] = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_NOSIGNAL", 0)
_RECEIVE_FLAGS: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)


class HeldCalls:
    """The calls for one event loop. `open_held_calls` makes them where there is an interpreter to keep."""

    def __init__(self, send: Callable[..., int], receive: Callable[..., int], area: bytearray, address: int) -> None:
        self._send = send
        self._receive = receive
        self._area = memoryview(area)  # of the holder alone
        self._address = address

    def receive(self, wire: "Wire", count: int) -> bytes:
        """Receive as `Wire.recv` does. Holder of the role. Raises OSError as that does."""
        if count > RECEIVE_BYTES or type(wire) is not socket.socket:
            return wire.recv(count)
        received = self._receive(wire, self._address, count, _RECEIVE_FLAGS)
        return bytes(self._area[:received]) if received >= 0 else wire.recv(count)

    def send(self, wire: "Wire", data: bytes) -> int:
        """Send a few bytes by a plain socket, as `Wire.send` does. Any thread. Raises OSError as that does."""
        sent = self._send(wire, data, len(data), _SEND_FLAGS)
        return sent if sent >= 0 else wire.send(data)

    def lend(self, exchange: Any) -> None:  # noqa: ANN401 - an Exchange, whose module needs this one
        """Have the first bytes of a response sent in this way: most have no others. The thread of its task."""
        if exchange.out is exchange.wire and type(exchange.wire) is socket.socket:
            exchange.out = HeldSender(self, exchange)


class HeldSender:
    """What the first bytes of a response pass; those that follow go to the wire, so that others have their turn."""

    __slots__ = ("_calls", "_exchange")

    def __init__(self, calls: HeldCalls, exchange: Any) -> None:  # noqa: ANN401 - as in `lend`
        self._calls = calls
        self._exchange = exchange

    def send(self, data: bytes | memoryview, /) -> int:
        """Send as the wire does."""
        exchange = self._exchange
        exchange.out = wire = exchange.wire
        if type(data) is bytes and len(data) <= SEND_BYTES:
            return self._calls.send(wire, data)
        sent: int = wire.send(data)
        return sent

    def sendmsg(self, parts: Sequence[bytes | memoryview], /) -> int:
        """Send several pieces as the wire does."""
        exchange = self._exchange
        exchange.out = wire = exchange.wire
        if sum(map(len, parts)) <= SEND_BYTES:
            return self._calls.send(wire, b"".join(parts))
        sent: int = wire.sendmsg(parts)
        return sent


def open_held_calls() -> HeldCalls | None:
    """Return the calls for one event loop; None where they are not to be had, or there is no interpreter to keep."""
    has_interpreter_lock: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.platform != "linux" or sys.implementation.name != "cpython" or not has_interpreter_lock:
        return None
    try:
        import ctypes  # noqa: PLC0415 - it takes milliseconds, and most servers never need it

        library = ctypes.PyDLL(None)
        send, receive = library.send, library.recv
    except (ImportError, AttributeError, OSError):  # an interpreter that was built without, or without the functions
        return None
    send.restype = receive.restype = ctypes.c_ssize_t
    descriptor: Any = _Descriptor  # whatever has `from_param` will do
    send.argtypes = (descriptor, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    receive.argtypes = (descriptor, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    area = bytearray(RECEIVE_BYTES)
    return HeldCalls(send, receive, area, ctypes.addressof(ctypes.c_char.from_buffer(area)))


class _Descriptor:
    """What makes a descriptor's number of a socket, in the call itself and without a step of the interpreter."""

    from_param = staticmethod(socket.socket.fileno)
