"""Reads the ``[uwsgi]`` section of an ini file the way uWSGI does: keys repeat, and placeholders are its own.

Nothing is included and no command of ``exec:`` or ``@(...)`` is run.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from waitressd.config.adjustments import SETTINGS
from waitressd.config.errors import ConfigError, Problem
from waitressd.convert import uwsgitable
from waitressd.convert.model import HERE, Item, Row, Sketch, Text, Unknown, Variable, from_environment

_SECTION: Final = re.compile(r"\[(?P<name>[^\]]+)\]")
_PLACE: Final = re.compile(
    r"\$\((?P<variable>[A-Za-z_]\w*)\)|%\((?P<name>[\w.-]+)\)|@\((?P<file>[^)]*)\)|%(?P<magic>[A-Za-z])"
)
_CONDITIONS: Final = re.compile(r"(if|for)-?[a-z-]+|for|if")
_ENDS: Final = frozenset({"endif", "end-if", "endfor", "end-for"})
_CONDITION: Final = "it depends on a condition, which is not looked at here; write the line that you need"
_SWITCH_OR_NUMBER: Final = re.compile(r"[0-9]+|true|false")
_MOST_PARTS: Final = 1000
_OTHER_FORMATS: Final = (
    (re.compile(r"^\s*<(\?xml|uwsgi)"), "XML"),
    (re.compile(r"^uwsgi:\s*$", re.MULTILINE), "YAML"),
    (re.compile(r"^\s*\{\s*\"uwsgi\""), "JSON"),
)


def looks_like_it(text: str) -> bool:
    """Whether a text has a section [uwsgi], or is a configuration of uWSGI in another format."""
    return bool(re.search(r"^\s*\[uwsgi(:[^\]]*)?\]", text, re.MULTILINE)) or bool(_other_format(text))


def _other_format(text: str) -> str:
    return next((name for pattern, name in _OTHER_FORMATS if pattern.search(text)), "")


def convert(name: str, text: str) -> Sketch:
    """Convert the text of a file; `name` is what messages and comments call it. Raises ConfigError for a wrong one."""
    if found := _other_format(text):
        problem = f"this is {found}; write the options as an ini file, in a section [uwsgi], and convert that"
        raise ConfigError([Problem(f"{name}:1", "", problem)])
    return convert_items(f"uWSGI's {name}", list(_items(name, text)))


def convert_items(title: str, items: list[Item]) -> Sketch:
    """Convert options in their order; those with one name are one option with several values."""
    sketch = Sketch(title)
    together: dict[str, Item] = {}
    for item in items:
        row = uwsgitable.row_of(item.name)
        if row is None:
            sketch.leave(item, "uWSGI 2.0 has no such option")
            continue
        key = row.names[0] if row in uwsgitable.CONVERTED else item.name
        before = together.get(key)
        if before is None or isinstance(before.value, Unknown) or isinstance(item.value, Unknown):
            if isinstance(item.value, Unknown) and before is not None:
                row.apply(sketch, item)
                continue
            together[key] = Item(item.place, key, item.value, item.source)
        elif _SWITCH_OR_NUMBER.fullmatch(item.text.example.strip()) and not _is_list(row):
            together[key] = Item(item.place, key, item.value, item.source)  # of these the last one counts
        else:
            together[key] = Item(before.place, key, [*before.values, *item.values], before.source)
    for key, item in sorted(together.items(), key=lambda entry: entry[0] != "callable"):
        row = uwsgitable.row_of(key)
        assert row is not None
        row.apply(sketch, item)
    uwsgitable.finish(sketch, list(together.values()))
    return sketch


def _is_list(row: Row) -> bool:
    """Whether what it becomes takes several values."""
    return any(SETTINGS[name].kind.repeats for name in row.here if name in SETTINGS)


def _items(name: str, text: str) -> Iterator[Item]:
    known: dict[str, Text] = {}
    conditions = 0
    for number, key, value, source in _lines(name, text):
        place = f"{name}:{number}"
        if key in _ENDS:
            conditions = max(0, conditions - 1)
        elif _CONDITIONS.fullmatch(key):
            conditions += 1
        elif conditions:
            yield Item(place, key, Unknown(_CONDITION), source)
        else:
            filled = _filled(name, value, known)
            if key in ("set-placeholder", "set-ph", "set") and not isinstance(filled, Unknown):
                placeholder, *rest = filled.split("=")
                known[placeholder.example.strip()] = rest[0] if rest else Text()
            else:
                if not isinstance(filled, Unknown):
                    known[key] = filled
                if uwsgitable.row_of(key) is not None or f"%({key})" not in text:
                    yield Item(place, key, filled, source)  # any other name is that of a placeholder


def _lines(name: str, text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield the number, key, value and text of each line in [uwsgi]. Raises ConfigError if there is no such section."""
    inside = found = False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip().lstrip("\ufeff")  # noqa: PLW2901 - a line without what surrounds it
        if not line or line.startswith(("#", ";")):
            continue
        if section := _SECTION.match(line):
            inside = section["name"].strip() == "uwsgi"
            found = found or inside
            continue
        if not inside:
            continue
        key, equals, value = line.partition("=")
        yield number, key.strip(), value.strip() if equals else "true", line
    if not found:
        raise ConfigError([Problem(f"{name}:1", "", "there is no section [uwsgi]")])


def _filled(name: str, value: str, known: dict[str, Text]) -> Text | Unknown:
    """Put in what placeholders, variables of the environment and magic letters mean."""
    parts: list[str | Variable] = []
    end = 0
    for match in _PLACE.finditer(value):
        parts.append(value[end : match.start()])
        end = match.end()
        found = _meant(name, match, known)
        if found is None:
            return Unknown(f"what {match[0]} is, only uWSGI knows; write the value yourself")
        parts += found.parts
        if len(parts) > _MOST_PARTS:
            return Unknown("it is too long")
    parts.append(value[end:])
    return Text(tuple(part for part in parts if part != ""))


def _meant(name: str, match: re.Match[str], known: dict[str, Text]) -> Text | None:
    if match["variable"]:
        return Text.of(from_environment(match["variable"]))
    if match["name"]:
        return known.get(match["name"])
    path = PurePath(name)
    magic = {
        "d": Text((HERE, "/")),
        "p": Text((HERE, f"/{path.name}")),
        "s": Text.of(path.name),
        "n": Text.of(path.stem),
        "e": Text.of(path.suffix.removeprefix(".")),
        "k": Text.of("auto"),
    }
    return magic.get(match["magic"] or "")
