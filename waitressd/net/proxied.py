"""Channels whose connection begins with a PROXY header: each reads that first, and is then a channel like any other.

The dispatcher makes these only for listeners that expect the PROXY protocol; no other connection runs any of this. The
header is the first thing on a connection and is read once; until it is complete nothing of HTTP is looked at.
"""

import socket
from typing import TYPE_CHECKING

from waitressd.http.proxyprotocol import ProxyHeader, ProxyProtocolError, ProxyProtocolReader
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import ChannelSettings, ProxyProtocol
from waitressd.net.observed import ObservedChannel
from waitressd.net.outbuf import WOULD_BLOCK
from waitressd.net.poller import READ
from waitressd.peer import UNIX, Peer

if TYPE_CHECKING:
    from waitressd.net.dispatcher import Dispatcher


class ProxiedChannel(Channel):
    """A channel behind a balancer. Threads as in Channel; all of this is for the holder of the role.

    Its state is IDLE until the header is complete: no request has begun. The deadline is that of a request head,
    counted from the moment the connection was accepted. There are no slots, so that an observed one can inherit both.
    """

    def __init__(self, sock: socket.socket, peer: Peer, dispatcher: "Dispatcher", settings: ChannelSettings) -> None:
        super().__init__(sock, peer, dispatcher, settings)
        self._reader: ProxyProtocolReader | None = ProxyProtocolReader(self._protocol.versions)  # until it has
        self.deadline = dispatcher.now + settings.deadlines.head_seconds

    @property
    def _protocol(self) -> ProxyProtocol:
        protocol = self._settings.proxy_protocol
        assert protocol is not None
        return protocol

    @property
    def counted_as(self) -> Peer:
        """The client under whose name the connection counts: nobody's before the balancer has told it."""
        proxied = self.origin.proxied
        return UNIX if proxied is None or proxied.source is None else self.origin.peer

    def on_readable(self) -> bool:
        """Read once; True when a request is complete and may run."""
        return super().on_readable() if self._reader is None else self._read_header(self._reader)

    def _read_header(self, reader: ProxyProtocolReader) -> bool:
        if not self._protocol.trusts(self.origin.peer.address):
            self._give_up("it is not in trusted_proxy, and this listener expects the PROXY protocol")
            return False
        try:
            header = reader.feed(self._receive_header(reader))
        except WOULD_BLOCK:
            self._note_no_progress()
            return False
        except OSError:
            self.close()
            return False
        except ProxyProtocolError as error:
            self._give_up(str(error))
            return False
        if header is not None:
            return self._take(header, reader.rest)
        if not self._mask:
            self._watch(READ)
        return False

    def _receive_header(self, reader: ProxyProtocolReader) -> bytes:
        """Read once. Raises OSError when nothing is there, and when nothing will come."""
        data = self.sock.recv(self._settings.recv_bytes)
        if data:
            self._fruitless_events = 0
        elif reader.has_begun:
            raise ProxyProtocolError("it ended in the middle of a PROXY header")
        else:
            raise ConnectionAbortedError  # a health check that asks no more than whether somebody accepts
        return data

    def _take(self, header: ProxyHeader, rest: bytes) -> bool:
        """The header is complete: from here on the client is the peer. True when a request is complete, too."""
        self._reader = None
        origin = self.origin.behind(header)
        if header.source is not None and not self.dispatcher.admit(origin.peer):
            self.close()
            return False
        self.origin = origin
        self.deadline = self.dispatcher.now + self.dispatcher.idle_seconds
        if rest:
            self.connection.reader.feed(rest)
        return self.advance()

    def on_deadline(self) -> None:
        """The one deadline of the present state has passed."""
        if self._reader is None:
            super().on_deadline()
        elif self.dispatcher.draining:
            self.close()
        else:
            self._give_up(f"no PROXY header was complete within {self._settings.deadlines.head_seconds:g} s")

    def _give_up(self, why: str) -> None:
        self._protocol.log("closed a connection of %s: %s", self.peer, why)
        self.close()


class ObservedProxiedChannel(ProxiedChannel, ObservedChannel):
    """A channel behind a balancer that is watched."""


def unusual_kind(settings: ChannelSettings) -> type[Channel]:
    """Return what a channel must be for an observer, or for the PROXY protocol, or both."""
    if settings.proxy_protocol is None:
        return ObservedChannel
    return ProxiedChannel if settings.observer is None else ObservedProxiedChannel
