"""Where a value came from: the default, a line of a file, the command line, a Python argument."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Source(Enum):
    """The kinds of place that a value can come from."""

    DEFAULT = "default"
    FILE = "file"
    COMMAND_LINE = "command line"
    PYTHON = "Python argument"


def display_path(path: str) -> str:
    """Shorten a path below the current directory to the part an operator would type."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from.

    `line` is 0 and `section` is empty when they are not known. `variables` are the environment variables that were put
    in place of ``${NAME}``.
    """

    source: Source
    path: str = ""
    line: int = 0
    section: str = ""
    variables: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Say where to look: ``production.ini:31 [server:main]``; empty for a Python argument and a default."""
        if self.source is Source.COMMAND_LINE:
            return "command line"
        if self.source is not Source.FILE:
            return ""
        where = display_path(self.path) + (f":{self.line}" if self.line else "")
        return f"{where} [{self.section}]" if self.section else where

    def __str__(self) -> str:
        """Describe the origin for the listing of effective values."""
        text = self.place or self.source.value
        return text + "".join(f", ${{{name}}}" for name in self.variables)


DEFAULT = Origin(Source.DEFAULT)
COMMAND_LINE = Origin(Source.COMMAND_LINE)
PYTHON = Origin(Source.PYTHON)
