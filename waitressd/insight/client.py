"""One connection to an admin address: octets in, a request out; a whole answer in, octets out.

Knows a socket and HTTP; does not know what is asked, nor whether it may be.
"""

import contextlib
import socket
import struct
import sys
from enum import IntEnum
from typing import Final

from waitressd.http.connection import Connection
from waitressd.http.errors import REASONS, HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head
from waitressd.http.states import Reading
from waitressd.insight.guard import NOT_THIS_METHOD, Door
from waitressd.insight.rendering import Whole
from waitressd.net.poller import PARKED, READ, WRITE
from waitressd.net.wire import send_parts
from waitressd.peer import peer_of

LIMITS: Final = Limits(
    max_request_header_size=8192, max_request_line_size=4096, max_request_fields=64, max_request_body_size=4096
)
HEAD_SECONDS: Final = 5.0  # for a whole request, from the connection or its first byte
WRITE_SECONDS: Final = 10.0  # without a byte of the answer taken
IDLE_SECONDS: Final = 60.0  # between requests
LINGER_SECONDS: Final = 1.0
NEVER: Final = float("inf")

_RECV_BYTES: Final = 16384
_NOT_IMPLEMENTED: Final = 501
_NOBODY: Final = -1

ALWAYS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
"""Fields of every answer: it is for nobody but who has asked, and is what it says it is."""


class ClientState(IntEnum):
    """What a connection waits for."""

    READING = 0  # the next request, or the rest of it
    ASKED = 1  # its answer
    WRITING = 2  # the client to take the answer
    LINGERING = 3  # the client to close: what it still sends is dropped, so that it can read the answer
    CLOSED = 4


CLIENT_TRANSITIONS: Final[dict[ClientState, frozenset[ClientState]]] = {
    ClientState.READING: frozenset({ClientState.ASKED, ClientState.CLOSED}),
    ClientState.ASKED: frozenset({ClientState.WRITING, ClientState.CLOSED}),
    ClientState.WRITING: frozenset({ClientState.READING, ClientState.LINGERING, ClientState.CLOSED}),
    ClientState.LINGERING: frozenset({ClientState.CLOSED}),
    ClientState.CLOSED: frozenset({ClientState.CLOSED}),
}


class Client:
    """One connection, for as long as it lasts. The thread of the admin address."""

    def __init__(self, sock: socket.socket, address: object, door: Door, now: float) -> None:
        self.socket = sock
        self.fd = sock.fileno()
        self.door = door
        self.uid, self.pid = _credentials(sock) if door.is_unix else (_NOBODY, _NOBODY)
        self.peer = f"pid {self.pid} of uid {self.uid}" if self.pid > 0 else str(peer_of(address))
        """Who it is, for the log."""
        self.state = ClientState.READING
        self.since = now
        """When it began to wait for what it waits for; while it writes, when it made progress."""
        self.answered = 0
        """How many requests were answered."""
        self._connection = Connection(LIMITS, "")
        self._request: Request | None = None
        self._out: list[memoryview] = []

    @property
    def mask(self) -> int:
        """What the poller should tell of it."""
        match self.state:
            case ClientState.READING | ClientState.LINGERING:
                return READ
            case ClientState.WRITING:
                return WRITE
            case ClientState.ASKED:
                return PARKED
            case _:
                return 0

    @property
    def deadline(self) -> float:
        """Until when it may stay in its state; for an answer in the making there is no limit."""
        match self.state:
            case ClientState.READING:
                return self.since + (IDLE_SECONDS if self.is_idle else HEAD_SECONDS)
            case ClientState.WRITING:
                return self.since + WRITE_SECONDS
            case ClientState.LINGERING:
                return self.since + LINGER_SECONDS
            case _:
                return NEVER

    @property
    def is_idle(self) -> bool:
        """Whether it rests between two requests."""
        reader = self._connection.reader
        is_between = reader.reading is Reading.IDLE and not reader.buffer
        return self.state is ClientState.READING and self.answered > 0 and is_between

    # -- what comes

    def read(self, now: float) -> Request | HttpError | None:
        """Take what there is to read, and return a request that is here in whole, or what is wrong with it."""
        was_idle = self.is_idle
        try:
            data = self.socket.recv(_RECV_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            self.close()
            return None
        if self.state is ClientState.LINGERING:
            if not data:
                self.close()
            return None
        if was_idle:
            self.since = now
        reader = self._connection.reader
        if data:
            reader.feed(data)
        else:
            reader.feed_eof()
        return self.next_request(now)

    def next_request(self, now: float) -> Request | HttpError | None:
        """Return the request that is here in whole, or what is wrong with it; None if more has to come."""
        connection = self._connection
        try:
            while (event := connection.next_event()) not in (NEED_DATA, CLOSED):
                if isinstance(event, Request):
                    self._request = event
                if event is END_OF_BODY or (isinstance(event, Request) and event.complete):
                    self._become(ClientState.ASKED, now)
                    return self._request
        except HttpError as error:
            self._become(ClientState.ASKED, now)
            if connection.reader.refused_line.startswith(b"CONNECT ") and error.status == _NOT_IMPLEMENTED:
                return HttpError(405, NOT_THIS_METHOD, (("Allow", "GET, HEAD"),))
            return error
        if event is CLOSED:
            self.close()
        elif connection.awaiting_continue:
            with contextlib.suppress(OSError):  # who does not take these few octets has none to send either
                self.socket.send(connection.encode_continue())
        return None

    # -- what goes

    def answer(self, whole: Whole, date: str, now: float) -> None:
        """Begin to send an answer to what was asked. Harmless if the client has gone."""
        if self.state is not ClientState.ASKED:
            return
        encoder = self._connection.encoder
        fields = [("Content-Type", whole.content_type), *ALWAYS, *whole.fields]
        head = build_head(f"{whole.status} {REASONS.get(whole.status, 'Error')}", fields)
        pieces = [encoder.encode_head(head, date, len(whole.body)), *encoder.encode_data(whole.body)]
        pieces.append(encoder.encode_end())
        self._out = [memoryview(piece) for piece in pieces if piece]
        self.answered += 1
        self._become(ClientState.WRITING, now)
        self.write(now)

    def write(self, now: float) -> None:
        """Send what the client takes."""
        try:
            while self._out:
                # With one call: each is one more wait for the interpreter.
                sent = send_parts(self.socket, self._out)
                self.since = now
                while sent and self._out:
                    part = self._out[0]
                    if sent < len(part):
                        self._out[0] = part[sent:]
                    else:
                        del self._out[0]
                    sent -= min(sent, len(part))
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self._connection.reader.reading is Reading.CLOSED:
            self._become(ClientState.LINGERING, now)
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
        else:
            self._become(ClientState.READING, now)

    def close(self) -> None:
        """Give it up; twice is harmless. The socket is closed by whoever has a poller look at it."""
        self.state = ClientState.CLOSED
        self._out.clear()
        self._connection.close()

    def _become(self, following: ClientState, now: float) -> None:
        if following not in CLIENT_TRANSITIONS[self.state]:
            raise ProtocolMisuse(f"{following!r} after {self.state!r}")
        self.state, self.since = following, now


def _credentials(sock: socket.socket) -> tuple[int, int]:
    """Return the account and the process at the other end of a Unix socket, as the kernel knows them (unix(7))."""
    if sys.platform != "linux":
        return _NOBODY, _NOBODY
    try:
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    except OSError:
        return _NOBODY, _NOBODY
    return uid, pid
