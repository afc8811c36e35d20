"""What comes before HTTP on a connection: stages that read until they are complete, and are then dropped.

The PROXY protocol is one: its header is the first thing on a connection and is read once; until it is complete nothing
of HTTP is looked at. The handshake of TLS is the other (`handshake.py`), and it comes behind the header of a balancer
that passes it on. Listeners that expect neither have connections without a stage.
"""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from waitressd.http.errors import HttpError
from waitressd.http.proxyprotocol import ProxyProtocolError, ProxyProtocolReader
from waitressd.net.eventloop import EventLoop, Tally
from waitressd.net.logs import RateLimitedLog, logger
from waitressd.net.poller import READ
from waitressd.net.wire import Wire
from waitressd.peer import Origin, Peer


class PrefaceError(Exception):
    """The connection does not begin as it must and can only be closed; the text says why, to the operator.

    `result` is how that is counted. `answer` is sent before the end, and where `keeps_answer` the stage has sent one of
    its own: then the connection lingers, so that it arrives.
    """

    def __init__(self, result: str, text: str, *, answer: HttpError | None = None, keeps_answer: bool = False) -> None:
        super().__init__(text)
        self.result = result
        self.answer = answer
        self.keeps_answer = keeps_answer or answer is not None


class Preface(Protocol):
    """One stage at the beginning of a connection. Holder of the role."""

    name: str
    """What the connection waits for meanwhile, in a word for operators."""
    rest: bytes
    """What came behind it: the first octets of HTTP."""
    wants: int
    """The event that it waits for: READ, or WRITE while what it says does not fit into the kernel's buffer."""

    @property
    def following(self) -> "Preface | None":
        """The next stage; None when HTTP follows."""

    @property
    def timeout_seconds(self) -> float:
        """How long it may take."""

    def start(self, loop: EventLoop, close: Callable[[], None], /) -> None:
        """The stage begins; `close` ends its connection."""

    def read(self, origin: Origin, count: int, /) -> Origin | None:
        """Go on as far as one event allows; return where the connection comes from once it is complete, None before.

        Raises PrefaceError; OSError when the client has left; BlockingIOError when nothing moves.
        """

    def late(self) -> PrefaceError:
        """Return what to say of a connection whose stage was not complete in time."""

    def answer(self, data: bytes, /) -> None:
        """Send the answer of a PrefaceError. Raises OSError."""

    def report(self, error: PrefaceError, peer: Peer, /) -> None:
        """Count what is wrong with the connection, and tell the operator."""

    def close(self) -> None:
        """The connection ends; harmless when the stage is over."""


class SecureProtocol(Protocol):
    """How the connections of a listener are encrypted. Any thread."""

    @property
    def tally(self) -> Tally:
        """How its handshakes end, together with those of the other listeners of the event loop."""

    def begin(self, sock: socket.socket, /) -> tuple[Wire, Preface]:
        """Return the wire of an accepted connection, and what has to be read before it can be used."""


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """Who may begin a connection with a PROXY header, and how. Any thread."""

    versions: str
    """As ProxyProtocolReader takes it."""
    trusts: Callable[[str], bool]
    """Whether the peer with this address may speak for others."""
    log: RateLimitedLog = field(default_factory=lambda: RateLimitedLog(logger, logging.WARNING))


class ProxyPreface:
    """The PROXY header of one connection."""

    __slots__ = ("_protocol", "_reader", "_sock", "following", "name", "rest", "timeout_seconds", "wants")

    def __init__(
        self, protocol: ProxyProtocol, sock: socket.socket, timeout_seconds: float, following: Preface | None = None
    ) -> None:
        self.name = "proxy"
        self.rest = b""
        self.wants = READ
        self.timeout_seconds = timeout_seconds
        self.following = following
        self._protocol = protocol
        self._sock = sock
        self._reader = ProxyProtocolReader(protocol.versions)

    def start(self, loop: EventLoop, close: Callable[[], None]) -> None:
        """See Preface; there is nothing to begin."""

    def read(self, origin: Origin, count: int) -> Origin | None:
        """See Preface; the origin is that of the client that the balancer connects for."""
        if not self._protocol.trusts(origin.peer.address):
            raise PrefaceError("refused", "it is not in trusted_proxy, and this listener expects the PROXY protocol")
        # Where another stage follows, exactly the header is taken: what is behind it is the stage's to read.
        is_exact = self.following is not None
        data = self._sock.recv(count, socket.MSG_PEEK) if is_exact else self._sock.recv(count)
        if not data:
            if self._reader.has_begun:
                raise PrefaceError("refused", "it ended in the middle of a PROXY header")
            raise ConnectionAbortedError  # a health check that asks no more than whether somebody accepts
        try:
            header = self._reader.feed(data)
        except ProxyProtocolError as error:
            raise PrefaceError("refused", str(error)) from None
        if is_exact:
            self._sock.recv(len(data) - (len(self._reader.rest) if header is not None else 0))
        if header is None:
            return None
        if not is_exact:
            self.rest = self._reader.rest
        return origin.behind(header)

    def late(self) -> PrefaceError:
        """See Preface."""
        return PrefaceError("refused", f"no PROXY header was complete within {self.timeout_seconds:g} s")

    def answer(self, data: bytes) -> None:
        """See Preface; a balancer is told nothing."""

    def report(self, error: PrefaceError, peer: Peer) -> None:
        """See Preface."""
        self._protocol.log("closed a connection of %s: %s", peer, error)

    def close(self) -> None:
        """See Preface; nothing is held."""
