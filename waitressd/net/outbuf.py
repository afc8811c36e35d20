"""Bytes that wait for a slow client: bounded in memory, spilling to disk, then making the producer wait.

One task thread appends while the holder of the dispatcher role flushes; both under the buffer's own lock. Order on the
wire: memory, then the spool file, then at most one file of the application's own (`wsgi.file_wrapper`), which is always
the last thing of a response. Nothing is copied on its way from the application to the kernel unless it spills.
"""

import contextlib
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final

from waitressd.machine import MACHINE, Machine
from waitressd.net.wire import SEND_PARTS, WOULD_BLOCK, BrokenFileError, Wire, send_file, send_parts, write_at

FLUSH_BYTES: Final = 2 << 20  # one turn's share of one client, so that a fast reader does not keep the others waiting
LOCK_SECONDS: Final = 0.002  # that the holder of the role waits for a task that appends
STEP_BYTES: Final = 1 << 20  # written to the disk while the lock is held
SPOOL_FILE_BYTES: Final = 32 << 20  # after which a further temporary file is begun, so that the first can be given back
JOIN_BYTES: Final = 256 * 1024  # up to here, pieces that go to the disk together are written at once
SMALL_BYTES: Final = 4096  # pieces up to here are copied together; each of them alone takes 250 bytes beside its own
GATHERED_BYTES: Final = 64 * 1024  # up to here


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """How much may wait for one client, in bytes, under the names of the settings."""

    outbuf_overflow: int = 1 << 20  # above it, bytes go to a temporary file
    outbuf_high_watermark: int = 64 << 20  # above it, the producer waits
    spool_directory: str | None = None  # where temporary files are made; None is the system's choice


