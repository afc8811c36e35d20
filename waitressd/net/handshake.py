"""The TLS handshake: what comes before HTTP on a listener that speaks TLS.

It runs in the holder of the dispatcher role, one step for each event, and costs nobody else: it has an absolute
deadline, handshakes have a limit that ends the oldest, and in one turn of the event loop they get a share of its time.
What does not fit into the share stays with the kernel, and the poller tells of it again. An SSL object is made when the
first byte is here: a client that says nothing costs a kilobyte, not fifty.

A client that speaks something else learns that in its own words: plain HTTP is answered by a 400 that names the
https address. Imported only where TLS is configured.
"""

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from waitressd.http.cleartext import asks_in_clear, https_address
from waitressd.http.errors import HttpError
from waitressd.http.proxyprotocol import V2_START
from waitressd.net.eventloop import EventLoop, Tally
from waitressd.net.logs import RateLimitedLog, logger
from waitressd.net.poller import READ
from waitressd.net.preface import PrefaceError
from waitressd.net.tls import Credentials, HandshakeError, TlsStream
from waitressd.peer import Origin, Peer

SHARE_SECONDS: Final = 0.002  # of one turn, after which the other handshakes wait for the next turn
CLEAR_BYTES: Final = 16 * 1024  # of a request in clear that are read to find its Host
LOG_SECONDS: Final = 10.0  # between two lines of a kind
HANDSHAKE: Final = 0x16  # the content type of a record that may begin a connection (RFC 8446, 5.1)

# Why a handshake ended, and what the operator is told. Who only leaves, as scanners do, is no news.
_LEVELS: Final = {
    "full": None,
    "resumed": None,
    "gone": logging.DEBUG,
    "timeout": logging.INFO,
    "evicted": logging.WARNING,
    "plain_http": logging.INFO,
    "no_version": logging.INFO,
    "no_cipher": logging.INFO,
    "client_certificate": logging.INFO,
    "error": logging.INFO,
}
RESULTS: Final = tuple(_LEVELS)
"""How a handshake may end, as metrics name it."""


