"""The siblings of a worker, to whom it passes connections: chosen by the board, reached by their mailboxes.

What is passed lies in a mailbox until it is taken. A worker may be stopped, or hang in code that holds the interpreter
lock, and nobody else can tell by its row, for one that has nothing to do looks the same. So who passes a connection
looks after a moment whether it was taken, and takes it back otherwise: every worker has both ends of every mailbox.
"""

import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from waitressd.fleet.board import Board, Field, Row, to_ms
from waitressd.fleet.sharing import Load, fewest, gift, needs_placing, place, wants
from waitressd.net.handover import Arrival, Kept
from waitressd.net.mailbox import Mailbox
from waitressd.peer import Peer

PATIENCE_SECONDS: Final = 0.01  # before a sibling whose event loop has not turned is taken to hang
LONG_SECONDS: Final = 0.5  # that something may lie in a mailbox whose owner turns
SILENT_SECONDS: Final = 0.05  # with something in its mailbox: others pass nothing more to it
ROWS_SECONDS: Final = 0.05  # between two looks at which rows are in use
LOOK_SECONDS: Final = 1.0  # between two looks at who has how many kept connections
FRESH_SECONDS: Final = 15.0  # in which a worker counts as new, and gets its share at once
NEVER: Final = float("inf")


@dataclass(slots=True)
class Mail:
    """What was passed to one sibling, and is not known to be taken."""

    mailbox: Mailbox
    row: Row
    passed_at: float  # the first of it
    silent_since: float  # its owner's loop is not known to have turned since then
    look_at: float


