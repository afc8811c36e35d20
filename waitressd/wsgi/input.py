"""Where a request body waits until it is complete: memory as far as there is some, else a temporary file.

All bodies of a process share one budget of memory, so many of them at once cost no more than a few large ones. Knows
nothing of HTTP: the limit on the whole body is held by the connection that decodes it.
"""

import io
import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Never, cast

SMALL_BYTES: Final = 4096  # pieces up to here are copied together; each of them alone takes many times its size
# Of each body, outside the budget: a form never waits for a disk, whatever others send. A head may be as large.
FREE_BYTES: Final = 64 * 1024

# What an application may do with a body in memory that takes more of it than what `read` returns.
NEEDS_ALL: Final = (
    "__getstate__", "__next__", "__reduce_ex__", "__setstate__", "getbuffer", "getvalue", "read1", "readinto",
    "readinto1", "readline", "readlines", "seek", "tell", "truncate", "write", "writelines",
)  # fmt: skip

LARGE_READ_BYTES: Final = 1 << 20  # from here on a read is asked whether so much is left before memory is taken for it


class BodyFile(io.BufferedRandom):
    """A request body on the disk, which behaves as one in memory does.

    An application is written and tried with small bodies, which are `io.BytesIO`; large ones must work in the same way.
    So where a buffered file differs from a `BytesIO`, this one does as that does. The thread of the task.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left for None or a number below 0."""
        if size is None or size < 0:
            return super().read()
        if size > LARGE_READ_BYTES:  # a buffered file would first make room for all of it
            position = self.tell()
            left = self.seek(0, os.SEEK_END) - position
            self.seek(position)
            size = max(0, min(size, left))
        return super().read(size)

    def read1(self, size: int | None = -1, /) -> bytes:
        """As `read`."""
        return self.read(size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Return lines of at least `hint` bytes in all, or all that are left."""
        if hint is None or hint <= 0:
            return super().readlines()
        lines = []
        for line in self:
            lines.append(line)
            hint -= len(line)
            if hint <= 0:
                break
        return lines

    def readinto1(self, buffer: Any, /) -> int:  # noqa: ANN401 - Python 3.11 has no name for a writable buffer
        """As `readinto`."""
        return self.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move, and return the new position; one before the beginning is the beginning. Raises ValueError: below 0."""
        if offset < 0:
            if whence == os.SEEK_SET:
                raise ValueError(f"negative seek value {offset}")
            offset, whence = max(0, super().seek(0, whence) + offset), os.SEEK_SET
        return super().seek(offset, whence)

    def _dealloc_warn(self, source: object, /) -> None:
        """Say nothing: called when a `TextIOWrapper` around the body is collected, which need not have been closed."""

    def detach(self) -> Never:
        """Raise UnsupportedOperation: the file is closed by the server, whatever the application does with it."""
        raise io.UnsupportedOperation("detach")

    def fileno(self) -> Never:
        """Raise UnsupportedOperation: a small body has no descriptor, so no application may come to rely on one."""
        raise io.UnsupportedOperation("fileno")

    @property
    def name(self) -> Never:
        """Raise AttributeError: as the body in memory, it has no name."""
        raise AttributeError("name")

    @property
    def mode(self) -> Never:  # type: ignore[override]  # a file on the disk has one, and this class is to have none
        """Raise AttributeError: as the body in memory, it has none."""
        raise AttributeError("mode")


class JoinedBody(io.BytesIO):
    """A large request body in memory, in one piece. The thread of the task."""


class PiecedBody(JoinedBody):
    """A large request body in memory, in the pieces in which it came. The thread of the task.

    Most applications read a body from its beginning to its end, and need no more than a copy of what they ask for. To
    put the pieces together first is another copy of all of it, a seventh of an upload of 1 MiB (measured). So that is
    left until something else than `read` is asked for; from then on this is a `JoinedBody`, and as fast as that.
    """

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._number = 0  # of the piece that is being read
        self._piece = pieces[0] if pieces else b""
        self._start = 0  # of what is left of it

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left for None or a number below 0. Raises ValueError: closed."""
        if type(size) is int and size > 0:
            end = self._start + size
            data = self._piece[self._start : end]
            if len(data) == size:
                self._start = end
                return data
        return self._read_on(size)

    def _read_on(self, size: int | None) -> bytes:
        """`read` where more than one piece is needed, or nothing more is left."""
        if type(size) is not int or size < 0 or self.closed:
            return self.joined().read(size)
        parts = []
        while size:
            part = self._piece[self._start : self._start + size]
            parts.append(part)
            size -= len(part)
            self._start += len(part)
            if size:
                if self._number + 1 >= len(self._pieces):
                    break
                self._number += 1
                self._piece, self._start = self._pieces[self._number], 0
        return b"".join(parts)

    def joined(self) -> io.BytesIO:
        """Become a body in one piece, at the same position, and return it."""
        content = b"".join(self._pieces)
        position = sum(map(len, self._pieces[: self._number])) + self._start
        del self._pieces, self._number, self._piece, self._start
        self.__class__ = JoinedBody  # type: ignore[assignment]  # as fast as `BytesIO` from here on
        if not self.closed:
            io.BytesIO.__init__(self, content)
            self.seek(position)
        return self

    def close(self) -> None:
        """Give up the pieces; twice is harmless."""
        self._pieces, self._number, self._piece, self._start = [], 0, b"", 0
        super().close()


def _after_joining(name: str) -> Callable[..., Any]:
    def method(self: PiecedBody, /, *values: Any) -> Any:  # noqa: ANN401 - whatever the method takes and returns
        return getattr(self.joined(), name)(*values)

    method.__name__, method.__doc__ = name, f"As `io.BytesIO.{name}`."
    return method


for _name in NEEDS_ALL:
    setattr(PiecedBody, _name, _after_joining(_name))


class MemoryBudget:
    """The memory that the request bodies of a process may take together. Any thread."""

    __slots__ = ("_left_bytes", "_lock")

    def __init__(self, total_bytes: int) -> None:
        self._left_bytes = total_bytes
        self._lock = threading.Lock()  # guards the number

    def take(self, count: int) -> bool:
        """Take so many bytes; False, and nothing has changed, when fewer are left."""
        with self._lock:
            if count > self._left_bytes:
                return False
            self._left_bytes -= count
            return True

    def give_back(self, count: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left_bytes += count


class BodySpool:
    """Collects one request body and hands it on as a file at its beginning.

    Owned by whoever has the request, one thread at a time. Every method may raise OSError if the disk of the temporary
    file is full or broken. The body is lost then; `close` still gives everything back.
    """

    __slots__ = (
        "_budget", "_declared_bytes", "_directory", "_file", "_length_bytes", "_overflow_bytes", "_parts",
        "_room_bytes", "_taken_bytes",
    )  # fmt: skip

    def __init__(
        self,
        overflow_bytes: int,
        directory: str | None = None,
        budget: MemoryBudget | None = None,
        declared_bytes: int | None = None,
    ) -> None:
        """Keep up to `overflow_bytes` in memory if the budget has them, the rest in a file of `directory`.

        `declared_bytes` is how long the body will be, if that is known; what is only announced costs nothing.
        """
        self._overflow_bytes = overflow_bytes
        self._directory = directory
        self._budget = budget
        self._declared_bytes = declared_bytes
        self._parts: list[bytes | bytearray] | None = []
        self._length_bytes = 0
        self._room_bytes = min(FREE_BYTES, overflow_bytes)  # how long the body may become in memory
        self._taken_bytes = 0  # from the budget
        self._file: BinaryIO | None = None

    def append(self, data: bytes) -> None:
        """Add the next piece of the body."""
        self._length_bytes += len(data)
        if self._file is not None:
            self._file.write(data)
            return
        if self._parts is None:
            raise ValueError("the body was handed on or given up already")
        if len(data) > SMALL_BYTES or not self._parts:
            self._parts.append(data)
        elif isinstance(self._parts[-1], bytearray):
            self._parts[-1] += data
        else:
            self._parts.append(bytearray(data))
        if self._length_bytes > self._room_bytes and not self._make_room():
            self._spill()

    def finish(self) -> BinaryIO:
        """Return the body as a readable file at position 0; it belongs to the caller, who closes it."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.seek(0)
            except OSError:
                # The rest of the write buffer did not fit on the disk; closing tries it again, in vain.
                _close_quietly(file)
                raise
            return file
        if self._parts is None:
            raise ValueError("the body was handed on or given up already")
        parts, self._parts = self._parts, None
        if len(parts) > 1 and self._length_bytes > FREE_BYTES:
            return PiecedBody(list(map(bytes, parts)))
        # One piece needs no join; BytesIO shares the bytes object until it is written to.
        return io.BytesIO(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Give up what was collected and not handed on; the memory of what was is free. Twice is harmless."""
        self._parts = None
        self._give_back()
        file, self._file = self._file, None
        if file is not None:
            _close_quietly(file)

    def _make_room(self) -> bool:
        """Take more memory; False when the body has to go to a file.

        All of it at once where the length is known: what will not fit is written from here on, and never megabytes of
        it late, while everybody waits.
        """
        length, budget = self._length_bytes, self._budget
        wanted = self._declared_bytes
        if wanted is None:
            wanted = max(length, min(2 * length, self._overflow_bytes))
        if wanted > self._overflow_bytes or not (budget is None or budget.take(wanted - self._taken_bytes)):
            return False
        self._room_bytes = self._taken_bytes = wanted
        return True

    def _give_back(self) -> None:
        if self._budget is not None and self._taken_bytes:
            self._budget.give_back(self._taken_bytes)
            self._taken_bytes = 0

    def _spill(self) -> None:
        # Anonymous where the platform can do it: nothing stays on the disk when the process dies.
        raw = tempfile.TemporaryFile(buffering=0, dir=self._directory)  # noqa: SIM115  # it outlives this method by design
        self._file = BodyFile(cast("io.RawIOBase", raw))
        parts, self._parts = self._parts or [], None
        self._file.writelines(parts)
        self._give_back()


def _close_quietly(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:
        # A full disk refuses the write buffer; the bytes are given up in any case. A second close only
        # releases the descriptor.
        file.close()
