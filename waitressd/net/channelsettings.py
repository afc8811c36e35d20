"""What a channel needs to know and whom it calls, as values; `wiring.py` fills it in."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from waitressd.http.connection import AnsweringConnection, Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.http.recent import Recent
from waitressd.machine import MACHINE, Machine
from waitressd.net.outbuf import OutputLimits
from waitressd.net.preface import Preface, ProxyPreface, ProxyProtocol, SecureProtocol
from waitressd.net.progress import BodySink, Deadlines
from waitressd.net.recorder import RequestObserver
from waitressd.net.wire import Wire


class RequestHandler(Protocol):
    """What turns a complete request into a response; runs in a task thread and never raises."""

    def __call__(
        self,
        request: Request,
        body: BinaryIO | None,
        exchange: Any,  # noqa: ANN401 - an Exchange, which cannot be named here: it is built from these settings
        /,
    ) -> None:
        """Answer through the exchange; a response that is not complete afterwards is cut off visibly."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """The values that all channels of one listener share."""

    handler: RequestHandler
    new_body: Callable[[int | None], BodySink]  # for a body of that length, if it is known
    http_date: Callable[[], str]
    listener: str = ""  # the address that accepts, as people write it
    scheme: str = "http"  # of the requests that come through it, unless a trusted proxy says otherwise
    ident: str = "waitressd"
    recv_bytes: int = 96 * 1024  # one read, unless it is known how much comes; also the bound of what is parsed ahead
    limits: Limits = field(default_factory=Limits)
    deadlines: Deadlines = field(default_factory=Deadlines)
    output: OutputLimits = field(default_factory=OutputLimits)
    machine: Machine = MACHINE
    observer: RequestObserver | None = None  # with one, what happens to each request is written down
    proxy_protocol: ProxyProtocol | None = None  # with one, each connection begins with a PROXY header
    tls: SecureProtocol | None = None  # with one, what follows is encrypted
    answer: Callable[[Request], HttpError] | None = None  # with one, the handler is never asked
    recent: Recent = field(default_factory=Recent, compare=False)  # what its connections learn from each other

    def connect(self) -> Connection:
        """Return the HTTP state of a new connection."""
        if self.answer is None:
            return Connection(self.limits, self.ident, self.recent)
        return AnsweringConnection(self.limits, self.ident, self.answer)

    def begin(self, sock: socket.socket) -> tuple[Wire, Preface | None]:
        """Return the wire of an accepted connection, and the first thing on it that is not HTTP yet."""
        wire: Wire = sock
        preface: Preface | None = None
        if self.tls is not None:
            wire, preface = self.tls.begin(sock)
        if self.proxy_protocol is not None:
            preface = ProxyPreface(self.proxy_protocol, sock, self.deadlines.request_header_timeout, preface)
        return wire, preface
