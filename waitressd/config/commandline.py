"""The command line as values: which options there are (from the table), and what a given one means."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.hints import suggest
from waitressd.config.options import Option
from waitressd.config.origins import COMMAND_LINE
from waitressd.config.reading import Given
from waitressd.config.settings import Setting

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*)", re.DOTALL)
_FLAG_WITH_VALUE: Final = re.compile(r"argument (--[\w-]+): ignored explicit argument .*")
_SETTING: Final = "setting "


OPTIONS: Final[tuple[Option, ...]] = (
    Option("config", "ini file or plaster URI; beside MODULE:OBJECT it configures the server", "c", "FILE"),
    Option("app-name", "section [app:NAME] to serve (main)", "n", "NAME"),
    Option("server-name", "section [server:NAME] to run (main); without ini file, SERVER_NAME", metavar="NAME"),
    Option("app", "the application, as an option", metavar="MODULE:OBJECT"),
    Option("call", "OBJECT is a factory: call it to get the application"),
    Option("check-config", "report every problem and advice, bind nothing", "t"),
    Option("print-config", "print every value and where it comes from", metavar="[=json]", choices=("text", "json")),
    Option("reload", "restart when a file changes (needs hupper)"),
    Option("reload-interval", "seconds between looks at the files (1)", metavar="N"),
    Option("completion", "print a completion script: bash, zsh or fish", metavar="SHELL", choices=SHELLS),
    Option("quiet", "say less: warnings and errors", "q"),
    Option("verbose", "say more", "v"),
    Option("help", "print this", "h"),
    Option("help-all", "explain every setting"),
    Option("version", "print the version"),
)
"""The options of the command that are no settings."""


@dataclass(frozen=True, slots=True)
class Command:
    """What the command line asks for."""

    config: str = ""
    """The ini file or URI, or empty."""
    app: str = ""
    """``MODULE:OBJECT``, or empty if the ini file names the application."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """``NAME=VALUE`` for the ini file."""
    overrides: Mapping[str, Given] = field(default_factory=dict)
    """Settings given as options."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that are no settings, by name; missing ones were not given."""

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return bool(self.options.get(name))

    def text(self, name: str, default: str = "") -> str:
        """Return the value of an option."""
        return str(self.options.get(name) or default)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        match = _FLAG_WITH_VALUE.fullmatch(message)
        if match:
            name = match[1].removeprefix("--")
            opposite = name.removeprefix("no-") if name.startswith("no-") else f"no-{name}"
            message = f"--{name} takes no value; its opposite is --{opposite}"
        raise ConfigError([_usage(message.removeprefix("argument "))])


def _usage(text: str) -> Problem:
    return Problem(COMMAND_LINE.place, "", f"{text} (waitressd --help lists the options)")


def settable() -> list[Setting]:
    """List the settings that have an option of their own, in the order of the table.

    ``--server-name`` has two meanings: pserve's, the section, beside an ini file, and waitress-serve's, the setting,
    without one.
    """
    return [row for row in SETTINGS.values() if not row.kind.python_only and row.name != "server_name"]


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="waitressd", add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", default=[])
    for option in OPTIONS:
        if option.takes_value:
            parser.add_argument(*option.flags, choices=option.choices or None)
        elif option.metavar:
            parser.add_argument(*option.flags, nargs="?", const=option.choices[0], choices=option.choices)
        else:
            parser.add_argument(*option.flags, action="count")
    names = {row.name: row for row in settable()} | {alias: SETTINGS[name] for alias, name in ALIASES.items()}
    for name, row in names.items():
        word, dest = name.replace("_", "-"), _SETTING + row.name
        if row.kind.is_flag:
            parser.add_argument(f"--{word}", dest=dest, action="store_const", const="true")
            parser.add_argument(f"--no-{word}", dest=dest, action="store_const", const="false")
        else:
            parser.add_argument(f"--{word}", dest=dest, action="append" if row.kind.repeats else "store")
    return parser


def parse_command(arguments: Sequence[str]) -> Command:
    """Read a command line. Raises ConfigError."""
    # `--print-config FILE` does not take the file for its value: that needs an equals sign.
    joined = ["--print-config=text" if word == "--print-config" else word for word in arguments]
    known, unknown = _build_parser().parse_known_intermixed_args(joined)
    if unknown:
        raise ConfigError(_unknown_option(word) for word in unknown)
    values = vars(known)
    words, variables = _split_words(values.pop("words"))
    overrides = {}
    for name, value in values.items():
        if name.startswith(_SETTING):
            text = " ".join(value) if isinstance(value, list) else value
            overrides[name.removeprefix(_SETTING)] = Given(text, COMMAND_LINE)
    options = {name: value for name, value in values.items() if not name.startswith(_SETTING)}
    config, app = _targets(words, options)
    if not config and "server_name" in options:
        overrides["server_name"] = Given(options.pop("server_name"), COMMAND_LINE)
    return Command(config, app, variables, overrides, options)


def _unknown_option(word: str) -> Problem:
    name = word.partition("=")[0]
    names = [*(option.name for option in OPTIONS), *(row.name for row in settable())]
    hint = suggest(name.removeprefix("--no-"), [name.replace("-", "_") for name in names])
    head, mark, meant = hint.partition("did you mean ")
    hint = f"{head}{mark}--{meant.replace('_', '-')}" if mark else hint
    return _usage(f"unknown option {shorten(name)}{hint}")


def _split_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    targets, variables = [], {}
    for word in words:
        match = _VARIABLE.fullmatch(word)
        if match:
            variables[match["name"]] = match["value"]
        else:
            targets.append(word)
    return targets, variables


def _targets(words: Sequence[str], options: Mapping[str, Any]) -> tuple[str, str]:
    config, app = str(options.get("config") or ""), str(options.get("app") or "")
    for word in words:
        if is_reference(word):
            if app:
                raise ConfigError([_usage(f"two applications: {app} and {word}")])
            app = word
        elif config:
            raise ConfigError([_usage(f"two ini files: {config} and {word}")])
        else:
            config = word
    return config, app


def is_reference(word: str) -> bool:
    """Whether a word names an application, ``MODULE:OBJECT``, and not a file or URI."""
    if word.startswith(("egg:", "call:", "config:")) or word.endswith(".ini") or "/" in word:
        return False
    return ":" in word and "://" not in word and "+" not in word.partition(":")[0]
