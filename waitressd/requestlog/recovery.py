"""What a process had not written to its request log when it was killed is appended by another one."""

import os
import stat
from pathlib import Path
from typing import Final

from waitressd.requestlog.failures import say
from waitressd.requestlog.filesink import STANDARD_OUTPUT, FileSink
from waitressd.requestlog.spool import Left

LOOKED_THROUGH_BYTES: Final = 64 << 20
"""How much of a file may be new since a write began that was cut short: what others have written meanwhile."""

_CUT_BYTES: Final = 4096  # a write that a kill cuts short ends where a page of the file does
_STDOUT: Final = "/dev/stdout"


def append_left(left: Left, path: str, mode: int) -> None:
    """Append what a process has left. Any thread that may wait for the disk; never raises.

    A process that was killed in a write cannot say how much of it is in the file. So that is looked up there, and the
    rest is written; a line that was cut is completed, if no other process has written since. Where it cannot be looked
    up, as in a pipe, all is written again: better twice than never.
    """
    lines = left.lines[_count_in_file(left, path) :].decode("ascii", "backslashreplace").splitlines()
    sink = FileSink(path, mode)
    try:
        sink.start(None)
    except OSError as error:
        say("%d lines of a process that was killed are lost: %s", len(lines), error.strerror or error)
        return
    for line in lines:
        sink.write(line)
    sink.close()


def _count_in_file(left: Left, path: str) -> int:
    """Return how many bytes of what was being written are in the file."""
    piece = left.lines[: left.begun]
    if not piece:
        return 0
    try:
        text = _read_since(left, _STDOUT if path == STANDARD_OUTPUT else path)
    except OSError:
        return 0
    if piece in text:
        return len(piece)
    return 0 if (left.size + len(text)) % _CUT_BYTES else _count_at_end(text, piece)


def _count_at_end(text: bytes, piece: bytes) -> int:
    """Return how many bytes of the beginning of `piece` are at the end of a text, from the start of a line on."""
    start = max(0, len(text) - len(piece))
    if start:
        start = text.find(b"\n", start - 1) + 1 or len(text)
    while not piece.startswith(text[start:]):
        start = text.find(b"\n", start) + 1 or len(text)
    return len(text) - start


def _read_since(left: Left, path: str) -> bytes:
    """Return what was appended to the file since the write began; nothing if that was another file. Raises OSError."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode) or status.st_ino != left.inode:
        return b""
    with open(path, "rb") as file:  # noqa: PTH123 - a file of the operator's, which is read at a place
        return os.pread(file.fileno(), LOOKED_THROUGH_BYTES, left.size)