class Handshakes:
    """All handshakes of one event loop: how many at once, for how long in a turn, and how they ended.

    Holder of the role; any thread may read `tally`.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.tally = Tally(RESULTS)
        self.clock = clock
        self._limit = limit
        self._open: dict[TlsPreface, None] = {}  # in the order in which they began
        self._turn = 0.0  # when it began
        self._spent_seconds = 0.0  # in it
        self._logs = {result: RateLimitedLog(logger, level, LOG_SECONDS) for result, level in _LEVELS.items() if level}

    def enter(self, preface: "TlsPreface") -> None:
        """A handshake begins; the oldest ends if there are too many."""
        if len(self._open) >= self._limit:
            next(iter(self._open)).evict(self._limit)
        self._open[preface] = None
        self.tally.open_count = len(self._open)

    def leave(self, preface: "TlsPreface", result: str) -> bool:
        """A handshake ends like that; False when it had ended before."""
        if preface not in self._open:
            return False
        del self._open[preface]
        self.tally.open_count = len(self._open)
        self.tally.counts[result] += 1
        return True

    def take_turn(self, turn: float) -> bool:
        """Return whether there is time for a step in the turn that began then; the first one always has it."""
        if turn != self._turn:
            self._turn, self._spent_seconds = turn, 0.0
        return self._spent_seconds < SHARE_SECONDS

    def spend(self, started: float) -> None:
        """A step that began then is over."""
        self._spent_seconds += self.clock() - started

    def log(self, result: str, message: str, *values: object) -> None:
        """Leave a line about such a result, or count it."""
        log = self._logs.get(result)
        if log is not None:
            log(message, *values)


@dataclass(frozen=True, slots=True)
class TlsProtocol:
    """How the connections of one listener begin that speak TLS. Any thread."""

    credentials: Credentials
    handshakes: Handshakes
    timeout_seconds: float
    listener: str
    """The address that accepts, as people write it."""
    port: int | None
    """Of the listener; None for a Unix socket."""

    @property
    def tally(self) -> Tally:
        """How the handshakes end."""
        return self.handshakes.tally

    def begin(self, sock: socket.socket) -> "tuple[TlsStream, TlsPreface]":
        """Return the wire of an accepted connection, and what has to be read before it can be used."""
        stream = TlsStream(sock)
        return stream, TlsPreface(self, sock, stream)


class TlsPreface:
    """The handshake of one connection."""

    __slots__ = ("_close", "_loop", "_protocol", "_sock", "_stream", "name", "rest", "wants")

    def __init__(self, protocol: TlsProtocol, sock: socket.socket, stream: TlsStream) -> None:
        self.name = "handshake"
        self.rest = b""
        self.wants = READ
        self._protocol = protocol
        self._stream = stream
        self._sock: socket.socket | None = sock  # until there is something on it
        self._loop: EventLoop | None = None
        self._close: Callable[[], None] | None = None

    @property
    def following(self) -> None:
        """See Preface: HTTP follows."""

    @property
    def timeout_seconds(self) -> float:
        """See Preface."""
        return self._protocol.timeout_seconds

    def start(self, loop: EventLoop, close: Callable[[], None]) -> None:
        """See Preface."""
        self._loop, self._close = loop, close
        self._protocol.handshakes.enter(self)

    def read(self, origin: Origin, count: int) -> Origin | None:  # noqa: ARG002 - the others read up to so much
        """See Preface; the origin is the same with what is known of the encryption."""
        handshakes = self._protocol.handshakes
        assert self._loop is not None
        if not handshakes.take_turn(self._loop.heard_at):
            self.wants = READ
            return None
        started = handshakes.clock()
        try:
            if self._sock is not None:
                self._wrap(self._sock)
            wanted = self._stream.shake_hands()
        except HandshakeError as error:
            raise PrefaceError(error.result, str(error.args[1]), keeps_answer=True) from None
        finally:
            handshakes.spend(started)
        if wanted:
            self.wants = wanted
            return None
        tls = self._stream.describe()
        handshakes.leave(self, "resumed" if tls.is_resumed else "full")
        return origin.encrypted(tls)

    def _wrap(self, sock: socket.socket) -> None:
        """Look at the first byte; go on with TLS if it is one of TLS."""
        start = sock.recv(1, socket.MSG_PEEK)
        if not start:
            raise ConnectionAbortedError  # a health check, or a scanner
        if start[0] != HANDSHAKE:
            self._reject_clear(sock.recv(CLEAR_BYTES))
        self._sock = None
        self._stream.wrap(self._protocol.credentials.context)

    def _reject_clear(self, data: bytes) -> None:
        """Raise what says what it was that came instead of TLS."""
        if data.startswith((b"PROXY ", V2_START)):
            text = "it begins with a PROXY header, which this listener expects only with proxy_protocol"
            raise PrefaceError("error", text)
        if asks_in_clear(data):
            address = https_address(data, self._protocol.credentials.host, self._protocol.port)
            text = f"This port speaks HTTPS.{' Use ' + address if address else ''}"
            raise PrefaceError("plain_http", "it spoke plain HTTP", answer=HttpError(400, text))
        raise PrefaceError("error", "it speaks neither TLS nor HTTP")

    def late(self) -> PrefaceError:
        """See Preface."""
        return PrefaceError("timeout", f"no TLS handshake was complete within {self.timeout_seconds:g} s")

    def answer(self, data: bytes) -> None:
        """See Preface. The one thing that is ever said in clear: that it is the wrong protocol."""
        assert self._sock is not None
        self._sock.send(data)

    def report(self, error: PrefaceError, peer: Peer) -> None:
        """See Preface."""
        handshakes, result, listener = self._protocol.handshakes, error.result, self._protocol.listener
        handshakes.leave(self, result)
        if result == "plain_http":
            handshakes.log(result, "%s spoke plain HTTP to the TLS listener %s", peer, listener)
        else:
            handshakes.log(result, "closed a connection of %s to the TLS listener %s: %s", peer, listener, error)

    def evict(self, limit: int) -> None:
        """End the connection: there are more handshakes than so many at once."""
        handshakes = self._protocol.handshakes
        handshakes.leave(self, "evicted")
        handshakes.log("evicted", "more than %d TLS handshakes are under way; the oldest was ended", limit)
        if self._close is not None:
            self._close()

    def close(self) -> None:
        """See Preface."""
        self._protocol.handshakes.leave(self, "gone")
