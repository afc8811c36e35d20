"""Writes into a row what one process has counted: its ledgers, and what its server says besides.

A ledger has floats and many more buckets than are shown of a series; a row has whole numbers. What has come since the
last time is added, number by number, so that nothing in a row ever falls and several series may share one slot.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from waitressd.metrics import layout
from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import CLASS, HISTOGRAM, PHASES, SERIES_BOUNDS, SLOT, SLOTS, STATUSES, to_ticks
from waitressd.metrics.pauses import Steps
from waitressd.metrics.series import AnyKey
from waitressd.net import ledger as rows
from waitressd.net.ledger import BOUNDS, BUCKETS, ENDED_BY, Key, Ledger, Row

_SLOT_BUCKETS: Final = tuple(
    bisect_left(SERIES_BOUNDS, bound) for bound in (*BOUNDS, float("inf"))
)  # of each bucket of a ledger, the one of a series that it is in
_PHASE_OF_SUM: Final = {
    rows.RECEIVE_SUM: "receive",
    rows.QUEUE_SUM: "queue",
    rows.APPLICATION_SUM: "application",
    rows.FLUSH_SUM: "flush",
    rows.TOTAL_SUM: "total",
}


def _in_class(phase: str, number: int) -> int:
    return len(ENDED_BY) + PHASES.index(phase) * HISTOGRAM + number


Places = tuple[int, ...]


def _targets() -> list[tuple[Places, Places]]:
    """Say where each number of a ledger's row goes: places among those of its class of status, and in its slot."""
    found: list[tuple[Places, Places]] = [((), ())] * rows.ROW_NUMBERS
    # Of what was fast, each phase took less than the first bound.
    found[rows.FAST] = (0, *(_in_class(phase, 0) for phase in PHASES)), (0,)
    found[rows.FAST_SUM] = (_in_class("application", BUCKETS), _in_class("total", BUCKETS)), (SLOT - 1,)
    for number, phase in _PHASE_OF_SUM.items():
        found[number] = (_in_class(phase, BUCKETS),), (SLOT - 1,) if phase == "total" else ()
    for number in range(len(ENDED_BY)):
        found[rows.ENDINGS + number] = (number,), ()
    for phase, first in (("queue", rows.QUEUE), ("application", rows.APPLICATION), ("total", rows.TOTAL)):
        for number in range(BUCKETS):
            in_slot = (_SLOT_BUCKETS[number],) if phase == "total" else ()
            found[first + number] = (_in_class(phase, number),), in_slot
    return found


_TARGETS: Final = _targets()
_SUMS: Final = frozenset({rows.FAST_SUM, *_PHASE_OF_SUM})


class RowWriter:
    """Keeps one row up to date. One thread at a time. `slot` returns the slot of a series, None if it is not known yet.

    A request that is in no slot yet is counted for its class of status all the same, and for its series later.
    """

    def __init__(self, row: memoryview, slot: Callable[[AnyKey], int | None]) -> None:
        self._row: Final = row
        self._slot: Final = slot
        self._classes: dict[tuple[int, Key], Row] = {}  # what was written of each row of a ledger
        self._series: dict[tuple[int, Key], Row] = {}
        self._phases: dict[tuple[int, int], Row] = {}

    def write(self, ledgers: Sequence[Ledger], figures: Figures) -> Steps[None]:
        """Add what has come, with a pause after each series that has changed."""
        self._write_counts(ledgers, figures)
        for number, ledger in enumerate(ledgers):
            for key in ledger.all_keys():
                if self._write_row((number, key), ledger.row(key)):
                    yield
            for status in range(len(STATUSES)):
                self._write_phases((number, status), ledger.of_class(status))
            yield

    def _write_row(self, which: tuple[int, Key], row: Row) -> bool:
        """Add what has come to one row of a ledger, for its class and for its series; whether there was any."""
        status = which[1][2] // 100
        is_new = self._add(self._classes.get(which), row, 0, layout.CLASSES + status * CLASS)
        self._classes[which] = row
        if self._series.get(which) == row:
            return is_new
        slot = self._slot(which[1])
        if slot is not None:
            self._add(self._series.get(which), row, 1, SLOTS + slot * SLOT)
            self._series[which] = row
        return True

    def _add(self, before: Row | None, row: Row, targets: int, first: int) -> bool:
        if before == row:
            return False
        written = self._row
        for number, value in enumerate(row):
            old = before[number] if before is not None else 0
            if value != old:
                more = to_ticks(value) - to_ticks(old) if number in _SUMS else int(value - old)
                for place in _TARGETS[number][targets]:
                    written[first + place] += more
        return True

    def _write_phases(self, which: tuple[int, int], numbers: Row) -> None:
        """Add what has come to receiving and flushing, which ledgers count by class of status alone."""
        before = self._phases.get(which)
        if before == numbers:
            return
        self._phases[which] = numbers
        for phase, start in (("receive", rows.RECEIVE), ("flush", rows.FLUSH)):
            first = layout.histogram_at(which[1], phase) - start
            for number in range(start, start + BUCKETS):
                self._row[first + number] += int(numbers[number] - (before[number] if before is not None else 0))

    def _write_counts(self, ledgers: Sequence[Ledger], figures: Figures) -> None:
        """Write what is counted elsewhere. A look that came at a bad moment lets no number fall."""
        folded = sum(ledger.folded for ledger in ledgers)
        counts = (folded if name == "folded" else getattr(figures, name) for name in layout.COUNTS_OF)
        self._raise(layout.COUNTERS, counts)
        self._raise(layout.TIMED_OUT, (figures.timeouts.get(name, 0) for name in layout.TIMEOUTS))
        self._raise(layout.DELAYS, figures.delays)
        self._raise(layout.HANDSHAKES_ENDED, (figures.handshakes.get(name, 0) for name in layout.HANDSHAKES))
        self._raise(layout.CERTIFICATES_CHANGED, (figures.reloads.get(name, 0) for name in layout.RENEWALS))
        for name, count in figures.lost_records.items():
            slot = self._slot((name,))
            if slot is not None:
                self._raise(SLOTS + slot * SLOT, (count,))

    def _raise(self, first: int, values: Iterable[int]) -> None:
        for number, value in enumerate(values, first):
            self._row[number] = max(self._row[number], value)
