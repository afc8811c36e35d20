"""Standard output of a command: what is done where it cannot be written, or if nobody reads any more."""

import os
import sys

from waitressd.tools.failures import NoAnswerError


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
