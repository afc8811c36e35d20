"""The manual as its readers see it: pages, and the blocks of commands, files and output on them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.servers import ROOT

DOCS: Final = ROOT / "docs"
_BLOCK: Final = re.compile(
    r"^(?P<indent> *)\.\. code-block::(?P<language>[ \w]*)\n(?P<options>(?: +:[^\n]*\n)*)\n"
    r"(?P<body>(?:(?P=indent) +[^\n]*\n|\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: str
    line: int
    language: str
    text: str
    before: str
    """The line above the block, where a comment may say something about it."""

    @property
    def place(self) -> str:
        """Where it is, for somebody who has to mend it."""
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """Find the blocks of a page, in order."""
    text = path.read_text(encoding="utf-8") + "\n"
    for match in _BLOCK.finditer(text):
        lines = match["body"].rstrip("\n").split("\n")
        indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        body = "".join(f"{line[indent:]}\n" for line in lines)
        above = text[: match.start()].rstrip("\n").rpartition("\n")[2]
        yield Block(path.name, text.count("\n", 0, match.start()) + 1, match["language"].strip(), body, above)


def pages() -> list[Path]:
    """Return every page, what pages include, and the README."""
    return [ROOT / "README.rst", ROOT / "CHANGES.rst", *sorted(DOCS.glob("*.rst")), *sorted(DOCS.glob("*.inc"))]
