"""The options of a request log: text as an ini section has it, checked, with every problem at once."""

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

STANDARD_OUTPUT: Final = "-"
_COMMENT: Final = re.compile(r"\s([#;].*)", re.DOTALL)
_YES: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
_NO: Final = frozenset({"0", "off", "f", "false", "n", "no"})


class OptionError(ValueError):
    """Options of a request log that cannot work. Factories of plugins may raise it, too.

    `problems` are pairs of an option, '' for none in particular, and a sentence about it.
    """

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in problems))
        self.problems: Final = problems


class Options:
    """The options of one log. Each is taken once; `finish` complains about the wrong and the unknown ones."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._known: list[str] = []
        self._problems: list[tuple[str, str]] = []

    def text(self, name: str, default: str = "") -> str:
        """Take a text; an empty one is an error."""
        self._known.append(name)
        if name not in self._given:
            return default
        value = self._given[name].strip()
        if not value:
            self.complain(name, "expected a value")
        return value

    def path(self, name: str) -> str:
        """Take the path of a file, empty without one. A comment behind it would become part of the file's name.

        A relative path belongs to the folder of the start: the application may change the current one.
        """
        text = self.text(name)
        if comment := _COMMENT.search(text):
            self.complain(name, f"'{comment[1]}' is no comment: comments stand on lines of their own")
        return text if text in ("", STANDARD_OUTPUT) else os.path.abspath(text)  # noqa: PTH100 - pathlib keeps ".."

    def words(self, name: str) -> list[str]:
        """Take words, separated by white space or commas."""
        return self.text(name).replace(",", " ").split()

    def flag(self, name: str, *, default: bool | None = None) -> bool | None:
        """Take a boolean in one of its usual spellings."""
        text = self.text(name).lower()
        if not text:
            return default
        if text not in _YES | _NO:
            self.complain(name, "expected true or false")
        return text in _YES

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """Take a whole number."""
        text = self.text(name)
        if not text:
            return default
        if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
            self.complain(name, f"expected a whole number, {low} to {high}")
            return default
        return int(text)

    def octal(self, name: str, default: int) -> int:
        """Take permissions, as chmod writes them."""
        text = self.text(name)
        if not text:
            return default
        try:
            value = int(text, 8)
        except ValueError:
            value = -1
        if not 0 <= value <= 0o777:
            self.complain(name, "expected permissions in octal, such as 640")
            return default
        return value

    def complain(self, name: str, text: str) -> None:
        """Add a problem."""
        self._problems.append((name, text))

    def finish(self) -> None:
        """Raise OptionError if anything is wrong."""
        for name in self._given:
            if name not in self._known:
                self._problems.append((name, f"unknown option{suggest(name, self._known)}"))
        if self._problems:
            raise OptionError(*self._problems)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the words that lead from a misspelt name to the nearest one, or to the list of all."""
    names = list(known)
    near = get_close_matches(name.lower().replace("-", "_"), names, 1)
    return f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(names)}"
