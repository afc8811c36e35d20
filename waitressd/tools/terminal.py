"""Where a command writes to: how wide it is, and whether it takes colours."""

import os
from typing import Final, TextIO

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
