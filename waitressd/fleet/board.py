"""The board: shared memory with one row for each worker, in which a worker says how it is while it serves.

Whoever hangs, is stopped or is killed leaves its row as it was, so the master and the other workers can read what it
had in hand. A row has fields, numbers of 8 bytes that are read and stored as a whole; each has one writer, named in
`Field`. Reading and writing never wait for anybody.

Places are not rows: while a worker replaces another, two rows have the same place.
"""

import contextlib
import mmap
import os
import sys
from enum import IntEnum
from typing import Final, Self
from zlib import crc32

from waitressd.inhand import ENTRY_BYTES, InHand, read
from waitressd.memoryfile import new_file

ROWS: Final = 600
"""How many workers there can be at once. The system gives memory for those rows alone that were used."""
ROW_BYTES: Final = 1 << 16
FIELDS_BYTES: Final = 1024  # of a row, at its beginning; there is room for more fields than there are
MS_PER_SECOND: Final = 1000

_NUMBER_BYTES: Final = 8
_SIGNATURE, _ROWS = range(2)  # the numbers of the head, of which the signature is the first
_OWNERS: Final = 8
"""From this number of the head on, which worker each row belongs to; 0 for a free row."""
_HEAD_BYTES: Final = 1 << 13
NAMED: Final = 4
"""Of the requests that a worker had in hand, how many a line names."""


class Field(IntEnum):  # where a number is in a row; no state
    """The numbers of a row, all 0 at first. Times are milliseconds of the monotonic clock, 0 for one that never was."""

    # -- the master writes
    NUMBER = 0  # of the worker: each has another, as long as the fleet lives
    PLACE = 1  # 1 or more
    PID = 2  # 0 until it is known
    STAGE = 3  # a WorkerStage
    BORN_AT = 4  # it was asked for
    # -- the worker writes
    LOOKED_AT = 8  # its watcher looked last: the interpreter runs, whatever the event loops do
    TURNED_AT = 9  # an event loop of it turned; one that rests is made to, once a second
    CONNECTIONS = 10
    IDLE = 11  # connections that are kept without a request on them: these may be moved
    BUSY = 12  # threads that run a task
    QUEUED = 13  # requests that wait for a thread
    THREADS = 14  # how many tasks may run at once
    ENDED_AT = 15  # a thread was free last, or had just ended a task and begun another
    REQUESTS = 16  # that have ended, where requests are counted
    ACCEPTED = 17  # connections from its listeners
    PASSED_ON = 18  # of those, new ones that it gave to a sibling with less to do
    TAKEN_OVER = 19  # connections that siblings have passed to it
    REBALANCED = 20  # kept connections that it gave to siblings while it went on serving
    ADDRESSES = 21  # equal where the same ones are served in the same way; 0 while it takes nothing of siblings
    DRAINED = 22  # kept connections that it gave to siblings as it ended
    # -- several write
    HINT = 24  # siblings add one for each connection that they pass; the worker sets it to 0 when it has taken them
    HINTED_AT = 25  # a sibling has passed the first of those


def to_ms(seconds: float) -> int:
    """Return a time as a field has it."""
    return int(seconds * MS_PER_SECOND)


class Row:
    """One row: `row[Field.BUSY]` reads a number, `row[Field.BUSY] = 3` stores it. Any thread, never waits."""

    __slots__ = ("_memory", "_numbers", "entries")

    def __init__(self, memory: memoryview) -> None:
        self._memory: Final = memory
        self._numbers: Final = memory[:FIELDS_BYTES].cast("q")
        self.entries: Final = memory[FIELDS_BYTES:]
        """What the threads of the worker have in hand, see `waitressd.inhand`."""

    def __getitem__(self, field: Field) -> int:
        """Read a number."""
        return self._numbers[field]

    def __setitem__(self, field: Field, value: int) -> None:
        """Store a number. For the writer of the field."""
        self._numbers[field] = value

    def in_hand(self) -> list[InHand]:
        """Return the requests that the worker has in hand, the oldest first."""
        return read(self.entries)

    @property
    def numbers(self) -> "memoryview[int]":
        """The fields themselves, for who reads or stores them at each turn of a loop: in a quarter of the time."""
        return self._numbers

    def clear(self) -> None:
        """Set everything to 0. Its worker has ended."""
        self._memory[:] = bytes(len(self._memory))

    def release(self) -> None:
        """Let go of the memory; twice is harmless."""
        self._numbers.release()
        with contextlib.suppress(BufferError):  # the threads of this process have entries in it
            self.entries.release()
            self._memory.release()


