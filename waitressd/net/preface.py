"""What comes before HTTP on a connection: a stage that reads until it is complete, and is then dropped.

The PROXY protocol is one: its header is the first thing on a connection and is read once; until it is complete nothing
of HTTP is looked at. Listeners that expect none have connections without a stage.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from waitressd.http.proxyprotocol import ProxyProtocolError, ProxyProtocolReader
from waitressd.net.logs import RateLimitedLog, logger
from waitressd.net.wire import Wire
from waitressd.peer import Origin


class PrefaceError(Exception):
    """The connection does not begin as it must and can only be closed; the text says why, to the operator."""


class Preface(Protocol):
    """One stage at the beginning of a connection. Holder of the role."""

    rest: bytes
    """What came behind it: the first octets of HTTP."""

    def read(self, wire: Wire, origin: Origin, count: int, /) -> Origin | None:
        """Read once; return where the connection comes from once the stage is complete, None before.

        Raises PrefaceError; OSError when the client has left; BlockingIOError when nothing is there.
        """

    def late(self, seconds: float, /) -> PrefaceError:
        """Return what to say of a connection whose stage was not complete in that time."""


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

    __slots__ = ("_reader", "_trusts", "rest")

    def __init__(self, protocol: ProxyProtocol) -> None:
        self.rest = b""
        self._reader = ProxyProtocolReader(protocol.versions)
        self._trusts = protocol.trusts

    def read(self, wire: Wire, origin: Origin, count: int) -> Origin | None:
        """See Preface; the origin is that of the client that the balancer connects for."""
        if not self._trusts(origin.peer.address):
            raise PrefaceError("it is not in trusted_proxy, and this listener expects the PROXY protocol")
        data = wire.recv(count)
        if not data:
            if self._reader.has_begun:
                raise PrefaceError("it ended in the middle of a PROXY header")
            raise ConnectionAbortedError  # a health check that asks no more than whether somebody accepts
        try:
            header = self._reader.feed(data)
        except ProxyProtocolError as error:
            raise PrefaceError(str(error)) from None
        if header is None:
            return None
        self.rest = self._reader.rest
        return origin.behind(header)

    @staticmethod
    def late(seconds: float) -> PrefaceError:
        """See Preface."""
        return PrefaceError(f"no PROXY header was complete within {seconds:g} s")
