"""A file that lines are appended to, by a thread of its own.

A task thread only puts its line into a list: it neither waits for the disk nor pays for a system call. The writer takes
what has gathered, at most FLUSH_SECONDS old, and gives it to the kernel in one `write` at the end of the file, so that
lines stay whole also where several processes write. It sleeps without a tick while there is nothing to do.
"""

import contextlib
import errno
import os
import stat
import threading
import time
from collections import deque
from typing import Final

from waitressd import forks
from waitressd.requestlog.failures import Failures

FLUSH_SECONDS: Final = 0.05  # how old a line may get before it is with the kernel
PENDING_LINES: Final = 100_000  # kept while the disk does not answer; what comes then is dropped and counted
PENDING_CHARACTERS: Final = 64 << 20  # as PENDING_LINES: what clients send may make lines of any length
BATCH_LINES: Final = 4096  # in one write to a regular file
PIPE_BYTES: Final = 4096  # in one write to a pipe: what POSIX promises to keep in one piece
CLOSE_SECONDS: Final = 5.0  # what a stop waits for the disk
STANDARD_OUTPUT: Final = "-"
STDOUT_FILENO: Final = 1
PERMISSIONS: Final = 0o640  # addresses and targets of clients are nobody else's business

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
        self._lock = threading.Lock()  # guards the next two
        self._lines: deque[str] = deque()  # any thread appends, the writer takes
        self._pending_characters = 0
        self._asleep = False
        self._closing = False
        self._bell = threading.Lock()  # held while the writer may sleep; released to wake it
        self._thread: threading.Thread | None = None
        self._failures = Failures(path)

    def write(self, line: str) -> None:
        """Append the line soon. Any thread; never waits."""
        with self._lock:
            fits = len(self._lines) < PENDING_LINES and self._pending_characters < PENDING_CHARACTERS
            if fits:
                self._pending_characters += len(line)
                self._lines.append(line)
        if not fits:
            self._failures.add(f"{self._path} takes no lines; they are dropped")
            return
        if self._asleep:
            self._ring()

    def start(self, _server: object) -> None:
        """Open the file and start the writer. Raises OSError naming the file."""
        self._fd = os.dup(STDOUT_FILENO) if self._path == STANDARD_OUTPUT else self._open()
        self._look()
        self._closing = False
        self._bell.acquire(blocking=False)
        self._start_writer()
        forks.hold(self)

    def let_go(self) -> None:
        """Leave what has gathered to the parent, in a child that was only forked; the first line starts a writer."""
        self._lock = threading.Lock()
        self._lines = deque()
        self._pending_characters = 0
        self._bell = threading.Lock()
        self._bell.acquire()
        self._thread = None
        self._asleep = True
        forks.hold(self)

    def reopen(self) -> None:
        """Open the file anew, behind the same descriptor. Any thread. Raises OSError naming the file.

        `dup2` is one step: what is being written goes whole to the former file or to the new one, and the writer
        cannot meet a descriptor that was closed or stands for something else by now.
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
        forks.drop(self)
        if self._fd == _CLOSED:
            return
        self._closing = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._release()
            thread.join(CLOSE_SECONDS)
        if thread is not None and thread.is_alive():
            self._failures.add(f"{self._path} took no lines until the end", len(self._lines))
            self._failures.tell_rest()
            return  # the descriptor stays open: the writer is still inside a system call with it
        self._failures.tell_rest()
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

    def _work(self) -> None:
        while not self._closing:
            if not self._flush():
                # First say that a ring is wanted, then look: a line that came before this is seen, a later one rings.
                self._asleep = True
                if not self._lines and not self._closing:
                    self._bell.acquire()
                self._asleep = False
            if not self._closing:
                time.sleep(FLUSH_SECONDS)
        self._flush()

    def _ring(self) -> None:
        self._asleep = False
        if self._thread is None:
            self._resume()
        self._release()

    def _resume(self) -> None:
        with self._lock:  # of several lines that come first, one starts it
            if self._thread is None and not self._closing:
                self._start_writer()

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):  # rung already
            self._bell.release()

    def _start_writer(self) -> None:
        self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
        self._thread.start()

    def _flush(self) -> bool:
        """Write everything that has gathered; False when there was nothing."""
        found = False
        while batch := self._take():
            found = True
            with self._lock:
                self._pending_characters -= sum(map(len, batch))
            try:
                self._append(("\n".join(batch) + "\n").encode("ascii", "backslashreplace"))
            except OSError as error:
                self._failures.add(error, len(batch))
        return found

    def _take(self) -> list[str]:
        """Take lines for one write."""
        lines = self._lines
        if self._is_regular:
            return [lines.popleft() for _ in range(min(len(lines), BATCH_LINES))]
        batch: list[str] = []
        size = 0
        while lines:
            size += len(lines[0]) + 1
            if batch and size > PIPE_BYTES:
                break
            batch.append(lines.popleft())
        return batch

    def _append(self, data: bytes) -> None:
        if self._is_torn:
            data = b"\n" + data
        while data:
            # Anything but everything is the sign of a full disk or of a long line into a pipe; the rest follows at
            # once, and if it cannot, the next line begins on a line of its own.
            written = os.write(self._fd, data)
            self._is_torn = data[written - 1] != 10
            data = data[written:]
