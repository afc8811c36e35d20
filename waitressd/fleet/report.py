"""What a worker writes into its row of the board now and then: that its event loops turn, and how busy it is.

It looks from the thread that watches the event loops anyway, so a worker costs nothing by it that it had not before but
a turn of each loop. What is written there stays when it hangs.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from waitressd.dispatch.lane import Lane
from waitressd.fleet.board import Field, Row, to_ms
from waitressd.inhand import Desk
from waitressd.net.ledger import ENDINGS, FAST, QUEUE, Ledger
from waitressd.net.pulse import Pulse

LOOK_SECONDS: Final = 0.5


class Reporting(Protocol):
    """A server that says how it is."""

    @property
    def lanes(self) -> Sequence[Lane]:
        """Its event loops with their threads."""

    @property
    def pulse(self) -> Pulse | None:
        """Whether the loops live; None before they have begun."""


class Report:
    """Keeps a row up to date. The thread that watches the event loops."""

    def __init__(self, row: Row, desk: Desk, server: Reporting) -> None:
        self._row = row
        self._desk = desk
        self._server = server
        self._due = 0.0
        self._stacks_fd = -1
        self._stacks_bytes = 0
        self._tell: Callable[[], object] = _nobody

    def tell_of_stacks(self, fd: int, tell: Callable[[], object]) -> None:
        """Call `tell` when something was written to the file of stacks: somebody has sent a SIGQUIT."""
        self._stacks_fd, self._tell = fd, tell

    def on_tick(self, now: float) -> None:
        """Write, if it is time (monotonic seconds)."""
        if now < self._due:
            return
        self._due = now + LOOK_SECONDS
        row, lanes = self._row, self._server.lanes
        loops = [lane.dispatcher for lane in lanes]
        threads = sum(loop.role.task_limit for loop in loops)
        begun = self._desk.begun()
        row[Field.THREADS] = threads
        row[Field.BUSY] = len(begun)
        row[Field.QUEUED] = sum(loop.backlog()[0] for loop in loops)
        row[Field.CONNECTIONS] = sum(len(loop.channels) for loop in loops)
        row[Field.REQUESTS] = sum(_count(loop.ledger) for loop in loops if loop.ledger is not None)
        # A thread that has begun something has ended something before. Where one is free, nobody has to wait.
        row[Field.ENDED_AT] = to_ms(now if len(begun) < threads else max(begun, default=now))
        pulse = self._server.pulse
        if pulse is not None:
            # Never later than it has turned: siblings go by that. One that rests is poked, and turns by the next look.
            turned_at = pulse.turned_at
            row[Field.TURNED_AT] = to_ms(now if turned_at is None else turned_at)
            pulse.poke(now)
        row[Field.LOOKED_AT] = to_ms(now)
        self._look_at_stacks()

    def _look_at_stacks(self) -> None:
        if self._stacks_fd >= 0:
            size = os.fstat(self._stacks_fd).st_size
            if size != self._stacks_bytes:
                self._stacks_bytes = size
                self._tell()


def _nobody() -> None:
    """Where nobody wants to know."""


def _count(ledger: Ledger) -> int:
    """How many requests have ended. Looks at eight numbers of each row, and copies none."""
    rows = [row for table in (ledger.inline, ledger.aside) for row in list(table.rows.values())]
    return int(sum(row[FAST] + sum(row[ENDINGS:QUEUE]) for row in rows))
