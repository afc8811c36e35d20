"""What the pages have in common that are rendered from tables of the code."""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))  # the tree that the pages belong to; who renders imports this module first
WIDTH: Final = 118


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Write the lines of a table, a cell to a line."""
    yield ".. list-table::\n   :header-rows: 1\n"
    for cells in (heads, *rows):
        for index, cell in enumerate(cells):
            start = "   * - " if index == 0 else "     - "
            lines = textwrap.fill(
                cell, WIDTH, initial_indent=start, subsequent_indent=" " * 7, break_on_hyphens=False
            ).rstrip()
            yield lines or start.rstrip()
    yield ""


def write_or_check(pages: Mapping[str, str], script: str) -> int:
    """Write pages by their names below ``docs/``; with ``--check``, say which are stale, and return 1 if one is."""
    stale = []
    for name, text in pages.items():
        path = DOCS / name
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what its source gives; run python docs/{script}\n")
    return 1 if stale else 0
