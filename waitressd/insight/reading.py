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
    ROUTE_NUMBERS,
    STATUSES,
    TICKS_AT,
    TICKS_PER_SECOND,
    Reading,
)
from waitressd.net import ledger as rows
from waitressd.net.ledger import BUCKETS, ENDED_BY, Key, Ledger, Row

_REFUSED: Final = rows.ENDINGS + ENDED_BY.index("refused")
_RECEIVE_AT: Final = BUCKETS_AT + BUCKETS * PHASES.index("receive")
_REFUSALS_AT: Final = len(STATUSES)


class Refusals(Protocol):
    """Who counts requests that were answered 503, by why."""

    refused_full: int
    """The queue was full."""
    refused_late: int
    """They were in it for too long."""


class LedgerReader:
    """Reads the ledgers of one server. One thread.

    Most rows of a second have not changed: a look at them is a comparison.
    """

    def __init__(self, ledgers: Sequence[Ledger], slow: Refusals, delays: Sequence[Delays]) -> None:
        """`delays` are those of timers."""
        self._ledgers = ledgers
        self._slow = slow
        self._delays = delays
        self._rows: dict[tuple[int, Key], Row] = {}
        self._totals = array("q", bytes(8 * NUMBERS))
        self._routes: dict[str, array[int]] = {}

    def read(self, busy_threads: int = 0, queue_depth: int = 0) -> Reading:
        """Return what was counted so far."""
        for number, ledger in enumerate(self._ledgers):
            for key in ledger.all_keys():
                row = ledger.row(key)
                before = self._rows.get((number, key))
                if row != before:
                    self._rows[number, key] = row
                    self._add(key, row, before)
        return Reading(self._with_the_rest(), self._routes.copy(), busy_threads, queue_depth)

    def _add(self, key: Key, row: Row, before: Row | None) -> None:
        numbers = _numbers(key, row)
        if before is not None:
            numbers = list(map(sub, numbers, _numbers(key, before)))
        self._totals = array("q", map(add, self._totals, numbers))
        route = self._routes.get(key[0])
        new = numbers[:ROUTE_NUMBERS]
        self._routes[key[0]] = array("q", new if route is None else map(add, route, new))

    def _with_the_rest(self) -> array[int]:
        """Add what is not counted in rows."""
        totals = self._totals[:]
        full, late = self._slow.refused_full, self._slow.refused_late
        totals[_REFUSALS_AT] += late
        totals[_REFUSALS_AT + 1 : _REFUSALS_AT + 3] = array("q", (full, late))
        for ledger in self._ledgers:
            for number in range(len(STATUSES)):
                for place, count in enumerate(ledger.of_class(number), _RECEIVE_AT):  # flushing comes next
                    totals[place] += int(count)
        for delays in self._delays:
            for place, count in enumerate(delays.buckets, NUMBERS - BUCKETS):
                totals[place] += count
        return totals


def _numbers(key: Key, row: Row) -> list[int]:
    """Return the numbers of a row in the order of a reading. What was fast is in the first bucket of each phase."""
    fast = int(row[rows.FAST])
    numbers = [0] * NUMBERS
    numbers[key[2] // 100] = fast + int(sum(row[rows.ENDINGS : rows.ENDINGS + len(ENDED_BY)]))
    numbers[_REFUSALS_AT] = int(row[_REFUSED])
    sums = (
        row[rows.TOTAL_SUM] + row[rows.FAST_SUM],
        row[rows.QUEUE_SUM],
        row[rows.APPLICATION_SUM] + row[rows.FAST_SUM],
        row[rows.RECEIVE_SUM],
        row[rows.FLUSH_SUM],
    )
    numbers[TICKS_AT:BUCKETS_AT] = [int(seconds * TICKS_PER_SECOND) for seconds in sums]
    for place, first in enumerate((rows.TOTAL, rows.QUEUE, rows.APPLICATION)):
        start = BUCKETS_AT + BUCKETS * place
        numbers[start : start + BUCKETS] = [int(count) for count in row[first : first + BUCKETS]]
    for place in range(len(PHASES)):
        numbers[BUCKETS_AT + BUCKETS * place] += fast
    return numbers
