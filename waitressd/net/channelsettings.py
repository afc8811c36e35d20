"""What a channel needs to know and who it calls, as values; `server.py` fills it in."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.net.logs import RateLimitedLog, logger
from waitressd.net.outbuf import OutputLimits

if TYPE_CHECKING:
    from waitressd.net.channel import Channel
    from waitressd.net.observed import RequestObserver


class RequestHandler(Protocol):
    """What turns a complete request into an answer; runs in a task thread and never raises."""

    def __call__(self, request: Request, body: BinaryIO | None, channel: "Channel", /) -> None:
        """Answer through the channel; an answer that is not complete afterwards is cut off visibly."""


class BodySink(Protocol):
    """Where a request body is kept until it is complete."""

    def append(self, data: bytes) -> None:
        """Keep more of it. Raises OSError when the disk is full."""

    def finish(self) -> BinaryIO:
        """Return the whole body as a file at its beginning; the sink's owner closes it."""

    def close(self) -> None:
        """Drop what was kept."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a channel may stay in each state. Rates are bytes a second beyond `grace_seconds`."""

    idle_seconds: float = 120.0
    head_seconds: float = 20.0
    body_seconds: float = 120.0
    body_min_rate: int = 240
    queue_seconds: float = 30.0
    stall_seconds: float = 30.0
    response_min_rate: int = 240
    grace_seconds: float = 10.0
    linger_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """Who may begin a connection with a PROXY header, and how. Any thread."""

    versions: str
    """As ProxyProtocolReader takes it."""
    trusts: Callable[[str], bool]
    """Whether the peer with this address may speak for others."""
    log: RateLimitedLog = field(default_factory=lambda: RateLimitedLog(logger, logging.WARNING))


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """The values that all channels of one listener share."""

    handler: RequestHandler
    new_body: Callable[[], BodySink]
    http_date: Callable[[], str]
    listener: str = ""  # the address that accepts, as people write it
    ident: str = "waitressd"
    recv_bytes: int = 96 * 1024  # one read; also the bound of what is parsed ahead for one client
    limits: Limits = field(default_factory=Limits)
    deadlines: Deadlines = field(default_factory=Deadlines)
    output: OutputLimits = field(default_factory=OutputLimits)
    observer: "RequestObserver | None" = None  # with one, its clients get channels that are watched
    proxy_protocol: ProxyProtocol | None = None  # with one, each connection begins with a PROXY header
