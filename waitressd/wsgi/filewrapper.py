"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

Decides whether the file behind it may be sent by the kernel, and how much of it remains. Sends nothing itself.
"""

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

BLOCK_BYTES: Final = 32768


@dataclass(frozen=True, slots=True)
class RealFile:
    """The rest of a regular file, as the kernel sees it: from `offset`, `count` bytes."""

    file: BinaryIO
    offset: int
    count: int


class FileWrapper:
    """An iterable over the blocks of a file-like object that the server may also send without reading it.

    Belongs to the task that runs the request; `close` closes the file-like object once, if it can be closed.
    """

    def __init__(self, filelike: Any, block_size: int = BLOCK_BYTES) -> None:  # noqa: ANN401  # anything with a read method (PEP 3333)
        self.filelike = filelike
        self.block_size = block_size
        self._close: Callable[[], object] | None = getattr(filelike, "close", None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        """Close the file-like object; twice is harmless."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def real_file(self) -> RealFile | None:
        """Return the rest of the file when its bytes are those on the disk, else None."""
        file = _unwrap(self.filelike)
        if file is None:
            return None
        try:
            offset = file.tell()  # the application's position, not that of the read buffer
            status = os.fstat(file.fileno())
        except (OSError, ValueError):  # closed meanwhile: reading it will tell the application
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return RealFile(file, offset, max(0, status.st_size - offset))

    def remaining_bytes(self) -> int | None:
        """Return how many bytes `read` will still give, None if the object cannot tell."""
        try:
            offset: int = self.filelike.tell()
            end: int | None = self.filelike.seek(0, os.SEEK_END)
            if end is None:  # a file-like object whose seek returns nothing, as files did in Python 2
                end = self.filelike.tell()
            self.filelike.seek(offset)
        except (AttributeError, TypeError, OSError, ValueError):
            return None
        return None if end is None else max(0, end - offset)


def _unwrap(filelike: object) -> BinaryIO | None:
    """Return the standard library's own file object inside, None for anything that may change what is read.

    A `fileno` alone proves nothing: that of a GzipFile is the compressed file's.
    """
    if isinstance(filelike, tempfile._TemporaryFileWrapper):  # noqa: SLF001  # NamedTemporaryFile has no public type
        filelike = filelike.file
    kind = type(filelike)
    if kind is io.BufferedRandom:
        cast("io.BufferedRandom", filelike).flush()  # what is still to be written belongs to the file
    if kind in (io.BufferedReader, io.BufferedRandom):
        filelike_raw = cast("io.BufferedReader", filelike).raw
        return cast("BinaryIO", filelike) if type(filelike_raw) is io.FileIO else None
    return cast("BinaryIO", filelike) if kind is io.FileIO else None
