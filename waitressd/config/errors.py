"""What is wrong with a configuration, in sentences for an operator."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

_SHOWN_CHARACTERS: Final = 100


def shorten(value: object) -> str:
    """Show a value on one line: white space folded, control characters escaped, the middle of a long text left out."""
    text = _printable(" ".join(value.split()) if isinstance(value, str) else repr(value))
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[: _SHOWN_CHARACTERS - 23]}...{text[-20:]}"
    return text


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps the server from starting: where it is, what is written there, what is allowed."""

    place: str
    subject: str
    text: str

    def __str__(self) -> str:
        """Join what is known: ``production.ini:31 [server:main]: threads = four: expected a whole number``."""
        return _printable(": ".join(part for part in (self.place, self.subject, self.text) if part))


class ConfigError(ValueError, SystemExit):
    """The configuration cannot work; lists every problem, one a line.

    It is a `ValueError` for callers and tests. It is a `SystemExit` too, because `pserve` calls a server factory
    without a net: Python then prints `code`, which is the message alone, and ends with status 1 instead of showing
    thirty lines of traceback that say nothing about the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        message = "\n".join(str(problem) for problem in self.problems)
        super().__init__(message)
        self.code: str | int = message

    def end_with(self, status: int) -> None:
        """Have the process end with this status if nobody catches the error: Python then prints nothing, so this does.

        For the thread that is about to raise it.
        """
        sys.stderr.write(f"{self}\n")
        self.code = status


def together(*steps: Callable[[], Any]) -> list[Any]:
    """Take every step and return what each gave. Raises one ConfigError with the problems of all that raised one."""
    problems: list[Problem] = []
    results = []
    for step in steps:
        try:
            results.append(step())
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return results
