"""The command line of a command, as values: which options, which words, and whom to ask."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from waitressd.config.subcommands import SUBCOMMANDS, Subcommand
from waitressd.kinds import BadValueError, Kind, duration, integer
from waitressd.tools.client import TIMEOUT_SECONDS
from waitressd.tools.failures import UsageError
from waitressd.tools.target import EXPECTED, Words
from waitressd.tools.texts import harmless
from waitressd.wording import did_you_mean

_FIRST: Final = {"ID": re.compile(r"[0-9]{1,10}-[0-9]{1,20}-[0-9]{1,20}"), "SECONDS": re.compile(r"[0-9.]{1,20}")}
_VARIABLE: Final = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*)", re.DOTALL)
_SECONDS: Final = duration(0, 86400)
_TIMEOUT: Final = duration(0.01, 3600)
_COUNT: Final = integer(0, 1_000_000)
_KINDS: Final[dict[str, Kind[int] | Kind[float]]] = {
    "older": _SECONDS,
    "wait": _SECONDS,
    "timeout": _TIMEOUT,
    "limit": _COUNT,
    "offset": _COUNT,
    "worker": integer(0, 65536),
    "rate": integer(1, 200),
}
_PROFILE_SECONDS: Final = integer(1, 60)
_DEFAULT_PROFILE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line asks for; every value is checked."""

    command: Subcommand
    options: Mapping[str, Any]
    words: Words
    identity: str = ""
    """The id of one request."""
    seconds: int = _DEFAULT_PROFILE_SECONDS
    """Of a profile."""

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return name in self.options

    def text(self, name: str) -> str:
        """Return the value of an option as text; empty if it was not given."""
        value = self.options.get(name, "")
        return f"{value:g}" if isinstance(value, float) else str(value)

    def number(self, name: str, default: float = 0.0) -> float:
        """Return the value of an option that is a number."""
        return float(self.options.get(name, default))

    @property
    def timeout_seconds(self) -> float:
        """How long to wait for an answer."""
        return self.number("timeout", TIMEOUT_SECONDS)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(harmless(message.removeprefix("argument ")))


def parse_words(name: str, arguments: Sequence[str]) -> Asked:
    """Read what comes after the name of a command. Raises UsageError."""
    command = SUBCOMMANDS[name]
    parser = _Parser(prog=f"waitressd {name}", add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    parser.add_argument("words", nargs="*", default=[])
    for option in command.options:
        if option.takes_value:
            parser.add_argument(*option.flags, dest=option.name, choices=option.choices or None)
        else:
            parser.add_argument(*option.flags, dest=option.name, action="store_true")
    known, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        word = unknown[0].partition("=")[0]
        known_words = [flag for option in command.options for flag in option.flags]
        raise UsageError(f"unknown option {harmless(word)}{did_you_mean(word, known_words)}")
    values = vars(known)
    targets, variables, first = _split(command, values.pop("words"))
    if len(targets) > 1:
        raise UsageError(f"{harmless(targets[0])} and {harmless(targets[1])}: name one {EXPECTED}")
    options = {key: _checked(key, value) for key, value in values.items() if value is not False}
    words = Words(
        targets[0] if targets else "",
        variables,
        str(options.get("server-name", "")),
        str(options.get("token-file", "")),
    )
    if command.word == "SECONDS":
        return Asked(command, options, words, seconds=_profile_seconds(first))
    return Asked(command, options, words, identity=first)


def _split(command: Subcommand, words: Sequence[str]) -> tuple[list[str], dict[str, str], str]:
    """Tell what a word is by its form: a variable, the word that a command takes, or whom to ask."""
    targets: list[str] = []
    variables: dict[str, str] = {}
    first = ""
    for word in words:
        if not first and command.word and _FIRST[command.word].fullmatch(word):
            first = word
        elif (match := _VARIABLE.fullmatch(word)) and not word.startswith(("unix:", "http")):
            variables[match["name"]] = match["value"]
        else:
            targets.append(word)
    return targets, variables, first


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401 - the value of an option is what its kind makes of it
    kind = _KINDS.get(name)
    if kind is None:
        return value
    try:
        return kind.parse(value)
    except BadValueError as bad:
        raise UsageError(f"--{name}={harmless(value)}: {str(bad) or f'expected {kind.words}'}") from None


def _profile_seconds(word: str) -> int:
    try:
        return _PROFILE_SECONDS.parse(word) if word else _DEFAULT_PROFILE_SECONDS
    except BadValueError as bad:
        raise UsageError(f"{harmless(word)}: {str(bad) or 'expected a whole number of seconds, 1 to 60'}") from None
