"""Where a request body waits until it is complete: memory first, a temporary file beyond a limit.

Knows nothing of HTTP: the limit on the whole body is held by the connection that decodes it.
"""

import io
import tempfile
from typing import BinaryIO, Final, cast

SMALL_BYTES: Final = 4096  # pieces up to here are copied together; each of them alone takes many times its size


class BodySpool:
    """Collects one request body and hands it on as a file at its beginning.

    Owned by whoever reads the connection, one thread at a time. Every method may raise OSError when the disk of
    the temporary file is full or broken; the body is lost then, `close` still gives everything back.
    """

    __slots__ = ("_directory", "_file", "_length_bytes", "_overflow_bytes", "_parts")

    def __init__(self, overflow_bytes: int, directory: str | None = None) -> None:
        self._overflow_bytes = overflow_bytes
        self._directory = directory
        self._parts: list[bytes | bytearray] | None = []
        self._length_bytes = 0
        self._file: BinaryIO | None = None

    @property
    def length_bytes(self) -> int:
        """Bytes received so far."""
        return self._length_bytes

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
        if self._length_bytes > self._overflow_bytes:
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
        # One piece needs no join; BytesIO shares the bytes object until somebody writes to it.
        return io.BytesIO(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Give up what was collected and not handed on; twice is harmless."""
        self._parts = None
        file, self._file = self._file, None
        if file is not None:
            _close_quietly(file)

    def _spill(self) -> None:
        # Anonymous where the platform can do it: nothing stays on the disk when the process dies.
        file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115  # it outlives this method by design
        self._file = cast("BinaryIO", file)
        parts, self._parts = self._parts or [], None
        self._file.writelines(parts)


def _close_quietly(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:
        # A full disk refuses the write buffer; the bytes are given up in any case. A second close only
        # releases the descriptor.
        file.close()
