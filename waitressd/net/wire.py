"""What carries the bytes of one connection: how they are sent by the best means there are, and how it ends.

A plain socket is a wire as it is. Linux and the BSDs have every means; Windows has neither `sendmsg` nor `sendfile`,
nor reads and writes at a position, and does not tell what the kernel still holds.
"""

import array
import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final, Protocol

if sys.platform != "win32":
    import fcntl
    import termios

SEND_PARTS: Final = 64  # buffers in one sendmsg; far below every platform's IOV_MAX
DROP_BYTES: Final = 64 * 1024  # one read of what is dropped
COPY_BYTES: Final = 256 * 1024  # one step where bytes must be copied on their way
SENDFILE_BYTES: Final = 1 << 20  # one step with sendfile

_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")
_HAS_SENDFILE: Final = hasattr(os, "sendfile")
_HAS_POSITIONS: Final = hasattr(os, "pread") and hasattr(os, "pwrite")


# What sendfile may say of the file rather than of the socket; copying then finds out which of them it was.
_FILE_ERRORS: Final = frozenset(
    {errno.EBADF, errno.EINVAL, errno.EIO, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW, errno.ESPIPE}
)


WOULD_BLOCK: Final = (BlockingIOError, InterruptedError)
"""What a wire raises when it can take or give nothing at the moment."""

# SO_LINGER that makes close() send a reset; its two numbers are short ones on Windows.
_RESET: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Sender(Protocol):
    """What bytes are sent by."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send from the front; return the bytes taken. Raises OSError when the connection is dead."""

    def sendmsg(self, parts: Sequence[bytes | memoryview], /) -> int:
        """`send` of several pieces in order."""


class Wire(Sender, Protocol):
    """What a connection needs of its socket. Never blocks: BlockingIOError says that nothing moves at the moment.

    Used by one thread at a time, whoever owns the connection; `shutdown` and `setsockopt` by any.
    """

    def fileno(self) -> int:
        """Return the descriptor that the poller watches."""

    def recv(self, count: int, /) -> bytes:
        """Return what is here, up to `count` bytes; b"" at the end. Raises OSError when the connection is dead."""

    def shutdown(self, how: int, /) -> None:
        """End one direction, or both."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option of the socket."""

    def close(self) -> None:
        """Give the descriptor back."""


class PartialRecordError(BlockingIOError):
    """Nothing for the caller yet, although bytes came: a part of what an encrypting wire must have whole."""


class BrokenFileError(Exception):
    """A file that was to be sent cannot be read, or is shorter than promised."""


def send_parts(wire: Sender, parts: Sequence[bytes | memoryview]) -> int:
    """Send up to SEND_PARTS pieces in order with one call; return the bytes taken. Raises OSError as sockets do."""
    first = parts if len(parts) <= SEND_PARTS else parts[:SEND_PARTS]
    return wire.sendmsg(first) if _HAS_SENDMSG else wire.send(b"".join(first))


def send_file(wire: Wire, fd: int, offset: int, count: int) -> int:
    """Send up to one step of a file from `offset`; return the bytes taken.

    Raises OSError as sockets do, and BrokenFileError.
    """
    # Only the kernel's own socket sends what the kernel reads; on the descriptor below TLS it would go out in clear.
    sent = _sendfile(wire, fd, offset, count) if _HAS_SENDFILE and type(wire) is socket.socket else None
    if sent is None:
        try:
            data = _read_at(fd, min(count, COPY_BYTES), offset)
        except OSError as error:
            raise BrokenFileError(f"its file cannot be read at offset {offset}: {error}") from error
        sent = wire.send(data) if data else 0
    if not sent:
        raise BrokenFileError(f"its file ends at offset {offset}, and {count} bytes more were promised")
    return sent


def _sendfile(wire: Wire, fd: int, offset: int, count: int) -> int | None:
    """Have the kernel do it; None if it cannot with this file."""
    try:
        return os.sendfile(wire.fileno(), fd, offset, min(count, SENDFILE_BYTES))
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        return None


def drop_unread(wire: Wire) -> bool:
    """Drop what came and nobody asked for; whether there was anything. A close would answer it by a reset."""
    try:
        return bool(wire.recv(DROP_BYTES))
    except OSError:  # most often there is nothing
        return False


def farewell(wire: Wire) -> bool:
    """Say that everything was said, on a wire that has words for it; False while the kernel has no room for them."""
    say = getattr(wire, "farewell", None)
    return say is None or say()


def close_write(wire: Wire) -> None:
    """Say that nothing more will be sent. Raises OSError when the connection is dead."""
    wire.shutdown(socket.SHUT_WR)


def cut(wire: Wire) -> None:
    """End both directions without giving the descriptor back: somebody may use it yet. Any thread."""
    with contextlib.suppress(OSError):  # dead already
        wire.shutdown(socket.SHUT_RDWR)


def reset_at_close(wire: Wire) -> None:
    """Have the client see that what it got is not all: its connection breaks when the descriptor is given back."""
    with contextlib.suppress(OSError):  # dead already
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def reset(wire: Wire) -> None:
    """Break the connection without giving the descriptor back: somebody may use it yet. Any thread.

    The descriptor becomes that of a socket without a connection. On Windows, which has no such descriptors, nothing
    breaks before it is given back. On a wire that has words for its end, an end without them says enough.
    """
    if hasattr(wire, "farewell"):
        cut(wire)
        return
    reset_at_close(wire)
    if type(wire) is socket.socket and sys.platform != "win32":
        with contextlib.suppress(OSError), socket.socket() as dead:  # no descriptor is free, or it is closed
            os.dup2(dead.fileno(), wire.fileno(), inheritable=False)


def unacknowledged_bytes(wire: Wire) -> int:
    """Return how many bytes given to the kernel the client's side has not confirmed; 0 where nobody tells.

    The poller tells that a client takes output only when a third of the kernel's buffer is free, and that may be
    megabytes. For a client that is slow and steady this is far apart; whether it takes anything is seen here in
    between.
    """
    if sys.platform == "win32":
        return 0
    count = array.array("i", [0])
    try:
        fcntl.ioctl(wire.fileno(), termios.TIOCOUTQ, count)
    except OSError:  # not every system says it of sockets
        return 0
    return count[0]


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
