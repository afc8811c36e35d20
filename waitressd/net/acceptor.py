"""Who is let in: the listeners, how many connections may be open, and when accepting rests.

Where other processes accept from the same sockets, a new client is *placed*: it is kept, or passed to a sibling that
has less to do; and clients that siblings pass come in here, too. Knows listeners and counts; what becomes of an
accepted socket is the dispatcher's. Everything here runs in the holder of the dispatcher role.
"""

import socket
import sys
from collections.abc import Iterator
from typing import Final

from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import LoopLogs
from waitressd.net.handover import Arrival, Kept, Siblings
from waitressd.net.listener import Listener
from waitressd.net.poller import READ, Poller
from waitressd.net.progress import NEVER
from waitressd.operatorlog import counted
from waitressd.peer import UNIX, Peer, peer_of

ACCEPT_BURST: Final = 64  # accepted in one turn, so that a storm of clients does not hide those that are served
# From a shared listener. Of clients that come at once, the first process to wake up would take nearly all, and keep
# them, before the next one is awake. So one that has much to do in a turn also takes fewer than one that has nothing.
SHARED_BURST: Final = 4
ACCEPT_PAUSE_SECONDS: Final = 0.5  # how long accepting rests when descriptors or memory ran out
# How long the last handshakes may take after a stop, where somebody has come in the last second.
LAST_HANDSHAKES_SECONDS: Final = 0.05
RECENT_SECONDS: Final = 1.0

Accepted = tuple[socket.socket, Peer, ChannelSettings, Kept | None]
"""A client; and what is known of its connection, where a sibling has passed it."""


