"""Where a command writes to: how wide it is, whether it takes colours, and what is done if nobody reads any more."""

import os
import sys
from typing import Final, TextIO

from waitressd.tools.failures import NoAnswerError
from waitressd.tools.tables import Output

_NARROWEST: Final = 20


def output_of(stream: TextIO) -> Output:
    """Look at a stream: a terminal has a width and takes colours; ``COLUMNS`` and ``NO_COLOR`` are obeyed."""
    is_terminal = stream.isatty()
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 6 else 0
    if not width and is_terminal:
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            width = 80
    coloured = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Output(max(width, _NARROWEST) if width else None, coloured, stream.encoding or "utf-8")


def write_text(text: str) -> None:
    """Write a harmless text to standard output, and a line end behind it. Raises NoAnswerError."""
    write_bytes(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Write to standard output, and a line end behind it if there is none; a reader that has gone is no failure.

    Raises NoAnswerError if it cannot be written.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data if data.endswith(b"\n") else data + b"\n")
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - at its end Python writes again
        if not isinstance(error, BrokenPipeError):
            raise NoAnswerError(f"cannot write to standard output: {error.strerror}") from None
