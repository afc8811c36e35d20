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

from waitressd.fleet.board import Board, Field, to_ms
from waitressd.fleet.sharing import Load, enough, fewest, gift, needs_placing, place, wants
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

# As plain numbers: looking a member up in its class costs as much as the store.
_TURNED_AT: Final = int(Field.TURNED_AT)
_CONNECTIONS: Final = int(Field.CONNECTIONS)
_BUSY: Final = int(Field.BUSY)
_QUEUED: Final = int(Field.QUEUED)
_THREADS: Final = int(Field.THREADS)
_ACCEPTED: Final = int(Field.ACCEPTED)
_ADDRESSES: Final = int(Field.ADDRESSES)
_PLACE: Final = int(Field.PLACE)
_HINT: Final = int(Field.HINT)
_HINTED_AT: Final = int(Field.HINTED_AT)

Numbers = memoryview
"""Of one row."""


@dataclass(slots=True)
class Mail:
    """What was passed to one sibling, and is not known to be taken."""

    mailbox: Mailbox
    row: Numbers
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
        self._row = board.row(own).numbers
        self._mailboxes = dict(mailboxes)
        self._clock = clock
        self._mailbox = self._mailboxes[self._row[_PLACE]]
        self._addresses = 0
        self._limit = 0
        self._rows: list[tuple[int, Numbers]] = []
        self._rows_until = 0.0
        self._mail: dict[tuple[int, int], Mail] = {}  # by row and place: a row may be another worker's meanwhile
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
        row[_THREADS] = threads
        row[_ADDRESSES] = addresses

    def add(self, mailboxes: Mapping[int, Mailbox]) -> None:
        """Learn the mailboxes of new places. Any thread."""
        self._mailboxes = {**self._mailboxes, **mailboxes}

    def leave(self) -> None:
        """See Siblings."""
        self._row[_ADDRESSES] = 0

    # -- what the loop tells

    def note_turn(self, now: float, running: int, queued: int) -> None:
        """See Siblings."""
        row = self._row
        row[_TURNED_AT] = int(now * 1000)
        row[_BUSY] = running
        row[_QUEUED] = queued
        if row[_HINT]:  # what is there is taken in this turn
            row[_HINT] = 0

    def note_connections(self, count: int) -> None:
        """See Siblings."""
        self._row[_CONNECTIONS] = count

    def note_idle(self, count: int) -> None:
        """See Siblings."""
        self._row[Field.IDLE] = count

    # -- passing

    def place(self, sock: socket.socket, peer: Peer, listener: str, connections: int) -> bool:
        """See Siblings."""
        row = self._row
        row[_ACCEPTED] += 1
        mine = Load(connections, row[_BUSY] + row[_QUEUED], row[_THREADS])
        if not needs_placing(mine):
            return False
        now = self._clock()
        if not mine.is_busy and not self._has_less(now, enough(connections)):
            return False
        heirs = self._heirs(now)
        index = place(mine, [load for _, _, load in heirs])
        if index is None:
            return False
        kept = Kept(listener, peer, opened_at=now, idle_since=now, is_new=True)
        return self._pass(*heirs[index][:2], sock, kept, Field.PASSED_ON)

    def give(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        heirs = self._heirs(self._clock())
        while (index := fewest([load for _, _, load in heirs])) is not None:
            number, row, _ = heirs.pop(index)
            if self._pass(number, row, sock, kept, Field.DRAINED):
                return True
        return False

    def share(self, sock: socket.socket, kept: Kept) -> bool:
        """See Siblings."""
        heirs = self._heirs(self._clock())
        weights = wants(self._row[_CONNECTIONS], [load.connections for _, _, load in heirs])
        if not any(weights):
            return False
        ((number, row, _),) = self._dice.choices(heirs, weights)
        if not self._pass(number, row, sock, kept, Field.REBALANCED):
            return False
        self._row[_CONNECTIONS] -= 1
        return True

    def has_heir(self) -> bool:
        """See Siblings."""
        return bool(self._heirs(self._clock()))

    def _pass(self, index: int, row: Numbers, sock: socket.socket, kept: Kept, counted_as: Field) -> bool:
        of_place = row[_PLACE]
        mailbox = self._mailboxes.get(of_place)
        if mailbox is None:  # it has died since it was chosen, and the row is free
            return False
        # Before it is there: the sibling may take it, and find the hint, before this process goes on.
        if not row[_HINT]:
            row[_HINTED_AT] = to_ms(self._clock())
        row[_HINT] += 1
        if not mailbox.put(sock, kept):
            row[_HINT] = max(0, row[_HINT] - 1)
            return False
        self._row[counted_as] += 1
        if (index, of_place) not in self._mail:
            now = self._clock()
            self._mail[index, of_place] = Mail(mailbox, row, now, now, now + PATIENCE_SECONDS)
            self.due = min(self.due, now + PATIENCE_SECONDS)
        return True

    def _siblings(self, now: float) -> list[tuple[int, Numbers]]:
        if now >= self._rows_until or not self._rows:
            self._rows = [(index, row.numbers) for index, row in self._board.used().items() if index != self._own]
            self._rows_until = now + ROWS_SECONDS
        return self._rows

    def _has_less(self, now: float, connections: float) -> bool:
        """Whether any other worker has fewer connections, one that may be given nothing included.

        Mostly none has, and to see that takes a fraction of the time that it takes to find who may be given something.
        """
        for _, row in self._siblings(now):  # noqa: SIM110 - a generator would take half as long again
            if row[_CONNECTIONS] + row[_HINT] < connections:
                return True
        return False

    def _heirs(self, now: float) -> list[tuple[int, Numbers, Load]]:
        """Return the siblings that may be given something, with their loads."""
        silent = to_ms(now - SILENT_SECONDS)
        found = []
        for index, row in self._siblings(now):
            hint, turned_at = row[_HINT], row[_TURNED_AT]
            if row[_ADDRESSES] != self._addresses or row[_PLACE] not in self._mailboxes:
                continue
            if (hint and turned_at <= row[_HINTED_AT] < silent) or (
                self._suspects and turned_at <= self._suspects.get(index, -1)
            ):
                continue
            connections = row[_CONNECTIONS] + hint
            if connections < self._limit:
                tasks = row[_BUSY] + row[_QUEUED] + hint
                found.append((index, row, Load(connections, tasks, row[_THREADS])))
        return found

    # -- taking

    def take(self) -> Arrival | None:
        """See Siblings."""
        arrival = self._mailbox.take()
        if arrival is None:
            self._row[_HINT] = 0
        else:
            self._row[Field.TAKEN_OVER] += 1
        return arrival

    def recall(self, now: float) -> Iterator[Arrival]:
        """See Siblings."""
        try:
            for key, mail in list(self._mail.items()):
                if now < mail.look_at:
                    continue
                if mail.mailbox.is_empty():
                    del self._mail[key]
                elif self._is_patient(mail, now):
                    mail.silent_since = now
                    mail.look_at = now + PATIENCE_SECONDS
                else:
                    if mail.row[_TURNED_AT] <= to_ms(mail.silent_since):
                        self._suspects[key[0]] = to_ms(now)
                    mail.look_at = now + LONG_SECONDS  # again, if there is no descriptor for it
                    while arrival := mail.mailbox.take():
                        self._row[Field.TAKEN_OVER] += 1
                        yield arrival
                    del self._mail[key]
        finally:
            self.due = min((mail.look_at for mail in self._mail.values()), default=NEVER)

    def _is_patient(self, mail: Mail, now: float) -> bool:
        """Whether what lies in a mailbox may be left there for another moment."""
        has_turned = mail.row[_TURNED_AT] > to_ms(mail.silent_since)
        return has_turned and mail.row[_ADDRESSES] != 0 and now < mail.passed_at + LONG_SECONDS

    # -- evening out

    def gift(self, now: float) -> int:
        """Return how many kept connections should go to siblings now. The thread of the watcher, as often as it likes.

        That others have fewer must hold for two looks, unless there is a new worker.
        """
        if now < self._next_look:
            return 0
        self._next_look = now + LOOK_SECONDS
        heirs = self._heirs(now)
        count = gift(self._row[_CONNECTIONS], [load.connections for _, _, load in heirs])
        was_uneven, self._was_uneven = self._was_uneven, count > 0
        born = max((row[Field.BORN_AT] for _, row, _ in heirs), default=0)
        return count if was_uneven or born > to_ms(now - FRESH_SECONDS) else 0