class Acceptor:
    """The listeners of one dispatcher."""

    def __init__(self, poller: Poller, logs: LoopLogs, connections: int, per_client: int) -> None:
        self.takes_backlog = True  # at the end; else other processes do, which accept from the same sockets
        self.resume_at = NEVER  # when accepting goes on after an exhaustion, or has ended once it is sealed
        self.siblings: Siblings | None = None
        self._accepted_at = 0.0
        self._poller = poller
        self._logs = logs
        self._connections = connections
        self._per_client = per_client  # 0 for no bound
        self._listeners: dict[int, tuple[Listener, ChannelSettings]] = {}
        self._settings: dict[str, ChannelSettings] = {}  # the same by the listener's name, for what siblings pass
        self._placing: Siblings | None = None  # as `siblings`, until it parts from them
        self._sources: list[int] = []  # the listeners, and the mailbox
        self._heard: set[int] = set()  # those of them that the poller knows; none while accepting rests
        self._counts: dict[str, int] = {}  # connections of each host, while there is a bound

    def add(self, listener: Listener, settings: ChannelSettings) -> None:
        """Accept from a listener. Before the first turn only."""
        self._listeners[listener.fd] = (listener, settings)
        self._sources.append(listener.fd)
        self._listen(listener.fd)

    def join(self, siblings: Siblings) -> None:
        """Place new clients among processes that accept from the same sockets, and take what those pass on."""
        self.siblings = self._placing = siblings
        self._settings = {settings.listener: settings for _, settings in self._listeners.values()}
        self._sources.append(siblings.mailbox)
        if self._heard:  # else it rests, like the others
            self._listen(siblings.mailbox)

    @property
    def mailbox(self) -> int:
        """The descriptor that tells of what siblings pass, -1 without one."""
        return -1 if self._placing is None else self._placing.mailbox

    def part(self) -> None:
        """Pass no new client on, and take none that siblings pass. Harmless when that is so."""
        if self._placing is not None:
            self._ignore(self._placing.mailbox)
            self._sources.remove(self._placing.mailbox)
            self._placing = None

    def seal(self, now: float) -> None:
        """Begin the end: nobody new gets into the backlogs. `resume_at` says when they may be closed."""
        for listener, _ in self._listeners.values() if self.takes_backlog else ():
            listener.seal()
        is_busy = self.takes_backlog and now - self._accepted_at < RECENT_SECONDS
        self.resume_at = now + LAST_HANDSHAKES_SECONDS if is_busy else now

    def backlogs(self) -> list[int]:
        """Return the descriptors of the listeners whose backlog is to be served at the end."""
        kept = {
            fd for fd, (listener, _) in self._listeners.items() if listener.is_kept
        }  # that waits for the next start
        return [fd for fd in self._listeners if fd not in kept] if self.takes_backlog else []

    @property
    def is_open(self) -> bool:
        """Whether it has listeners."""
        return bool(self._listeners)

    def is_accepting(self) -> bool:
        """Whether it has listeners that do not rest because something ran out (at the limit they may). Any thread."""
        return bool(self._listeners) and (bool(self._heard) or self.resume_at == NEVER)

    def accept(self, fd: int, open_count: int, now: float) -> Iterator[Accepted]:
        """Take new clients; none when the descriptor is no listener (any more)."""
        found = self._listeners.get(fd)
        if found is None:
            if self._placing is not None and fd == self._placing.mailbox:
                yield from self._take_passed(self._placing, open_count, now)
            return
        listener, settings = found
        placing = self._placing if listener.is_shared else None
        for taken in range(SHARED_BURST if listener.is_shared else ACCEPT_BURST):
            if open_count >= self._connections:
                if not taken:  # else the poller tells in the next turn whether anybody waits
                    self._rest_full(open_count)
                return
            try:
                accepted = listener.accept()
            except OSError as error:
                self._pause(error, now)
                return
            if accepted is None:
                return
            sock, peer = accepted[0], peer_of(accepted[1])
            # Behind a balancer, the client is known once the PROXY header has arrived.
            counted_as = peer if settings.proxy_protocol is None else UNIX
            if self._per_client and not self.admit(counted_as):
                sock.close()
                continue
            self._accepted_at = now
            if placing is not None and placing.place(sock, peer, settings.listener, open_count + 1):
                self._forget(counted_as)
                sock.close()
                continue
            open_count += 1
            yield sock, peer, settings, None

    def _take_passed(self, siblings: Siblings, open_count: int, now: float) -> Iterator[Accepted]:
        """Take what siblings have passed. It stays here: they pass a connection once, when it is new."""
        for taken in range(ACCEPT_BURST):
            if open_count >= self._connections:
                if not taken:
                    self._rest_full(open_count)
                return
            try:
                arrival = siblings.take()
            except OSError as error:
                self._pause(error, now)
                return
            if arrival is None:
                return
            for accepted in self._identify(arrival):
                open_count += 1
                yield accepted

    def recall(self, now: float) -> Iterator[Accepted]:
        """Take back what siblings have not taken in time, whatever the limits are: it was let in before."""
        if self.siblings is None:
            return
        try:
            for arrival in self.siblings.recall(now):
                yield from self._identify(arrival)
        except OSError as error:
            self._logs.exhausted("cannot take back what a sibling does not take: %s", error)

    def _identify(self, arrival: Arrival) -> Iterator[Accepted]:
        """Find what is served on a connection that was passed; close one that nobody here can go on with."""
        sock, kept = arrival
        settings = self._settings.get(kept.listener)
        if settings is None or (settings.tls is not None and not kept.is_new):
            sock.close()
        else:
            yield sock, kept.peer, settings, kept

    def admit(self, peer: Peer) -> bool:
        """Count a connection of a client; False when that one has too many. Those of Unix sockets are not counted."""
        if not self._per_client or peer is UNIX:
            return True
        count = self._counts.get(peer.address, 0)
        if count >= self._per_client:
            self._logs.greedy("%s has %s already; another one was closed", peer.address, counted(count, "connection"))
            return False
        self._counts[peer.address] = count + 1
        return True

    def count(self, peer: Peer) -> None:
        """Count one that a sibling has let in."""
        if self._per_client and peer is not UNIX:
            self._counts[peer.address] = self._counts.get(peer.address, 0) + 1

    def _forget(self, peer: Peer) -> None:
        if self._per_client and peer is not UNIX:
            count = self._counts.get(peer.address, 0) - 1
            if count > 0:
                self._counts[peer.address] = count
            else:
                self._counts.pop(peer.address, None)

    def release(self, peer: Peer, now: float) -> None:
        """A connection has closed: its place is free."""
        if self._per_client:
            self._forget(peer)
        if self._heard:  # accepting does not rest
            return
        if self.resume_at == NEVER:
            self._resume(now)
        else:
            self.resume_at = now  # what ran out may be there again; once for all that close in this turn

    def forget_limit(self) -> None:
        """Accept every client in the backlog, however many are connected: they will be the last."""
        self._connections = sys.maxsize

    def look(self, now: float) -> None:
        """Go on accepting when the rest is over."""
        if now >= self.resume_at:
            self._resume(now)

    def close(self) -> None:
        """Accept no more, and close every listener. Harmless when closed."""
        self.part()
        for fd, (listener, _) in list(self._listeners.items()):
            self._ignore(fd)
            listener.close()
            del self._listeners[fd]
            self._sources.remove(fd)
        self.resume_at = NEVER

    def _pause(self, error: OSError, now: float) -> None:
        """Stop accepting for a while, say so once, go on serving the clients that are there."""
        self._logs.exhausted("cannot accept: %s; trying again every %s s", error, ACCEPT_PAUSE_SECONDS)
        self._rest(now + ACCEPT_PAUSE_SECONDS)

    def _rest_full(self, open_count: int) -> None:
        self._logs.full(open_count)
        self._rest(NEVER)

    def _rest(self, until: float) -> None:
        self.resume_at = until
        for fd in self._sources:
            self._ignore(fd)

    def _listen(self, fd: int) -> None:
        self._poller.add(fd, READ)
        self._heard.add(fd)

    def _ignore(self, fd: int) -> None:
        if fd in self._heard:
            self._heard.remove(fd)
            self._poller.remove(fd)

    def _resume(self, now: float) -> None:
        self.resume_at = NEVER
        for fd in self._sources:
            try:
                self._listen(fd)
            except OSError as error:  # even that is more than the system can give at the moment
                self._pause(error, now)
                return
