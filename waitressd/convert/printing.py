"""Writes what a conversion has come to as an ini file."""

import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Final

from waitressd.config.adjustments import SETTINGS
from waitressd.config.errors import shorten
from waitressd.convert.model import Line, Sketch, Text, Verdict

_WIDTH: Final = 100
_ORDER: Final = list(SETTINGS)
_LAST_ON_LINE: Final = re.compile(r"[ \t]+$", re.MULTILINE)


def ini_text(sketch: Sketch) -> str:
    """Write the sections and comments."""
    lines = [
        f"# Made by waitressd convert from {shorten(sketch.title)}. Look at it with: waitressd --check-config FILE.ini",
        *(line for remark in sketch.remarks for line in _comment(remark)),
        "",
        *(["[DEFAULT]"] if sketch.defaults else []),
        *(f"{name} = {value}" for name, value in sketch.defaults.items()),
        *([""] if sketch.defaults else []),
        *_application(sketch),
        "[server:main]",
        "use = egg:waitressd",
    ]
    for line in sorted(sketch.lines.values(), key=lambda line: _ORDER.index(line.name)):
        lines += _setting(line)
    if sketch.log:
        lines += ["", "[request_log:access]"]
        lines += [f"{name} = {text.written}" for name, text in sketch.log.items()]
    lines += _left(sketch)
    return _LAST_ON_LINE.sub("", "\n".join(lines)) + "\n"


def _application(sketch: Sketch) -> Iterator[str]:
    if sketch.application is None:
        for text in sketch.folders:
            yield from _comment(f"Have PYTHONPATH name the folder {_spoken(text)}.")
        for text in sketch.environment:
            yield from _comment(f"Set in the environment: {_spoken(text)}")
        return
    yield "[app:main]"
    yield "use = egg:waitressd#wsgi"
    yield from _value("application", (sketch.application,))
    if sketch.is_factory:
        yield "call = true"
    if sketch.folders:
        yield from _value("pythonpath", tuple(dict.fromkeys(sketch.folders)))
    if sketch.environment:
        yield from _value("environment", tuple(sketch.environment), alone=True)
    yield ""


def _spoken(text: Text) -> str:
    """Write a value as a comment has it, where nothing need be escaped."""
    return "".join(part if isinstance(part, str) else part.written for part in text.parts)


def _setting(line: Line) -> Iterator[str]:
    for comment in line.comments:
        yield from _comment(comment)
    yield from _value(line.name, line.values)


def _value(name: str, values: tuple[Text, ...], *, alone: bool = False) -> Iterator[str]:
    """Write a value on the line of its name, or several on lines of their own."""
    if len(values) == 1 and not alone:
        yield f"{name} = {values[0].written}"
        return
    yield f"{name} ="
    for value in values:
        yield f"    {value.written}"


def _comment(text: str, indent: str = "") -> Iterator[str]:
    yield from (f"# {indent}{line}" for line in textwrap.wrap(_one_line(text), _WIDTH, break_on_hyphens=False))


def _one_line(text: str) -> str:
    """Write a text on one line, with what cannot be printed escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in " ".join(text.split()))


def _left(sketch: Sketch) -> Iterator[str]:
    for verdict in Verdict:
        found = [(item, why) for kind, item, why in sketch.left if kind is verdict]
        if not found:
            continue
        yield ""
        yield f"# {verdict.value}:"
        for why, group in itertools.groupby(found, key=lambda entry: entry[1]):
            for item, _ in group:
                yield from _comment(str(item) if item.place else shorten(item.source))
            yield from _comment(_sentence(why), "    ")


def _sentence(text: str) -> str:
    """Begin with a capital letter, unless the first word is a name, and end with a stop."""
    first = text.partition(" ")[0]
    is_name = first in SETTINGS or "_" in first or not first.islower()
    head = text[:1] if is_name else text[:1].upper()
    return f"{head}{text[1:]}" + ("" if text.endswith(("?", ".")) else ".")
