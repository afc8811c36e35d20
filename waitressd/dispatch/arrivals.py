"""Connections that begin: an accepted socket becomes a channel, and the poller knows it only where it must.

Everything here is for the holder of the dispatcher role.
"""

from collections import deque
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from waitressd.dispatch.reports import DispatcherLogs
from waitressd.net.acceptor import Acceptor
from waitressd.net.channel import Channel
from waitressd.net.eventloop import EventLoop
from waitressd.net.poller import READ
from waitressd.net.recorder import Fault


class ArrivalLoop(EventLoop, Protocol):
    """The loop as its new connections need it."""

    channels: dict[int, Channel]
    ready: deque[tuple[int, int]]
    logs: DispatcherLogs

    @property
    def tasks(self) -> Collection[object]:
        """The requests that wait for their turn."""


class Arrivals:
    """The new connections of one event loop."""

    def __init__(self, loop: ArrivalLoop, acceptor: Acceptor, lock: AbstractContextManager[object]) -> None:
        self._loop = loop
        self._acceptor = acceptor
        self._lock = lock
        self.fresh: set[int] = set()
        """Accepted, and not known to the poller yet: many need not be, see `_begin`."""

    def accept(self, fd: int) -> bool:
        """Take new clients and have them read from at once; False when nobody waits, or it is no listener."""
        loop = self._loop
        before = len(loop.channels)
        for sock, peer, settings in self._acceptor.accept(fd, before, loop.now):
            channel = Channel(sock, peer, loop, settings)
            loop.channels[channel.fd] = channel
            # Its first request is probably here already. A client that closes after one answer is then served without
            # the poller ever knowing of it, which spares two system calls of its nine.
            self.fresh.add(channel.fd)
            loop.ready.append((channel.fd, READ))
        count = len(loop.channels) - before
        if loop.ledger is not None:
            loop.ledger.accepted += count
        return count > 0

    def watch(self) -> None:
        """A former holder's task still has a new channel: let the poller tell when its client leaves."""
        loop = self._loop
        unwatched: list[tuple[Channel, OSError]] = []
        with self._lock:
            for channel in [loop.channels[fd] for fd in self.fresh]:
                try:
                    channel.register()
                except OSError as error:  # nobody would hear of the client any more
                    unwatched.append((channel, error))
        for channel, why in unwatched:
            loop.logs.exhausted("gave up a connection of %s, which cannot be watched: %s", channel.peer, why)
            self.fresh.discard(channel.fd)
            if channel.exchange in loop.tasks:
                channel.exchange.break_off(Fault.CLIENT)
            else:
                channel.give_up(Fault.CLIENT)

    def accept_last(self) -> None:
        """Take all clients in the backlog, who have been told that their connection stands, and accept no more."""
        for fd in self._acceptor.backlogs():
            while self.accept(fd):
                pass
        self._acceptor.close()