class FilePart:
    """A stretch of a real file that is still to be sent."""

    __slots__ = ("_close", "count", "file", "offset")

    def __init__(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        self.file = file
        self.offset = offset
        self.count = count
        self._close: Callable[[], None] | None = close

    def send(self, wire: Wire) -> int:
        """Send one stretch; return the bytes taken.

        Raises BlockingIOError, BrokenFileError, and OSError of a dead peer.
        """
        try:
            fd = self.file.fileno()
        except (OSError, ValueError) as error:  # closed: its number may be another file's by now
            raise BrokenFileError(f"its file cannot be read: {error}") from error
        sent = send_file(wire, fd, self.offset, self.count)
        self.offset += sent
        self.count -= sent
        return sent

    def take_close(self) -> Callable[[], None] | None:
        """Return the owner's close the first time, None afterwards: it must run exactly once."""
        close, self._close = self._close, None
        return close


class SpoolFile:
    """A temporary file that is written at its end and sent from its front; nothing of it outlives the process."""

    __slots__ = ("_file", "end", "start")

    def __init__(self, directory: str | None) -> None:
        self._file = tempfile.TemporaryFile(buffering=0, prefix="waitressd-", dir=directory)  # noqa: SIM115 - see close
        self.start = 0
        self.end = 0

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._file.fileno()

    def append(self, view: memoryview) -> None:
        """Write all of it. Raises OSError when the disk is full; then nothing of it counts."""
        written = 0
        while written < view.nbytes:
            written += write_at(self._file.fileno(), view[written:], self.end + written)
        self.end += view.nbytes

    def send(self, wire: Wire) -> int:
        """Send one step; return the bytes taken. Raises BrokenFileError, and OSError as sockets do."""
        sent = send_file(wire, self._file.fileno(), self.start, self.end - self.start)
        self.start += sent
        return sent

    def rewind(self) -> None:
        """Give its space on the disk back, once everything is sent."""
        self._file.truncate(0)
        self.start = self.end = 0

    def close(self) -> None:
        """Give it back."""
        self._file.close()


class Pieces:
    """Bytes in memory, in order."""

    __slots__ = ("_gathered", "_views")

    def __init__(self) -> None:
        self._views: deque[memoryview] = deque()
        self._gathered = bytearray()  # small ones, which come after the views

    def __bool__(self) -> bool:
        return bool(self._views or self._gathered)

    def append(self, view: memoryview) -> None:
        """Add one at the end."""
        if view.nbytes <= SMALL_BYTES:
            self._gathered += view
            if len(self._gathered) >= GATHERED_BYTES:
                self._seal()
        else:
            self._seal()
            self._views.append(view)

    def send(self, wire: Wire) -> int:
        """Send from the front with one call; return the bytes taken. Raises OSError as sockets do."""
        if len(self._views) < SEND_PARTS:
            self._seal()
        views = self._views
        left = sent = send_parts(wire, list(islice(views, SEND_PARTS)))
        while left and left >= views[0].nbytes:
            left -= views.popleft().nbytes
        if left:
            views[0] = views[0][left:]
        return sent

    def clear(self) -> None:
        """Drop them."""
        self._views.clear()
        self._gathered = bytearray()

    def _seal(self) -> None:
        if self._gathered:
            self._views.append(memoryview(self._gathered))
            self._gathered = bytearray()


class OutBuffer:
    """What one client has not taken yet."""

    def __init__(self, limits: OutputLimits, machine: Machine = MACHINE) -> None:
        self.lock = machine.new_lock()  # guards everything below
        self.pending_bytes = 0  # memory and spool; a file of the application costs nothing while it waits
        self.flushed_bytes = 0  # taken by the kernel since this buffer was made
        self.file: FilePart | None = None
        self.broken = False  # the connection is dead: appends are refused, nobody waits
        self._limits = limits
        self._below = machine.new_condition(self.lock)  # notified when pending_bytes falls, or the buffer breaks
        self._memory = Pieces()
        self._memory_bytes = 0
        self._spool: SpoolFile | None = None  # the one that is written to
        self._older: deque[SpoolFile] = deque()  # full ones, sent before it
        self._spool_failure: OSError | None = None
        self._tail = Pieces()  # what came after the spool when no more could be spilled

    @property
    def unsent_bytes(self) -> int:
        """What the kernel has not taken. Any thread; exact for the holder of the role once no task writes any more."""
        file = self.file  # read once: the holder may drop it meanwhile
        return self.pending_bytes + (file.count if file is not None else 0)

    @property
    def spool_failure(self) -> OSError | None:
        """Why bytes that should be on disk are kept in memory instead; None if they are not."""
        return self._spool_failure

    def append(self, wire: Wire, parts: Sequence[bytes | memoryview]) -> None:
        """Send what the kernel takes now, keep the rest. Task thread. Raises OSError when the peer is gone."""
        with self.lock:
            views = [memoryview(part) for part in parts]
            if not self.pending_bytes and self.file is None:
                self._send_views(wire, views)
            size = sum(view.nbytes for view in views)
            if len(views) > 1 and size <= JOIN_BYTES and not self._fits_memory(size):
                views = [memoryview(b"".join(views))]  # a copy costs less than a system call for each piece
            if size <= STEP_BYTES:
                for view in views:
                    if view.nbytes:
                        self._keep(view)
                return
        # The holder of the role must not wait for the lock while much is written to a disk.
        for view in views:
            for start in range(0, view.nbytes, STEP_BYTES):
                with self.lock:
                    if self.broken:
                        return
                    self._keep(view[start : start + STEP_BYTES])

    def attach(self, part: FilePart) -> None:
        """Queue the last thing of a response: a file of the application. Task thread."""
        with self.lock:
            self.file = part

    def wait_below_high_water(self, timeout_seconds: float) -> bool:
        """Wait until the producer may go on; False when it may not. Task thread.

        It may not go on when the buffer broke, or when the client did not take enough in `timeout_seconds`.
        """
        # Where nothing can be spilled, memory is all there is, and its limit is where the producer waits.
        high = self._limits.outbuf_overflow if self._spool_failure else self._limits.outbuf_high_watermark
        with self.lock:
            return (
                self._below.wait_for(lambda: self.broken or self.pending_bytes <= high, timeout_seconds)
                and not self.broken
            )

    def flush(self, wire: Wire) -> bool:
        """Give the kernel what it takes; True when nothing is left. Holder of the role.

        Raises BrokenFileError, or OSError when the peer is gone.
        """
        if not self.lock.acquire(timeout=LOCK_SECONDS):
            return False  # the task is writing much to the disk; everybody else must not wait for that
        try:
            with contextlib.suppress(*WOULD_BLOCK):
                goal = self.flushed_bytes + FLUSH_BYTES
                while self.flushed_bytes < goal and self._flush_step(wire):
                    pass
        finally:
            self.lock.release()
        return not self.unsent_bytes

    def break_off(self) -> None:
        """The connection is dead: wake whoever waits, refuse what comes. Any thread."""
        self.broken = True
        # Who waits has let the lock go; where it is held for long, the task is writing and sees that it need not.
        if self.lock.acquire(timeout=LOCK_SECONDS):
            self._below.notify_all()
            self.lock.release()

    def let_go(self) -> None:
        """Refuse what comes, in a child that was only forked: the thread that has the lock is not there."""
        self.broken = True

    def close(self) -> Callable[[], None] | None:
        """Drop everything; return the pending file's close, which the caller must run. Holder of the role."""
        with self.lock:
            self.broken = True
            self._memory.clear()
            self._tail.clear()
            self.pending_bytes = self._memory_bytes = 0
            for spool in (*self._older, *([self._spool] if self._spool is not None else ())):
                spool.close()
            self._older.clear()
            self._spool = None
            part, self.file = self.file, None
            self._below.notify_all()
        return part.take_close() if part is not None else None

    # -- under the lock

    def _send_views(self, wire: Wire, views: list[memoryview]) -> None:
        """Send from the front of `views`, cutting what the kernel took."""
        with contextlib.suppress(*WOULD_BLOCK):
            while views:
                sent = send_parts(wire, views)
                self.flushed_bytes += sent
                while views and sent >= views[0].nbytes:
                    sent -= views.pop(0).nbytes
                if views and sent:
                    views[0] = views[0][sent:]

    def _keep(self, view: memoryview) -> None:
        size = view.nbytes
        fits = self._fits_memory(size)
        spooled = self._is_spooled()
        self.pending_bytes += size
        if fits or self._spool_failure is not None or not self._spill(view):
            (self._tail if spooled else self._memory).append(view)
            self._memory_bytes += size

    def _fits_memory(self, size: int) -> bool:
        return not self._is_spooled() and self._memory_bytes + size <= self._limits.outbuf_overflow

    def _is_spooled(self) -> bool:
        return self._spool is not None and (self._spool.start < self._spool.end or bool(self._older))

    def _spill(self, view: memoryview) -> bool:
        try:
            if self._spool is not None and self._spool.end >= SPOOL_FILE_BYTES:
                # A client that is steady, only slower than the application, never empties the file: the part of it
                # that was sent would stay on the disk until the end of the answer, which may have none.
                following = SpoolFile(self._limits.spool_directory)
                self._older.append(self._spool)
                self._spool = following
            if self._spool is None:
                self._spool = SpoolFile(self._limits.spool_directory)
            self._spool.append(view)
        except OSError as error:
            self._spool_failure = error
            return False
        return True

    def _flush_step(self, wire: Wire) -> bool:
        """Send one step of whatever is first; False when there is nothing."""
        if self._memory:
            self._flush_memory(wire)
        elif self._spool is not None and self._is_spooled():
            self._flush_spool(wire, self._older[0] if self._older else self._spool)
        elif self._tail:
            self._memory, self._tail = self._tail, self._memory
        elif self.file is not None and self.file.count:
            self.flushed_bytes += self.file.send(wire)
        else:
            return False
        return True

    def _flush_memory(self, wire: Wire) -> None:
        sent = self._memory.send(wire)
        self._memory_bytes -= sent
        self._taken(sent)

    def _flush_spool(self, wire: Wire, spool: SpoolFile) -> None:
        self._taken(spool.send(wire))
        if spool.start < spool.end:
            return
        if self._older:
            self._older.popleft().close()
        else:
            # Start again at the front, so that an endless response does not grow the file without end.
            spool.rewind()

    def _taken(self, sent: int) -> None:
        self.flushed_bytes += sent
        self.pending_bytes -= sent
        self._below.notify_all()


def after(parts: Sequence[bytes], sent: int) -> list[bytes | memoryview]:
    """Return what is left of `parts` after the first `sent` bytes."""
    rest: list[bytes | memoryview] = []
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            rest.append(memoryview(part)[sent:] if sent else part)
            sent = 0
    return rest
