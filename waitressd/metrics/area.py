"""Shared memory with one row of numbers for each worker process, and sums over all of them that never fall.

The memory begins with a head and two tables: which place each row belongs to, 0 for a free one, and which slot of a row
belongs to which series of requests (see `series.py`). Then come two rows for the sums of processes that have ended,
then the rows of processes. A row is written by its process alone, the table of series by whoever has a new one,
everything else by the master alone, in one thread. Any process and any thread may read at any time, without a lock: a
process that hangs, or is stopped or killed in the middle of something, can hold nobody up.
"""

import contextlib
import mmap
import os
import time
from array import array
from collections.abc import Generator, Iterator, Mapping
from operator import add
from typing import Any, Final, Self

from waitressd.metrics import layout
from waitressd.metrics.figures import Figures
from waitressd.metrics.gauges import fence, gauges_age, read_gauges
from waitressd.metrics.layout import COUNTERS, NUMBER_BYTES, SIGNATURE, TICKS_PER_SECOND
from waitressd.metrics.pauses import finish
from waitressd.metrics.series import SPARE_SLOTS, SeriesTable, own_descriptor, table_bytes

ROWS: Final = 1000
"""How many worker processes there can be at once. The system gives memory for those alone that there have been."""
SERIES: Final = 300

_SIGNATURE, _ROWS, _STARTED, _STEP, _SLOTS, _USED = range(6)  # the numbers of the head
_TABLE: Final = 8
_PAGE: Final = 512  # numbers, so that no two processes write to one page
_RETIRED: Final = 2  # rows
_FREE: Final = 0
_STEP_ROWS: Final = 1 << 16  # the step is (how often a row was retired) * this + (the row that is being retired, + 1)


