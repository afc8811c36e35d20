"""Connections that begin: an accepted socket becomes a channel, and the poller knows it only where it must.

Everything here is for the holder of the dispatcher role.
"""

from collections import deque
from contextlib import AbstractContextManager
from typing import Protocol

from waitressd.dispatch.reports import DispatcherLogs
from waitressd.net.acceptor import Accepted, Acceptor
from waitressd.net.channel import Channel
from waitressd.net.eventloop import EventLoop
from waitressd.net.poller import READ
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState


class ArrivalLoop(EventLoop, Protocol):
    """The loop as its new connections need it."""

    channels: dict[int, Channel]
    ready: deque[tuple[int, int]]
    logs: DispatcherLogs


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
        before = len(self._loop.channels)
        for accepted in self._acceptor.accept(fd, before, self._loop.now):
            self._begin(accepted)
        return self._count(before)

    def recall(self, now: float) -> None:
        """Go on with what siblings have not taken in time."""
        before = len(self._loop.channels)
        for accepted in self._acceptor.recall(now):
            self._begin(accepted)
        self._count(before)

    def _begin(self, accepted: Accepted) -> None:
        sock, peer, settings, kept = accepted
        loop = self._loop
        channel = Channel(sock, peer, loop, settings, kept)
        loop.channels[channel.fd] = channel
        # Its first request is probably here already. A client that closes after one answer is then served without
        # the poller ever knowing of it, which spares two system calls of its nine.
        self.fresh.add(channel.fd)
        loop.ready.append((channel.fd, READ))
        if kept is not None:
            self._acceptor.count(channel.counted_as)
        if loop.ledger is not None and (kept is None or kept.is_new):  # else it was counted where it began
            loop.ledger.accepted += 1

    def _count(self, before: int) -> bool:
        count = len(self._loop.channels)
        if self._acceptor.siblings is not None and count > before:
            self._acceptor.siblings.note_connections(count)
        return count > before

    def watch(self) -> None:
        """A former holder's task may still have new channels: let the poller tell when their clients leave.

        All others are read, and run or queued, before anything is polled.
        """
        loop = self._loop
        unwatched: list[tuple[Channel, OSError]] = []
        with self._lock:
            for channel in [loop.channels[fd] for fd in self.fresh]:
                if channel.exchange.state is not ExchangeState.RUNNING:
                    continue
                try:
                    channel.register()
                except OSError as error:  # nobody would hear of the client any more
                    unwatched.append((channel, error))
        for channel, why in unwatched:
            loop.logs.exhausted("gave up a connection of %s, which cannot be watched: %s", channel.peer, why)
            self.fresh.discard(channel.fd)
            channel.give_up(Fault.CLIENT)

    def part(self) -> None:
        """Take what siblings have passed, and nothing more of them."""
        if self._acceptor.siblings is not None:
            self._acceptor.siblings.leave()
            while self.accept(self._acceptor.mailbox):
                pass
            self._acceptor.part()

    def accept_last(self) -> None:
        """Take all clients in the backlog, who have been told that their connection stands, and accept no more."""
        for fd in self._acceptor.backlogs():
            while self.accept(fd):
                pass
        self._acceptor.close()
