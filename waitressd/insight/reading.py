"""Takes readings for a history: what ledgers have counted so far, as whole numbers."""

from array import array
from collections.abc import Sequence
from operator import add, sub
from typing import Final, Protocol

from waitressd.dispatch.delays import Delays
from waitressd.insight.history import (
    BUCKETS_AT,
    NUMBERS,
    PHASES,
    STATUSES,
    TICKS_AT,
    TICKS_PER_SECOND,
    Reading,
)
from waitressd.net import ledger as rows
from waitressd.net.ledger import BUCKETS, ENDED_BY, Key, Ledger, Row

_REFUSALS_AT: Final = len(STATUSES)
_REFUSED: Final = rows.ENDINGS + ENDED_BY.index("refused")
_SUMS: Final = tuple(
    {
        "total": (rows.TOTAL_SUM, rows.FAST_SUM),
        "queue": (rows.QUEUE_SUM,),
        "application": (rows.APPLICATION_SUM, rows.FAST_SUM),
        "receive": (rows.RECEIVE_SUM,),
        "flush": (rows.FLUSH_SUM,),
    }[phase]
    for phase in PHASES
)
"""Where a row has the seconds of each phase. What was fast counts as the application's."""
_BUCKETS: Final = {"queue": rows.QUEUE, "application": rows.APPLICATION, "total": rows.TOTAL}
_TOTAL: Final = BUCKETS * list(_BUCKETS).index("total")


class Refusals(Protocol):
    """Who counts requests that were answered 503, by why."""

    refused_full: int
    """The queue was full."""
    refused_late: int
    """They were in it for too long."""


class _Known:
    """What a row had at the last look."""

    __slots__ = ("numbers", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        ended = sum(row[rows.ENDINGS : rows.QUEUE])
        ticks = (int(sum(row[place] for place in places) * TICKS_PER_SECOND) for places in _SUMS)
        self.numbers: list[int] = [int(row[rows.FAST]), int(row[rows.FAST] + ended), int(row[_REFUSED]), *ticks]
        """How many were fast; how many there were; how many were refused; and the ticks of each phase."""


_NOTHING: Final = _Known([0] * rows.ROW_NUMBERS)


class LedgerReader:
    """Reads the ledgers of one server. One thread.

    Most rows of a second have not changed, and cost a comparison. Of the others the differences are added up: so what
    a row costs does not depend on how many numbers a reading has.
    """

    def __init__(self, ledgers: Sequence[Ledger], slow: Refusals, delays: Sequence[Delays]) -> None:
        """`delays` are those of timers."""
        self._ledgers = ledgers
        self._slow = slow
        self._delays = delays
        self._known: dict[tuple[int, Key], _Known] = {}
        self._fast = 0
        self._buckets = [0] * (BUCKETS * len(_BUCKETS))  # as in a row
        self._head = [0] * BUCKETS_AT  # what a reading has before its buckets
        self._routes: dict[str, array[int]] = {}

    def read(self, busy_threads: int = 0, queue_depth: int = 0) -> Reading:
        """Return what was counted so far."""
        for number, ledger in enumerate(self._ledgers):
            for key in ledger.all_keys():
                row = ledger.row(key)
                before = self._known.get((number, key), _NOTHING)
                if row != before.row:
                    self._known[number, key] = known = _Known(row)
                    self._add(key, known, before)
        return Reading(self._totals(), self._routes.copy(), busy_threads, queue_depth)

    def _add(self, key: Key, known: _Known, before: _Known) -> None:
        """Add what has come to a row. What a reading may have is never changed."""
        fast, count, refused, *ticks = map(sub, known.numbers, before.numbers)
        head = [0] * TICKS_AT + ticks
        head[key[2] // 100] = count
        head[_REFUSALS_AT] = refused
        buckets = [int(count) for count in map(sub, known.row[rows.QUEUE :], before.row[rows.QUEUE :])]
        self._fast += fast
        self._head = list(map(add, self._head, head))
        self._buckets = list(map(add, self._buckets, buckets))
        numbers = head + buckets[_TOTAL : _TOTAL + BUCKETS]
        numbers[BUCKETS_AT] += fast
        route = self._routes.get(key[0])
        self._routes[key[0]] = array("q", numbers if route is None else list(map(add, route, numbers)))

    def _totals(self) -> Sequence[int]:
        """Put a reading together."""
        totals = array("q", bytes(8 * NUMBERS))
        totals[:BUCKETS_AT] = array("q", self._head)
        full, late = self._slow.refused_full, self._slow.refused_late
        totals[_REFUSALS_AT] += late
        totals[_REFUSALS_AT + 1] = full
        totals[_REFUSALS_AT + 2] = late
        counts = self._counts()
        for place, phase in enumerate(PHASES):
            start = BUCKETS_AT + BUCKETS * place
            totals[start : start + BUCKETS] = array("q", counts[phase])
            totals[start] += self._fast
        for delays in self._delays:
            for place, count in enumerate(delays.buckets, NUMBERS - BUCKETS):
                totals[place] += count
        return totals

    def _counts(self) -> dict[str, list[int]]:
        """Return the buckets of each phase: of those in the rows, and of those that are counted by class of status."""
        counts = {name: self._buckets[n * BUCKETS : (n + 1) * BUCKETS] for n, name in enumerate(_BUCKETS)}
        classes = [ledger.of_class(number) for ledger in self._ledgers for number in range(len(STATUSES))]
        summed = [int(sum(numbers)) for numbers in zip(*classes, strict=True)] or [0] * rows.CLASS_NUMBERS
        for name, first in (("receive", rows.RECEIVE), ("flush", rows.FLUSH)):
            counts[name] = summed[first : first + BUCKETS]
        return counts