def _pages(numbers: int) -> int:
    return -(-numbers // _PAGE) * _PAGE


class Area:
    """The memory, as one process sees it: `create` makes it, `attach` finds it, `private` is for a process alone."""

    def __init__(self, memory: Any, fd: int | None = None) -> None:  # noqa: ANN401 - whatever has a writable buffer
        self._memory: Final = memory
        self._fd = fd  # by which the series are locked
        self._head: Final = layout.numbers_in(memory, 0, _TABLE)
        self._places: Final = layout.numbers_in(memory, _TABLE, self._head[_ROWS])
        self.slots: Final = self._head[_SLOTS]
        first = _pages(_TABLE + self._head[_ROWS])
        text = layout.numbers_in(memory, first, table_bytes(self.slots) // NUMBER_BYTES).cast("B")
        self.series: Final = SeriesTable(self._head[_USED : _USED + 1], text, self.slots, fd)
        self._retired: Final = (self._numbers(0), self._numbers(1))
        self._rows: Final[dict[int, memoryview]] = {}

    # -- where it is

    @classmethod
    def create(cls, fd: int, rows: int = ROWS, series: int = SERIES) -> Self:
        """Make the area in an empty file, for so many series of requests and some more. Raises OSError."""
        size = _size(rows, series + SPARE_SLOTS)
        os.ftruncate(fd, size)
        return cls._begin(mmap.mmap(fd, size), rows, series, own_descriptor(fd))

    @classmethod
    def attach(cls, fd: int) -> Self:
        """Find the area that another process has made; the descriptor may be closed afterwards.

        Raises OSError, and ValueError if it means something else by its numbers.
        """
        memory = mmap.mmap(fd, 0)
        if len(memory) < _TABLE * NUMBER_BYTES or layout.numbers_in(memory, 0, _TABLE)[_SIGNATURE] != SIGNATURE:
            memory.close()
            raise ValueError("the counters have another layout")
        return cls(memory, own_descriptor(fd))

    @classmethod
    def private(cls, rows: int = 1, series: int = SERIES) -> Self:
        """Make an area that no other process sees."""
        return cls._begin(bytearray(_size(rows, series + SPARE_SLOTS)), rows, series)

    @classmethod
    def _begin(cls, memory: Any, rows: int, series: int, fd: int | None = None) -> Self:  # noqa: ANN401 - as in __init__
        head = layout.numbers_in(memory, 0, _TABLE)
        head[_ROWS] = rows
        head[_SLOTS] = series + SPARE_SLOTS
        head[_STARTED] = layout.to_ticks(time.time())
        head[_SIGNATURE] = SIGNATURE
        return cls(memory, fd)

    def close(self) -> None:
        """Let go of the memory, and of the rows of it that were handed out; twice is harmless."""
        for view in (self._head, self._places, *self._retired, *self._rows.values()):
            view.release()
        self.series.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if isinstance(self._memory, mmap.mmap):
            with contextlib.suppress(BufferError):  # a thread reads; then the memory goes when that is done
                self._memory.close()

    # -- for the master, in one thread

    def claim(self, place: int) -> int | None:
        """Return a row for a new process in this place (1 or more), None if all are in use."""
        free = next((index for index, owner in enumerate(self._places) if owner == _FREE), None)
        if free is not None:
            self._places[free] = place
        return free

    def retire(self, index: int) -> None:
        """Add a row to the sums of those that have ended, and free it. Its process has ended; twice is harmless."""
        step = self._head[_STEP]
        if step % _STEP_ROWS:  # something has interrupted the last time
            self._free(step)
            step = self._head[_STEP]
        if self._places[index] == _FREE:
            return
        # The new sums go where nobody looks. One store then tells every reader two things at once: which sums count,
        # and that this row does not any more. A reader that sees this store only after it has read begins again.
        turn = step // _STEP_ROWS + 1
        sums = map(add, self._retired[(turn + 1) % 2][COUNTERS:], self._counters(index))
        self._retired[turn % 2][COUNTERS:] = array("q", sums)
        fence()
        self._head[_STEP] = step = turn * _STEP_ROWS + index + 1
        fence()
        self._free(step)

    def _free(self, step: int) -> None:
        index = step % _STEP_ROWS - 1
        self.row(index)[:] = array("q", bytes(layout.row_numbers(self.slots) * NUMBER_BYTES))
        self._places[index] = _FREE
        fence()
        self._head[_STEP] = step - index - 1

    # -- for the process of a row

    def row(self, index: int) -> memoryview:
        """Return the row of a process, which it alone writes."""
        if index not in self._rows:
            self._rows[index] = self._numbers(_RETIRED + index)
        return self._rows[index]

    # -- for everybody

    @property
    def started(self) -> float:
        """When the counters began, in seconds since the epoch."""
        return self._head[_STARTED] / TICKS_PER_SECOND

    def totals(self) -> list[int]:
        """Return the sum of each counter over all processes that there are and were. None of them ever falls."""
        return finish(self.totals_in_steps())

    def totals_in_steps(self) -> Generator[None, None, list[int]]:
        """Return that, with a pause after each row."""
        while True:  # once more for each row that is retired meanwhile
            step = self._head[_STEP]
            fence()
            sums = list(self._retired[step // _STEP_ROWS % 2][COUNTERS:])
            for index, _ in self._owned(step):
                sums = list(map(add, sums, self._counters(index)))
                yield
            fence()
            if self._head[_STEP] == step:
                return sums

    def gauges(self, now: float) -> Mapping[int, list[tuple[Figures, float]]]:
        """Return the gauges of each process that has written any, by place, and how old they are in seconds.

        `now` is monotonic seconds.
        """
        found: dict[int, list[tuple[Figures, float]]] = {}
        for index, place in self._owned(self._head[_STEP]):
            row = self.row(index)
            age_seconds = gauges_age(row, now)
            if age_seconds is not None:
                found.setdefault(place, []).append((read_gauges(row), age_seconds))
        return dict(sorted(found.items()))

    def ages(self, now: float) -> dict[int, float]:
        """Return how long ago each process has written its row, in seconds, by row; `now` is monotonic seconds."""
        ages = ((index, gauges_age(self.row(index), now)) for index, _ in self._owned(self._head[_STEP]))
        return {index: age for index, age in ages if age is not None}

    def _owned(self, step: int) -> Iterator[tuple[int, int]]:
        """Yield (row, place) of each process."""
        retiring = step % _STEP_ROWS - 1
        for index, place in enumerate(self._places):
            if place != _FREE and index != retiring:
                yield index, place

    def _counters(self, index: int) -> memoryview:
        return self.row(index)[COUNTERS:]

    def _numbers(self, row: int) -> memoryview:
        numbers = layout.row_numbers(self.slots)
        return layout.numbers_in(
            self._memory, _head_numbers(self._head[_ROWS], self.slots) + row * _pages(numbers), numbers
        )


def _head_numbers(rows: int, slots: int) -> int:
    return _pages(_TABLE + rows) + _pages(table_bytes(slots) // NUMBER_BYTES)


def _size(rows: int, slots: int) -> int:
    return (_head_numbers(rows, slots) + (_RETIRED + rows) * _pages(layout.row_numbers(slots))) * NUMBER_BYTES
