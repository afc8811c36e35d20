"""How bytes get from memory and files to sockets and files: by the best means that the platform has.

Linux and the BSDs have all of them; Windows has neither `sendmsg` nor `sendfile`, nor reads and writes at a position.
"""

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


def send_parts(sock: socket.socket, parts: Sequence[bytes | memoryview]) -> int:
    """Send up to SEND_PARTS pieces in order with one call; return the bytes taken. Raises OSError as sockets do."""
    first = parts if len(parts) <= SEND_PARTS else parts[:SEND_PARTS]
    return sock.sendmsg(first) if _HAS_SENDMSG else sock.send(b"".join(first))


def send_file(sock: socket.socket, fd: int, offset: int, count: int) -> int:
    """Send up to one step of a file from `offset`; return the bytes taken, 0 at the end of the file."""
    if _HAS_SENDFILE:
        return os.sendfile(sock.fileno(), fd, offset, min(count, SENDFILE_BYTES))
    data = _read_at(fd, min(count, COPY_BYTES), offset)
    return sock.send(data) if data else 0


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
