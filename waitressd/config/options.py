"""An option of a command line, as the parser, the help text and the shells see it."""

import textwrap
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 80
"""The columns of a help text."""
_FLAG_COLUMN: Final = 29


@dataclass(frozen=True, slots=True)
class Option:
    """An option as the parser, the help text and the shells see it; one without a metavar takes no value."""

    name: str
    """The long name, without its dashes."""
    summary: str
    short: str = ""
    metavar: str = ""
    """What stands for the value; in brackets if it may be left out."""
    choices: tuple[str, ...] = ()
    repeats: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """What a user may write."""
        return (f"-{self.short}", f"--{self.name}") if self.short else (f"--{self.name}",)

    @property
    def takes_value(self) -> bool:
        """Whether a value must follow."""
        return bool(self.metavar) and not self.metavar.startswith("[")

    def help_lines(self) -> str:
        """Write the option and its summary as the help shows them."""
        flags = ("" if self.short else "    ") + ", ".join(self.flags)
        return help_lines(f"{flags}{'=' * self.takes_value}{self.metavar}", self.summary)


def help_lines(left: str, summary: str, column: int = _FLAG_COLUMN) -> str:
    """Write a word and what it means in two columns."""
    left = f"  {left}"
    gap = " " * max(2, column - len(left))
    return f"{left}{gap}" + f"\n{' ' * column}".join(textwrap.wrap(summary, WIDTH - column))
