"""Where a command writes to: how wide it is, and whether it takes colours."""

import os
from typing import Final, TextIO

from waitressd.console import takes_colours
from waitressd.tools.tables import Output

_NARROWEST: Final = 20


def output_of(stream: TextIO) -> Output:
    """Look at a stream: a terminal has a width and takes colours; ``COLUMNS``, ``NO_COLOR`` and its like are obeyed."""
    is_terminal = stream.isatty()
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 6 else 0
    if not width and is_terminal:
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            width = 80
    return Output(max(width, _NARROWEST) if width else None, takes_colours(stream), stream.encoding or "utf-8")
