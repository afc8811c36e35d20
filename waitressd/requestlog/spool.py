"""Lines that wait for their file, in memory that outlives the process.

A worker that is killed has answered requests whose lines have not been written yet. So its lines lie in a memory file
as well, whose descriptor another process holds: a ring of bytes behind a few numbers. That process reads the numbers
when the worker is dead, and not before, so that nobody has to wait for anybody. The process stores a number in one
step, and the order of its stores is such that a kill between any two of them leaves something that is true.

Knows no fleet: somebody who has another process to leave lines to calls `share_spools`. Where nobody has, there is no
spool.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from waitressd.requestlog.failures import say

SPOOL_BYTES: Final = 4 << 20
"""Room for lines. It is taken from the system as far as lines have ever waited at one time, which is a few pages."""

NUMBER_BYTES: Final = 8
HEAD_BYTES: Final = mmap.PAGESIZE
SIGNATURE: Final = 0x77737031  # another one, when the numbers mean something else

# Positions count bytes, and never fall. The lines that wait are those from TAIL to HEAD; none if HEAD is not larger.
# While the process writes some to the file, PIECE is where these end, and the file had SIZE bytes and the number INODE.
NUMBERS: Final = 7
_SIGNATURE, _ROOM, _TAIL, _HEAD, _PIECE, _SIZE, _INODE = range(NUMBERS)

_OPEN: Final = -1  # no position

Share = Callable[[int, str, int], bool]
"""Takes the descriptor of a spool, and the path and mode of the file; False if nobody is there to take it."""


class Spool:
    """The lines of one file that wait.

    `add` and `wrote` under one lock of the caller's, `begin` in the thread that writes the file. Lines that find no
    room are not kept, and neither are those behind them until all are written. Raises OSError.
    """

    def __init__(self, room: int = SPOOL_BYTES) -> None:
        self.fd: Final = os.memfd_create("waitressd-lines")
        """The memory file; closed by `close`."""
        try:
            os.ftruncate(self.fd, HEAD_BYTES + room)
            self._memory: Final = mmap.mmap(self.fd, HEAD_BYTES + room)
        except OSError:
            os.close(self.fd)
            raise
        self._numbers: Final = memoryview(self._memory)[: NUMBERS * NUMBER_BYTES].cast("q")
        self._write: Final = self._memory.write
        self._room: Final = room
        # Positions. What was added is all kept unless `_end` says where the lines end that are.
        self._added = self._written = 0
        self._end = _OPEN
        self._numbers[_ROOM] = room
        self._numbers[_SIGNATURE] = SIGNATURE
        self._rewind(0)
        self._limit = room  # up to which there is room

    def _rewind(self, position: int) -> None:
        """Go on at the start of the memory, with what is at this position and behind it; a multiple of the room."""
        self._turn = position + self._room  # where the memory ends
        self._memory.seek(HEAD_BYTES)

    def add(self, data: bytes) -> None:
        """Keep a line, if there is room."""
        start = self._added
        self._added = end = start + len(data)
        if end > self._limit:
            self._stop_at(start)
            return
        if end <= self._turn:
            self._write(data)
        else:
            count = self._turn - start
            self._write(data[:count])
            self._rewind(self._turn)
            self._write(data[count:])
        self._numbers[_HEAD] = end

    def _stop_at(self, end: int) -> None:
        if self._end == _OPEN:
            self._end, self._limit = end, _OPEN

    def begin(self, count: int, status: os.stat_result) -> None:
        """Note that the next `count` bytes are about to be written to a file with this status."""
        self._numbers[_SIZE] = status.st_size
        self._numbers[_INODE] = status.st_ino
        self._numbers[_PIECE] = self._written + count

    def wrote(self, count: int) -> None:
        """Let go of the next `count` bytes: they are in the file, or are given up."""
        self._written += count
        if self._written == self._added:
            # Nothing waits. At the start of the memory again, few pages of it are ever touched.
            self._added = self._written = -(-self._added // self._room) * self._room
            self._end = _OPEN
            self._rewind(self._added)
        end = self._added if self._end == _OPEN else self._end
        tail = min(self._written, end)
        self._numbers[_TAIL] = tail
        self._numbers[_HEAD] = end
        if self._end == _OPEN:
            self._limit = tail + self._room

    def close(self) -> None:
        """Give the memory back; twice is not harmless."""
        self._numbers.release()
        self._memory.close()
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Left:
    """What a process has left: `lines` wait, and the first `begun` bytes of them may be in the file already.

    If so, they are behind the first `size` bytes of the file with the number `inode`.
    """

    lines: bytes = b""
    begun: int = 0
    size: int = 0
    inode: int = 0


def read_left(fd: int) -> Left:
    """Read a spool whose process has ended. Raises OSError, and ValueError if it is none.

    By system calls, so that a file that somebody has cut is short and no fault of this process.
    """
    head = os.pread(fd, NUMBERS * NUMBER_BYTES, 0)
    numbers = memoryview(head).cast("q") if len(head) == NUMBERS * NUMBER_BYTES else [0] * NUMBERS
    room, tail, end = numbers[_ROOM], numbers[_TAIL], numbers[_HEAD]
    if numbers[_SIGNATURE] != SIGNATURE or room <= 0 or tail < 0 or end - tail > room:
        raise ValueError("the lines that wait have another layout")
    if end <= tail:
        return Left()
    start = tail % room
    count = min(end - tail, room - start)
    lines = os.pread(fd, count, HEAD_BYTES + start) + os.pread(fd, end - tail - count, HEAD_BYTES)
    begun = max(0, min(numbers[_PIECE] - tail, len(lines)))
    return Left(lines, begun, numbers[_SIZE], numbers[_INODE])


_sharing: list[tuple[int, Share]] = []


def share_spools(share: Share) -> None:
    """Have the file logs that this process starts from now on keep their lines for another process.

    `share` tells that process of a spool. What this process forks shares none.
    """
    _sharing[:] = [(os.getpid(), share)]


def unshare_spools() -> None:
    """Keep no lines any more, in file logs that are started from now on."""
    _sharing.clear()


def open_spool(path: str, mode: int) -> Spool | None:
    """Return a spool for the lines of a file; None where there is nobody to leave them to. Says what goes wrong.

    None as well where the system has no memory files; Linux has.
    """
    if not _sharing or _sharing[0][0] != os.getpid() or not hasattr(os, "memfd_create"):
        return None
    try:
        spool = Spool()
    except OSError as error:
        say("The request log %s loses lines if this process is killed: %s", path, error)
        return None
    if not _sharing[0][1](spool.fd, path, mode):
        spool.close()
        return None
    return spool