class Board:
    """The memory, as one process sees it: `create` makes it, `attach` finds it.

    `claim` and `free` belong to one thread of the master, everything else to any.
    """

    def __init__(self, memory: mmap.mmap, fd: int) -> None:
        self._memory: Final = memory
        self.fd = fd
        """By which other processes attach it; closed by `close`."""
        whole = memoryview(memory)
        self._head: Final = whole[:_HEAD_BYTES].cast("q")
        whole.release()
        self._rows: Final[dict[int, Row]] = {}

    @classmethod
    def create(cls, rows: int = ROWS) -> Self:
        """Make a board with so many rows, all free. Raises OSError: there is no memory."""
        fd = new_file("waitressd-board")
        try:
            os.ftruncate(fd, _HEAD_BYTES + rows * ROW_BYTES)
            board = cls(mmap.mmap(fd, 0), fd)
        except OSError:
            os.close(fd)
            raise
        board._head[_ROWS] = rows
        board._head[_SIGNATURE] = SIGNATURE
        return board

    @classmethod
    def attach(cls, fd: int) -> Self:
        """Find the board that another process has made; the descriptor belongs to it from now on.

        Raises OSError, and ValueError if a row means something else there; then the descriptor is closed.
        """
        try:
            memory = mmap.mmap(fd, 0)
            if int.from_bytes(memory[:_NUMBER_BYTES], sys.byteorder) != SIGNATURE:
                memory.close()
                raise ValueError("the board has another layout")
        except (OSError, ValueError):
            os.close(fd)
            raise
        return cls(memory, fd)

    def __len__(self) -> int:
        """How many rows there are, free ones too."""
        return self._head[_ROWS]

    def claim(self, worker: int) -> int | None:
        """Return a row for the worker with this number (1 or more); None if all are in use."""
        for index in range(len(self)):
            if not self._head[_OWNERS + index]:
                self._head[_OWNERS + index] = worker
                self.row(index)[Field.NUMBER] = worker
                return index
        return None

    def free(self, index: int) -> None:
        """Clear a row, whose worker has ended, for the next one. Twice is harmless."""
        if self._head[_OWNERS + index]:
            self.row(index).clear()
            self._head[_OWNERS + index] = 0

    def row(self, index: int) -> Row:
        """Return a row."""
        row = self._rows.get(index)
        if row is None:
            start = _HEAD_BYTES + index * ROW_BYTES
            row = self._rows[index] = Row(memoryview(self._memory)[start : start + ROW_BYTES])
        return row

    def used(self) -> dict[int, Row]:
        """Return the rows that belong to workers, by their index."""
        owners = self._head[_OWNERS : _OWNERS + len(self)].tolist()
        return {index: self.row(index) for index, owner in enumerate(owners) if owner}

    def close(self) -> None:
        """Let go of the memory, and of the rows that were handed out; twice is harmless."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        self._head.release()
        for row in self._rows.values():
            row.release()
        with contextlib.suppress(BufferError):  # a thread reads; then the memory goes when that is done
            self._memory.close()


SIGNATURE: Final = crc32(repr((_OWNERS, _HEAD_BYTES, FIELDS_BYTES, ROW_BYTES, ENTRY_BYTES, *map(repr, Field))).encode())
"""What says that two processes mean the same by a number: they may run different versions of this module."""
