"""Tables of harmless text that fit: wide columns shrink, and those that matter least go, until a line has room.

Knows widths and colours, and nothing of what is in the cells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from waitressd.tools.texts import dots_for, fitted, harmless, padded, width_of

GAP: Final = "  "
_STYLES: Final = {
    "": "",
    "head": "\x1b[1m",
    "own": "\x1b[1m",
    "bad": "\x1b[31m",
    "warn": "\x1b[33m",
    "good": "\x1b[32m",
    "dim": "\x1b[2m",
}
_PLAIN: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, and what becomes of it where there is not room for all."""

    title: str
    right: bool = False
    """Whether it holds numbers."""
    least: int = 0
    """The width that it may shrink to; 0: it does not shrink."""
    rank: int = 0
    """Of those that are left out the highest goes first; 0: it stays."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line, as they came; `below` are lines under it, such as a stack."""

    cells: tuple[str, ...]
    style: str = ""
    below: tuple["Line", ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is no row: a heading, a finding, a frame of a stack."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Flow:
    """Short texts that follow each other on as few lines as they need; none of them is cut in two."""

    texts: tuple[str, ...]
    style: str = ""
    gap: str = "   "


Part = Line | Table | Flow


@dataclass(frozen=True, slots=True)
class Output:
    """What lines are written for."""

    width: int | None = None
    """Columns of the terminal; None: as wide as needed, for a file or a program."""
    coloured: bool = False
    encoding: str = "utf-8"

    def line(self, line: Line) -> str:
        """Write one line. Its text may come from anywhere."""
        text = harmless(line.text, self.encoding)
        return self.styled(text if self.width is None else self.cut(text, self.width), line.style)

    def flow(self, flow: Flow) -> list[str]:
        """Write short texts."""
        lines: list[str] = []
        for text in (harmless(text, self.encoding) for text in flow.texts if text):
            longer = f"{lines[-1]}{flow.gap}{text}" if lines else text
            if lines and (self.width is None or width_of(longer) <= self.width):
                lines[-1] = longer
            else:
                lines.append(text)
        return [self.styled(line if self.width is None else self.cut(line, self.width), flow.style) for line in lines]

    def parts(self, parts: Iterable[Part]) -> list[str]:
        """Write parts; a table has an empty line before and after it."""
        lines: list[str] = []
        for part in parts:
            if isinstance(part, Table):
                lines += ["", *self.table(part), ""] if lines and lines[-1] else [*self.table(part), ""]
            else:
                lines += [self.line(part)] if isinstance(part, Line) else self.flow(part)
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def cut(self, text: str, width: int) -> str:
        """Cut a harmless text to a width."""
        return fitted(text, width, dots_for(self.encoding))

    def styled(self, text: str, style: str) -> str:
        """Colour a harmless text, where colours are wanted."""
        return f"{_STYLES[style]}{text}{_PLAIN}" if style and self.coloured else text

    def table(self, table: Table) -> list[str]:
        """Write a table: its titles and its rows."""
        cells = [tuple(harmless(cell, self.encoding) for cell in row.cells) for row in table.rows]
        titles = tuple(column.title for column in table.columns)
        needed = [max(map(width_of, column)) for column in zip(titles, *cells, strict=True)]
        widths = needed if self.width is None else fit_columns(table.columns, needed, self.width)
        shown = [(index, width) for index, width in enumerate(widths) if width]

        def joined(texts: tuple[str, ...]) -> str:
            parts = [
                padded(self.cut(texts[index], width), width, right=table.columns[index].right) for index, width in shown
            ]
            line = GAP.join(parts).rstrip()
            return line if self.width is None else self.cut(line, self.width)

        lines = [self.styled(joined(titles), "head")]
        for row, texts in zip(table.rows, cells, strict=True):
            lines.append(self.styled(joined(texts), row.style))
            lines += [self.line(line) for line in row.below]
        return lines


def fit_columns(columns: Sequence[Column], needed: Sequence[int], width: int) -> list[int]:
    """Give each column its width, 0 where it is left out; the sum with its gaps is at most `width` if that can be."""
    widths = list(needed)
    least = [
        min(size, max(column.least, width_of(column.title))) if column.least else size
        for column, size in zip(columns, needed, strict=True)
    ]
    while _total(least) > width:
        droppable = [index for index, column in enumerate(columns) if column.rank and least[index]]
        if not droppable:
            break
        last = max(droppable, key=lambda index: columns[index].rank)
        least[last] = widths[last] = 0
    while (over := _total(widths) - width) > 0:
        widest = max(range(len(widths)), key=lambda index: widths[index] - least[index])
        if widths[widest] <= least[widest]:
            break
        # Step by step, so that two wide columns end up alike and not one of them empty.
        widths[widest] -= min(over, max(1, (widths[widest] - least[widest]) // 4))
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [size for size in widths if size]
    return sum(shown) + len(GAP) * max(0, len(shown) - 1)