class Heirs:
    """The siblings of one worker, as `Siblings` has them: the holder of the role, unless a method says otherwise."""

    def __init__(
        self, board: Board, own: int, mailboxes: Mapping[int, Mailbox], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`own` is the index of the worker's own row, which has its place; there is a mailbox for each place."""
        self._board = board
        self._own = own
        self._row = board.row(own)
        self._mailboxes = dict(mailboxes)
        self._clock = clock
        self._mailbox = self._mailboxes[self._row[Field.PLACE]]
        self._addresses = 0
        self._limit = 0
        self._now = 0.0  # the event loop's
        self._rows: list[tuple[int, Row]] = []
        self._rows_until = 0.0
        self._mail: dict[int, Mail] = {}
        self._suspects: dict[int, float] = {}  # siblings that did not take what was passed, and when they were caught
        self._dice = random.Random()  # noqa: S311 - chances, no secrets
        self._next_look = 0.0
        self._was_uneven = False
        self.due = NEVER

    @property
    def mailbox(self) -> int:
        """See Siblings."""
        return self._mailbox.fd

    def serve(self, addresses: int, threads: int, limit: int) -> None:
        """Take connections from now on: from those who serve the same `addresses`, up to `limit`. Any thread."""
        self._addresses, self._limit = addresses, limit
        row = self._row
        row[Field.THREADS] = threads
        row[Field.ADDRESSES] = addresses

    def add(self, mailboxes: Mapping[int, Mailbox]) -> None:
        """Learn the mailboxes of new places. Any thread."""
        self._mailboxes = {**self._mailboxes, **mailboxes}

    def leave(self) -> None:
        """See Siblings."""
        self._row[Field.ADDRESSES] = 0

    # -- what the loop tells

    def note_turn(self, now: float, connections: int, running: int, queued: int) -> None:
        """See Siblings."""
        row = self._row
        self._now = now
        row[Field.TURNED_AT] = int(now * 1000)
        row[Field.CONNECTIONS] = connections
        row[Field.BUSY] = running
        row[Field.QUEUED] = queued
        if row[Field.HINT]:  # what is there is taken in this turn
            row[Field.HINT] = 0

    def note_connections(self, count: int) -> None:
        """See Siblings."""
        self._row[Field.CONNECTIONS] = count

    def note_idle(self, count: int) -> None:
        """See Siblings."""
        self._row[Field.IDLE] = count

    # -- passing

    def place(self, sock: socket.socket, peer: Peer, listener: str, connections: int) -> bool:
        """See Siblings."""
        row, now = self._row, self._now
        row[Field.ACCEPTED] += 1
        mine = Load(connections, row[Field.BUSY] + row[Field.QUEUED], row[Field.THREADS])
        if not needs_placing(mine):
            return False
        heirs = self._heirs(now)
        index = place(mine, [load for _, _, load in heirs])
        if index is None:
            return False
        kept = Kept(listener, peer, opened_at=now, idle_since=now, is_new=True)
        return self._pass(*heirs[index][:2], sock, kept)

    def give(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        heirs = self._heirs(self._now)
        while (index := fewest([load for _, _, load in heirs])) is not None:
            number, row, _ = heirs.pop(index)
            if self._pass(number, row, sock, kept):
                return True
        return False

    def share(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        heirs = self._heirs(self._now)
        weights = wants(self._row[Field.CONNECTIONS], [load.connections for _, _, load in heirs])
        if not any(weights):
            return False
        ((number, row, _),) = self._dice.choices(heirs, weights)
        if not self._pass(number, row, sock, kept):
            return False
        self._row[Field.CONNECTIONS] -= 1
        self._row[Field.REBALANCED] += 1
        return True

    def has_heir(self) -> bool:
        """See Siblings."""
        return bool(self._heirs(self._clock()))

    def _pass(self, index: int, row: Row, sock: socket.socket, kept: Kept) -> bool:
        mailbox = self._mailboxes[row[Field.PLACE]]
        if not mailbox.put(sock, kept):
            return False
        row[Field.HINT] += 1
        self._row[Field.PASSED_ON] += 1
        if index not in self._mail:
            now = self._clock()
            self._mail[index] = Mail(mailbox, row, now, now, now + PATIENCE_SECONDS)
            self.due = min(self.due, now + PATIENCE_SECONDS)
        return True

    def _heirs(self, now: float) -> list[tuple[int, Row, Load]]:
        """Return the siblings that may be given something, with their loads."""
        if now >= self._rows_until or not self._rows:
            self._rows = [(index, row) for index, row in self._board.used().items() if index != self._own]
            self._rows_until = now + ROWS_SECONDS
        silent = to_ms(now - SILENT_SECONDS)
        found = []
        for index, row in self._rows:
            hint, turned_at = row[Field.HINT], row[Field.TURNED_AT]
            if row[Field.ADDRESSES] != self._addresses or row[Field.PLACE] not in self._mailboxes:
                continue
            if (hint and turned_at < silent) or turned_at <= self._suspects.get(index, -1):
                continue
            connections = row[Field.CONNECTIONS] + hint
            if connections < self._limit:
                tasks = row[Field.BUSY] + row[Field.QUEUED] + hint
                found.append((index, row, Load(connections, tasks, row[Field.THREADS])))
        return found

    # -- taking

    def take(self) -> Arrival | None:
        """See Siblings."""
        arrival = self._mailbox.take()
        if arrival is None:
            self._row[Field.HINT] = 0
        else:
            self._row[Field.TAKEN_OVER] += 1
        return arrival

    def recall(self, now: float) -> Iterator[Arrival]:
        """See Siblings."""
        for index, mail in list(self._mail.items()):
            if now < mail.look_at:
                continue
            if mail.mailbox.is_empty():
                del self._mail[index]
            elif self._is_patient(mail, now):
                mail.silent_since = now
                mail.look_at = now + PATIENCE_SECONDS
            else:
                if mail.row[Field.TURNED_AT] <= to_ms(mail.silent_since):
                    self._suspects[index] = to_ms(now)
                while arrival := mail.mailbox.take():
                    self._row[Field.TAKEN_OVER] += 1
                    yield arrival
                del self._mail[index]
        self.due = min((mail.look_at for mail in self._mail.values()), default=NEVER)

    def _is_patient(self, mail: Mail, now: float) -> bool:
        """Whether what lies in a mailbox may be left there for another moment."""
        has_turned = mail.row[Field.TURNED_AT] > to_ms(mail.silent_since)
        return has_turned and mail.row[Field.ADDRESSES] != 0 and now < mail.passed_at + LONG_SECONDS

    # -- evening out

    def gift(self, now: float) -> int:
        """Return how many kept connections should go to siblings now. The thread of the watcher, as often as it likes.

        That others have fewer must hold for two looks, unless there is a new worker.
        """
        if now < self._next_look:
            return 0
        self._next_look = now + LOOK_SECONDS
        heirs = self._heirs(now)
        count = gift(self._row[Field.CONNECTIONS], [load.connections for _, _, load in heirs])
        was_uneven, self._was_uneven = self._was_uneven, count > 0
        born = max((row[Field.BORN_AT] for _, row, _ in heirs), default=0)
        return count if was_uneven or born > to_ms(now - FRESH_SECONDS) else 0
