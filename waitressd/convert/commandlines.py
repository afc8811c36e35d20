"""Reads command lines: those of gunicorn, uWSGI and waitress-serve, also in a Procfile or a unit of systemd."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Final

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.convert import gunicorntable, uwsgifile, uwsgitable, waitresstable
from waitressd.convert.model import Item, Row, Sketch, Text, Variable, Verdict, from_environment
from waitressd.convert.steps import name_application, variables
from waitressd.wording import did_you_mean

PROGRAMS: Final = {"gunicorn": "gunicorn", "uwsgi": "uwsgi", "pyuwsgi": "uwsgi", "waitress-serve": "waitress"}
"""Whose command each program is."""
_LINE: Final = re.compile(r"^(?P<head>[A-Za-z][\w-]*:|ExecStart=|CMD|ENTRYPOINT|exec)?\s*(?P<rest>.*)$")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PYTHON: Final = re.compile(r"python[\d.]*|pypy[\d.]*")
_STARTS_NOTHING: Final = frozenset(
    (
        *("RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "FROM", "USER", "WORKDIR", "VOLUME"),
        *("install", "uninstall", "which", "type", "command", "echo", "kill", "pkill", "killall"),
        *("systemctl", "service", "supervisorctl", "cd", "mkdir", "rm", "cp", "mv", "ln", "chown", "chmod"),
        *("useradd", "adduser", "groupadd"),
    )
)
"""Words before the name of a server that make it something else than the program that is started."""
_VARIABLE: Final = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}|(?P<bare>[A-Za-z_]\w*))")
_ENDS: Final = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "2>&1", "2>"})


def command_in(text: str) -> tuple[int, str] | None:
    """Find the line of a text that starts one of the servers.

    ``web:`` of a Procfile goes before others, then what a unit, a container or a script starts at its end, then lines
    that begin with the program, then those that have it behind another one.
    """
    found = []
    entry: tuple[int, list[str]] | None = None  # an ENTRYPOINT whose options a CMD may have
    for number, line in _joined_lines(text):
        match = _LINE.match(line.strip())
        if match is None or line.lstrip().startswith(("#", ";")):
            continue
        head, rest = match["head"] or "", match["rest"]
        words = split_words(rest)
        if head == "CMD" and entry is not None and rest.startswith("["):
            number, words = entry[0], entry[1] + words  # noqa: PLW2901 - both lines are one command
        for command in _commands(words):
            if (index := _program_at(command)) is not None and not _STARTS_NOTHING.intersection(command[:index]):
                found.append((_rank(head, command[:index]), -len(command) if entry else 0, number, shlex.join(command)))
                entry = (number, command) if head == "ENTRYPOINT" and rest.startswith("[") else None
    return min(found)[2:] if found else None


def _rank(head: str, before: Sequence[str]) -> int:
    """Say how likely it is that this is the command that serves; 0 is the likeliest."""
    if head == "web:":
        return 0
    if head and not head.endswith(":"):
        return 1
    return 3 if _wrapper(before) else 2


def _wrapper(before: Sequence[str]) -> list[str]:
    """Return what starts the program, without what makes no difference: assignments, a Python."""
    rest = [word for word in before if not _ASSIGNMENT.fullmatch(word) and word not in ("env", "exec")]
    is_python = rest[1:] in ([], ["-m"]) and all(_PYTHON.fullmatch(PurePath(word).name) for word in rest[:1])
    return [] if is_python else rest


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the commands that a shell would see in words, also in the one behind ``-c``."""
    command: list[str] = []
    for word in (*words, ";"):
        if word not in _ENDS:
            command.append(word)
            continue
        if "-c" in command[:-1] and _program_at(command[: command.index("-c")]) is None:
            yield from _commands(split_words(command[command.index("-c") + 1]))
        elif command:
            yield command
        command = []


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; one that ends with a backslash goes on in the next."""
    begun, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield begun, held + line
        begun, held = 0, ""
    if held:
        yield begun, held


def split_words(text: str) -> list[str]:
    """Cut a command line into words as a shell does; nothing for one that a shell would not take."""
    if text.startswith("[") and text.endswith("]"):  # CMD ["gunicorn", "shop:app"]
        text = text[1:-1].replace(",", " ")
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _program_at(words: Sequence[str]) -> int | None:
    """Find the word that is the program, behind assignments, wrappers and ``python -m``."""
    for index, word in enumerate(words[:12]):
        if PurePath(word).name in PROGRAMS or (
            PurePath(word).name == "waitress" and words[index - 1 : index] == ["-m"]
        ):
            return index
    return None


def server_of(words: Sequence[str]) -> str:
    """Return which server a command line starts, or nothing."""
    index = _program_at(words)
    return "" if index is None else PROGRAMS.get(PurePath(words[index]).name, "waitress")


def convert(place: str, words: Sequence[str], server: str = "") -> Sketch:
    """Convert a command line. Raises ConfigError for one that is none of theirs, or an option that they do not know."""
    index = _program_at(words)
    if index is None and not server:
        known = ", ".join(PROGRAMS)
        raise ConfigError([Problem(place, "", f"{shorten(' '.join(words))}: expected a command line of {known}")])
    first = 0 if index is None else index + 1
    server = server or server_of(words)
    rest = list(words[first:])
    for end in (position for position, word in enumerate(rest) if word in _ENDS):
        rest = rest[:end]
        break
    sketch = _SERVERS[server](place, rest)
    before = words[: max(0, first - 1)]
    assignments = [_text(word) for word in before if _ASSIGNMENT.fullmatch(word)]
    if assignments:
        variables(sketch, Item(place, "environment", assignments, " ".join(text.example for text in assignments)))
    if wrapper := " ".join(_wrapper(before)):
        sketch.leave(Item(place, "wrapper", True, wrapper), "have it start waitressd", Verdict.ELSEWHERE)
    return sketch


def _application_in(sketch: Sketch, place: str, words: Sequence[str]) -> str:
    """Return the word that names the application, and leave the others: what a shell would put there is not known."""
    plain = [word for word in words if "$" not in word]
    named = (plain or [word for word in words if ":" in word] or [""])[0]
    for word in words:
        if word != named:
            why = "only a shell knows what it is; write the options yourself" if "$" in word else "it is one too many"
            sketch.leave(Item(place, "word", word, word), why)
    return named


def _text(word: str) -> Text:
    """Read the variables of a shell in a word."""
    parts: list[str | Variable] = []
    end = 0
    for match in _VARIABLE.finditer(word):
        try:
            variable = from_environment(match["braced"] or match["bare"], match["default"])
        except ValueError:
            continue
        parts += [word[end : match.start()], variable]
        end = match.end()
    parts.append(word[end:])
    return Text(tuple(part for part in parts if part != ""))


class _Words:
    """The words of a command line, one after the other."""

    def __init__(self, place: str, words: list[str]) -> None:
        self.place = place
        self._words = words
        self.positional: list[str] = []

    def options(self, is_flag: Callable[[str], bool]) -> Iterator[tuple[str, str | None, str]]:
        """Yield the name, value and text of each option; the other words are gathered. Raises ConfigError."""
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                self.positional += self._words
                return
            if not word.startswith("-") or word == "-":
                self.positional.append(word)
                continue
            name, equals, value = word.partition("=")
            if not word.startswith("--") and len(word) > 2:
                name, equals, value = word[:2], "=", word[2:].removeprefix("=")
            if equals or is_flag(name):
                yield name, value if equals else None, word
            elif self._words:
                following = self._words.pop(0)
                yield name, following, f"{word} {following}"
            else:
                raise ConfigError([Problem(self.place, word, "a value must follow")])


def _gunicorn(place: str, words: list[str]) -> Sketch:
    sketch = Sketch("a command line of gunicorn")
    flags = {flag: row for row in gunicorntable.ROWS for flag in _flags(row)}
    read = _Words(place, words)
    items: dict[str, Item] = {}
    for name, value, text in read.options(lambda name: name in flags and flags[name].is_flag):
        row = flags.get(name) or gunicorntable.row_of(name.removeprefix("--").replace("-", "_"))
        if row is None:
            raise ConfigError([Problem(place, name, f"gunicorn has no such option{did_you_mean(name, flags)}")])
        key = row.names[0] if len(row.names) == 1 else name.removeprefix("--").replace("-", "_")
        given = True if value is None else _text(value)
        if key in items and key in ("bind", "raw_env"):
            given = [*items[key].values, given]  # type: ignore[assignment]  # a list of texts is a value, too
        items[key] = Item(place, key, given, text if key not in items else f"{items[key].source} {text}")
    if application := _application_in(sketch, place, read.positional):
        items["wsgi_app"] = Item(place, "wsgi_app", _text(application), application)
    for item in items.values():
        row = gunicorntable.row_of(item.name)
        assert row is not None
        row.apply(sketch, item)
    gunicorntable.finish(sketch, list(items.values()))
    return sketch


def _flags(row: Row) -> tuple[str, ...]:
    return row.flags or tuple(f"--{name.replace('_', '-')}" for name in row.names)


def _uwsgi(place: str, words: list[str]) -> Sketch:
    read = _Words(place, words)

    def is_flag(name: str) -> bool:
        row = uwsgitable.row_of(name.lstrip("-"))
        return row is not None and row.is_flag

    items = [
        Item(place, name.lstrip("-"), True if value is None else _text(value), text)
        for name, value, text in read.options(is_flag)
    ]
    items += [Item(place, "ini", _text(word), word) for word in read.positional]
    return uwsgifile.convert_items("a command line of uWSGI", items)


def _waitress(place: str, words: list[str]) -> Sketch:
    sketch = Sketch("a command line of waitress-serve", cuts_lists=True)
    read = _Words(place, words)
    rows = {**SETTINGS, **{alias: SETTINGS[name] for alias, name in ALIASES.items()}}

    def is_flag(name: str) -> bool:
        word = name.removeprefix("--").replace("-", "_")
        row = rows.get(word.removeprefix("no_"))
        return word in ("call", "help") or (row is not None and row.kind.is_flag)

    is_factory = False
    for name, value, text in read.options(is_flag):
        word = name.removeprefix("--").replace("-", "_")
        if word == "call":
            is_factory = True
        elif word == "app":
            read.positional.insert(0, value or "")
        else:
            given: object = word.startswith("no_") is False if value is None else _text(value)
            waitresstable.apply(sketch, Item(place, word.removeprefix("no_") if value is None else word, given, text))
    if application := _application_in(sketch, place, read.positional):
        item = Item(place, "app", _text(application), application)
        name_application(sketch, item, item.text)
        sketch.is_factory = sketch.is_factory or is_factory
    waitresstable.finish(sketch)
    return sketch


_SERVERS: Final[dict[str, Callable[[str, list[str]], Sketch]]] = {
    "gunicorn": _gunicorn,
    "uwsgi": _uwsgi,
    "waitress": _waitress,
}
