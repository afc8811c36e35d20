"""How bytes get from memory and files to sockets and files: by the best means that the platform has.

Linux and the BSDs have all of them; Windows has neither `sendmsg` nor `sendfile`, nor reads and writes at a position.
"""

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

SEND_PARTS: Final = 64  # buffers in one sendmsg; far below every platform's IOV_MAX
COPY_BYTES: Final = 256 * 1024  # one step where bytes must be copied on their way
SENDFILE_BYTES: Final = 1 << 20  # one step with sendfile

_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")
_HAS_SENDFILE: Final = hasattr(os, "sendfile")
_HAS_POSITIONS: Final = hasattr(os, "pread") and hasattr(os, "pwrite")


# What sendfile may say of the file rather than of the socket; copying then finds out which of them it was.
_FILE_ERRORS: Final = frozenset(
    {errno.EBADF, errno.EINVAL, errno.EIO, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW, errno.ESPIPE}
)


class BrokenFileError(Exception):
    """A file that was to be sent cannot be read, or is shorter than promised."""


def send_parts(sock: socket.socket, parts: Sequence[bytes | memoryview]) -> int:
    """Send up to SEND_PARTS pieces in order with one call; return the bytes taken. Raises OSError as sockets do."""
    first = parts if len(parts) <= SEND_PARTS else parts[:SEND_PARTS]
    return sock.sendmsg(first) if _HAS_SENDMSG else sock.send(b"".join(first))


def send_file(sock: socket.socket, fd: int, offset: int, count: int) -> int:
    """Send up to one step of a file from `offset`; return the bytes taken.

    Raises OSError as sockets do, and BrokenFileError.
    """
    sent = _sendfile(sock, fd, offset, count) if _HAS_SENDFILE else None
    if sent is None:
        try:
            data = _read_at(fd, min(count, COPY_BYTES), offset)
        except OSError as error:
            raise BrokenFileError(f"its file cannot be read at offset {offset}: {error}") from error
        sent = sock.send(data) if data else 0
    if not sent:
        raise BrokenFileError(f"its file ends at offset {offset}, and {count} bytes more were promised")
    return sent


def _sendfile(sock: socket.socket, fd: int, offset: int, count: int) -> int | None:
    """Have the kernel do it; None if it cannot with this file."""
    try:
        return os.sendfile(sock.fileno(), fd, offset, min(count, SENDFILE_BYTES))
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        return None


def write_at(fd: int, data: memoryview, offset: int) -> int:
    """Write to a file from `offset` on; return the bytes written. Nobody else may use the descriptor meanwhile."""
    if _HAS_POSITIONS:
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


def _read_at(fd: int, count: int, offset: int) -> bytes:
    if _HAS_POSITIONS:
        return os.pread(fd, count, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, count)
