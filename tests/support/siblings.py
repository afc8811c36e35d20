"""Two event loops in one process that pass connections to each other through real mailboxes, by the wish of a test."""

import socket
from collections.abc import Iterator
from typing import Final

from waitressd.net.handover import Arrival, Kept
from waitressd.net.mailbox import Mailbox
from waitressd.peer import Peer

NEVER: Final = float("inf")


class Mate:
    """What one loop sees of the others: passes what `other` wants, and notes what it is told."""

    def __init__(self) -> None:
        self.own = Mailbox.create()
        self.other: Mate | None = None
        self.places = False  # whether every new connection is passed on
        self.is_serving = True
        self.connections = 0
        self.idle = 0
        self.turns = 0
        self.due = NEVER

    @property
    def mailbox(self) -> int:
        """See Siblings."""
        return self.own.fd

    def place(self, sock: socket.socket, peer: Peer, listener: str, connections: int) -> bool:
        """See Siblings."""
        return self.places and connections > 0 and self.give(sock, Kept(listener, peer, is_new=True))

    def give(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        if self.other is None or not self.other.is_serving or not self.other.own.put(sock, kept):
            return False
        self.due = 0.0
        return True

    def share(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        return self.give(sock, kept)

    def take(self) -> Arrival | None:
        """See Siblings."""
        return self.own.take()

    def recall(self, now: float) -> Iterator[Arrival]:
        """See Siblings: at once where the other one has left."""
        assert now > 0
        assert self.other is not None
        while not self.other.is_serving and (arrival := self.other.own.take()):
            yield arrival
        if self.other.own.is_empty():
            self.due = NEVER

    def has_heir(self) -> bool:
        """See Siblings."""
        return self.other is not None and self.other.is_serving

    def leave(self) -> None:
        """See Siblings."""
        self.is_serving = False

    def note_turn(self, now: float, running: int, queued: int) -> None:
        """See Siblings."""
        assert now >= 0
        assert running >= 0
        assert queued >= 0
        self.turns += 1

    def note_connections(self, count: int) -> None:
        """See Siblings."""
        self.connections = count

    def note_idle(self, count: int) -> None:
        """See Siblings."""
        self.idle = count

    def close(self) -> None:
        """Close the mailbox; what lies in it is lost."""
        self.own.close()
