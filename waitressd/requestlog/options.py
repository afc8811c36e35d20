"""The options of a request log: text as an ini section has it, checked, with every problem at once."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from waitressd.kinds import BadValueError, Kind
from waitressd.wording import did_you_mean, trailing_comment

DEFAULT_LOGGER: Final = "waitressd.access"
"""To which a request log writes that names neither a logger nor a file."""

T = TypeVar("T")
D = TypeVar("D")


class OptionError(ValueError):
    """Options of a request log that cannot work. Factories of plugins may raise it, too.

    `problems` are pairs of an option, '' for none in particular, and a sentence about it.
    """

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in problems))
        self.problems: Final = problems


class Options:
    """The options of one log. Each is taken once; `finish` complains about the wrong and the unknown ones."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._known: list[str] = []
        self._problems: list[tuple[str, str]] = []

    def take(self, name: str, kind: Kind[T], default: D) -> T | D:
        """Take the value of an option; the default if it was not given or is wrong."""
        self._known.append(name)
        if name not in self._given:
            return default
        value = self._given[name]
        try:
            return kind.parse(value)
        except BadValueError as bad:
            comment = trailing_comment(value) if isinstance(value, str) else ""
            no_comment = f"'{comment}' is no comment: a comment needs a line of its own"
            self.complain(name, no_comment if comment else str(bad) or f"expected {kind.words}")
        return default

    def complain(self, name: str, text: str) -> None:
        """Add a problem."""
        self._problems.append((name, text))

    def finish(self) -> None:
        """Raise OptionError if anything is wrong."""
        for name in self._given:
            if name not in self._known:
                self.complain(name, f"unknown option{suggest(name, self._known)}")
        if self._problems:
            raise OptionError(*self._problems)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the words that lead from a misspelt name to the nearest one, or to the list of all."""
    names = list(known)
    return did_you_mean(name.lower().replace("-", "_"), names) or f"; expected one of {', '.join(names)}"
