"""A file that lines are appended to, by a thread of its own.

A task thread only puts its line into a queue: it neither waits for the disk nor pays for a system call. The writer
takes what has gathered, at most FLUSH_SECONDS old, and gives it to the kernel in one `write` at the end of the file, so
that lines stay whole even if several processes write. It sleeps without a tick while there is nothing to do.

Where there is another process to leave lines to (`spool`), they are kept there until they are written.
"""

import errno
import os
import stat
import time
from typing import Final

from waitressd.requestlog.failures import Failures
from waitressd.requestlog.linequeue import LineQueue, encode_lines
from waitressd.requestlog.spool import open_spool

FLUSH_SECONDS: Final = 0.05  # how old a line may get before it is with the kernel
PENDING_BYTES: Final = 64 << 20  # kept while the disk does not answer; clients may make lines of any length
LINE_BYTES: Final = 64  # what a line takes besides its characters
WRITE_LINES: Final = 512  # in one write to a file; larger writes cost more, as memory for them is not reused
PIPE_BYTES: Final = 4096  # in one write to a pipe: what POSIX promises to keep in one piece
MEND_SECONDS: Final = 0.005  # between two looks at the line that another process has to complete
MEND_LOOKS: Final = 100
STANDARD_OUTPUT: Final = "-"
STDOUT_FILENO: Final = 1
PERMISSIONS: Final = 0o640  # addresses and targets of clients are private

_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_CLOSED: Final = -1


class FileSink:
    """The lines of one request log on their way to a file; "-" is standard output. Any thread may write."""

    is_on: Final = True  # a file that cannot be written must be complained about, not left alone

    def __init__(self, path: str, mode: int = PERMISSIONS) -> None:
        self._path = path
        self._mode = mode
        self._fd = _CLOSED
        self._is_regular = True
        self._is_torn = False  # the last line in the file is not whole: the disk was full
        self._failures = Failures(path)
        self._queue = LineQueue(path, self._write_lines, PENDING_BYTES, _measure, FLUSH_SECONDS)
        self.write = self._queue.put
        """Append a line soon. Any thread; never waits. The start may put another function in its place."""

    @property
    def lost_count(self) -> int:
        """How many lines could not be written, or were dropped. Any thread."""
        return self._failures.count + self._queue.lost_count

    def start(self, _server: object) -> None:
        """Open the file and start the writer. Raises OSError naming the file."""
        self._fd = os.dup(STDOUT_FILENO) if self._path == STANDARD_OUTPUT else self._open()
        self._look()
        self._queue.spool = open_spool(self._path, self._mode)
        if self._queue.spool is not None:
            self.write = self._queue.put_kept
        self._queue.start()

    def reopen(self) -> None:
        """Open the file anew, behind the same descriptor. Any thread. Raises OSError naming the file.

        `dup2` is one step: what is being written goes whole to the former file or to the new one, and the writer
        cannot meet a descriptor that was closed or means something else by now.
        """
        if self._path == STANDARD_OUTPUT or self._fd == _CLOSED:
            return
        fresh = self._open()
        try:
            os.dup2(fresh, self._fd, inheritable=False)
        finally:
            os.close(fresh)
        self._look()

    def close(self) -> None:
        """Write what has gathered, and close the file; twice is harmless."""
        is_done = self._queue.close()
        self._failures.tell_rest()
        if is_done and self._fd != _CLOSED:  # else the writer is still inside a system call with the descriptor
            fd, self._fd = self._fd, _CLOSED
            os.close(fd)

    # -- opening

    def _open(self) -> int:
        try:
            # A FIFO that nobody reads is an error, and nothing to wait for.
            fd = os.open(self._path, _FLAGS | _NONBLOCK, self._mode)
        except OSError as error:
            why = "nobody reads this named pipe" if error.errno == errno.ENXIO else error.strerror
            raise OSError(error.errno, f"cannot open the request log {self._path}: {why}") from None
        if _NONBLOCK:
            os.set_blocking(fd, True)
        return fd

    def _look(self) -> None:
        self._is_torn = False
        self._is_regular = stat.S_ISREG(os.fstat(self._fd).st_mode)

    # -- the writer's thread

    def _write_lines(self, lines: list[str]) -> None:
        """Write the lines and take them out, in pieces that stay whole."""
        while lines:
            count = WRITE_LINES if self._is_regular else _count_fitting(lines)
            data = encode_lines(lines[:count])
            try:
                self._append(data)
            except OSError as error:
                self._failures.add(error, min(count, len(lines)))
            self._queue.wrote(len(data))
            del lines[:count]

    def _append(self, data: bytes) -> None:
        spool = self._queue.spool
        if spool is not None:
            spool.begin(len(data), self._wait_for_whole_line())
        if self._is_torn:
            data = b"\n" + data
        while data:
            # Anything but everything is the sign of a full disk or of a long line into a pipe; the rest follows at
            # once, and if it cannot, the next line begins on a line of its own.
            written = os.write(self._fd, data)
            self._is_torn = data[written - 1] != 10
            data = data[written:]

    def _wait_for_whole_line(self) -> os.stat_result:
        """Return the status of the file once it ends with a whole line, or after a moment.

        A line that a kill has cut can only be completed while nobody has written behind it. So the others that write
        to this file wait for the process that does that.
        """
        status = os.fstat(self._fd)
        looks = MEND_LOOKS if self._is_regular else 0
        while looks and not self._is_torn and not _is_whole(self._fd, status.st_size):
            time.sleep(MEND_SECONDS)
            status = os.fstat(self._fd)
            looks -= 1
            self._is_torn = not looks
        return status


def _is_whole(fd: int, size: int) -> bool:
    """Whether a file that is open for writing ends with a whole line, as far as can be seen."""
    try:
        reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    except OSError:
        return True
    try:
        return not size or os.pread(reading, 1, size - 1) in (b"\n", b"")
    finally:
        os.close(reading)


def _measure(line: str) -> int:
    """Return about how much memory a line takes that waits."""
    return len(line) + LINE_BYTES


def _count_fitting(lines: list[str]) -> int:
    """Return how many lines make up to PIPE_BYTES; a longer line is one alone."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line) + 1
        if size > PIPE_BYTES:
            return count or 1
    return len(lines)
