"""What a conversion works with: texts with variables in them, what was found in a file, and what it comes to.

Knows our settings and no other server.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.origins import Origin, Source
from waitressd.config.reading import Given
from waitressd.config.requestlogs import LogSection
from waitressd.kinds import BadValueError

_DEFAULT: Final = re.compile(r"[^${}%\n]*")
_NO_VARIABLE: Final = "1"


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of a value that is known only when the server starts: how an ini file writes it, and an example."""

    written: str
    example: str


HERE: Final = Variable("%(here)s", "/here")


def from_environment(name: str, default: str | None = None) -> Variable:
    """Make the part that is read from an environment variable. Raises ValueError for what ``${...}`` cannot say."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or not _DEFAULT.fullmatch(default or ""):
        raise ValueError
    if default is None:
        return Variable(f"${{{name}}}", _NO_VARIABLE)
    return Variable(f"${{{name}:-{default}}}", default)


@dataclass(frozen=True, slots=True)
class Text:
    """A value: plain texts and variables, one behind the other."""

    parts: tuple[str | Variable, ...] = ()

    @classmethod
    def of(cls, value: object) -> "Text":
        """Make a text of what a file says: of a text itself, or of a number or a truth value."""
        if isinstance(value, Text):
            return value
        if isinstance(value, Variable):
            return cls((value,))
        if isinstance(value, bool):
            return cls(("true" if value else "false",))
        return cls((str(value),))

    @property
    def example(self) -> str:
        """The value with an example in place of each variable: what can be checked."""
        return "".join(part if isinstance(part, str) else part.example for part in self.parts)

    @property
    def written(self) -> str:
        """The value as an ini file of ours has it."""
        return "".join(
            part.replace("%", "%%").replace("$", "$$") if isinstance(part, str) else part.written for part in self.parts
        )

    @property
    def is_plain(self) -> bool:
        """Whether there is no variable in it."""
        return all(isinstance(part, str) for part in self.parts)

    def __add__(self, other: object) -> "Text":
        """Put another text behind it."""
        return Text((*self.parts, *Text.of(other).parts))

    def removeprefix(self, prefix: str) -> "Text":
        """Take a prefix away, if the text begins with it."""
        if self.parts and isinstance(first := self.parts[0], str) and first.startswith(prefix):
            return Text((first.removeprefix(prefix), *self.parts[1:]))
        return self

    def split(self, separator: str) -> list["Text"]:
        """Cut it where a plain part has the separator."""
        found: list[list[str | Variable]] = [[]]
        for part in self.parts:
            first, *others = part.split(separator) if isinstance(part, str) else (part,)
            found[-1].append(first)
            found.extend([other] for other in others)
        return [Text(tuple(part for part in parts if part != "")) for parts in found]


@dataclass(frozen=True, slots=True)
class Item:
    """One option as another server's file or command line has it."""

    place: str
    """The file and the line, or the command line."""
    name: str
    value: object
    """A text, number, truth value, `Text`, list of those, or `Unknown`."""
    source: str = ""
    """How it is written there."""

    @property
    def values(self) -> list[object]:
        """The value as a list."""
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def text(self) -> Text:
        """The value as a text."""
        return Text.of(self.value)

    @property
    def is_on(self) -> bool:
        """Whether the value means yes."""
        return self.text.example.strip().lower() not in ("", "0", "false", "no", "off", "none")

    def __str__(self) -> str:
        """Write it as the file does, on one line, with its place."""
        return f"{self.place}: {shorten(self.source or f'{self.name} = {self.text.example}')}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only running the file would give."""

    why: str


class Verdict(Enum):
    """What becomes of an option that is no setting here; the values are headings."""

    MISSING = "Without a counterpart"
    ELSEWHERE = "Said in another place than the ini file"
    NEEDLESS = "Needed no more"


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of the result."""

    name: str
    values: tuple[Text, ...]
    comments: tuple[str, ...] = ()

    @property
    def example(self) -> str:
        """The value to check."""
        return "\n".join(value.example for value in self.values)


@dataclass(slots=True)
class Sketch:
    """What a conversion has come to so far."""

    title: str
    cuts_lists: bool = False
    """Whether one value may be a list, which blanks and commas cut, as in waitress; else it is one item of a list."""
    lines: dict[str, Line] = field(default_factory=dict)
    """The settings, by name."""
    log: dict[str, Text] = field(default_factory=dict)
    """The options of the section [request_log:access]; empty if there is none."""
    application: Text | None = None
    """MODULE:OBJECT, or None if the file does not name it."""
    is_factory: bool = False
    default_object: str = "application"
    """What is served of a module that is named alone."""
    defaults: dict[str, str] = field(default_factory=dict)
    """What [DEFAULT] must have for the values, as it is written."""
    folders: list[Text] = field(default_factory=list)
    environment: list[Text] = field(default_factory=list)
    left: list[tuple[Verdict, Item, str]] = field(default_factory=list)
    """What became no setting, and why."""
    remarks: list[str] = field(default_factory=list)
    """Sentences for the head of the result."""

    def put(self, name: str, values: Iterable[object], item: Item, remark: str = "") -> bool:
        """Take a setting if our own check takes its value, else leave the option with what the check says."""
        texts = tuple(dict.fromkeys(map(Text.of, values)))
        line = Line(name, texts, (*([str(item)] if item.place else []), *([remark] if remark else [])))
        if refusal := _refusal(line, cuts_lists=self.cuts_lists):
            self.leave(item, f"{name} does not take this: {refusal}")
            return False
        self.lines[name] = line
        return True

    def add(self, name: str, values: Iterable[object], item: Item, remark: str = "") -> bool:
        """Add to a setting that is a list, as `put` does."""
        before = self.lines.pop(name, None)
        taken = self.put(name, values, item, remark)
        if before is not None:
            now = self.lines.get(name, Line(name, ()))
            comments = tuple(dict.fromkeys((*before.comments, *now.comments)))
            self.lines[name] = Line(name, tuple(dict.fromkeys((*before.values, *now.values))), comments)
        return taken

    def leave(self, item: Item, why: str, verdict: Verdict = Verdict.MISSING) -> None:
        """Keep an option as a comment that says why it is no setting."""
        self.left.append((verdict, item, why))

    def settle(self) -> None:
        """Have our own check look at all settings together; what it refuses becomes a comment with its words."""
        for problem in iter(self._first_problem, None):
            name = problem.subject.partition(" = ")[0]
            if name not in self.lines:  # it is about an option of the log, or about what is missing beside the others
                name = "request_log" if self.log else next(reversed(self.lines))
            line = self.lines.pop(name)
            if name == "request_log":
                self.log.clear()
            source = line.comments[0] if line.comments else f"{name} = {line.example}"
            self.leave(Item("", name, "", source), problem.text)

    def _first_problem(self) -> Problem | None:
        given = {name: Given(line.example, Origin(Source.FILE)) for name, line in self.lines.items()}
        values = {name: text.example for name, text in self.log.items()}
        try:
            Adjustments.from_given(given, {"access": LogSection("access", values, {})} if values else {})
        except ConfigError as error:
            return error.problems[0]
        return None


def _refusal(line: Line, *, cuts_lists: bool) -> str:
    """Say why our own check does not take a value; empty if it does."""
    kind = SETTINGS[line.name].kind
    if any("\n" in value.example or "\r" in value.example for value in line.values):
        return "a value is one line"
    if kind.repeats and not cuts_lists and any(set(value.example.strip()) & set(" \t,") for value in line.values):
        return "a blank or a comma would cut it in two"
    try:
        kind.parse(line.example)
    except BadValueError as bad:
        return str(bad) or f"expected {kind.words}"
    return ""


Converter = Callable[[Sketch, Item], None]
"""Puts one option into a sketch."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one option of another server, or a family of them, is here. The manual's tables have the same rows."""

    names: tuple[str, ...]
    """Their names for it; * is any run of characters, for a family."""
    here: tuple[str, ...]
    """Our settings that it becomes, or that come nearest."""
    note: str
    """A sentence for the manual and, where it becomes no setting, for the comment. No full stop at its end."""
    convert: Converter | None = None
    """What it becomes, or None for a comment alone."""
    verdict: Verdict = Verdict.MISSING
    is_flag: bool = False
    """Whether it takes no value on a command line."""
    flags: tuple[str, ...] = ()
    """How a command line names it, if other than by the names."""

    def apply(self, sketch: Sketch, item: Item) -> None:
        """Convert one option."""
        if isinstance(item.value, Unknown):
            sketch.leave(item, item.value.why)
        elif self.convert is not None:
            self.convert(sketch, item)
        else:
            sketch.leave(item, self.note, self.verdict)


def row_for(rows: Iterable[Row], name: str) -> Row | None:
    """Find the row of a name: the one that has it, or the first family that it belongs to."""
    family = None
    for row in rows:
        if name in row.names:
            return row
        if family is None and any("*" in pattern and fnmatchcase(name, pattern) for pattern in row.names):
            family = row
    return family


def becomes(name: str, remark: str = "") -> Converter:
    """Convert an option whose value our setting takes as it is."""

    def convert(sketch: Sketch, item: Item) -> None:
        sketch.put(name, item.values, item, remark)

    return convert


def missing(names: str, note: str, *here: str, is_flag: bool = False) -> Row:
    """Declare options that have no counterpart; `here` are settings that come near."""
    return Row(tuple(names.split()), here, note, is_flag=is_flag)


def elsewhere(names: str, note: str, *here: str, is_flag: bool = False) -> Row:
    """Declare options that are no business of the server's section."""
    return Row(tuple(names.split()), here, note, None, Verdict.ELSEWHERE, is_flag)


def needless(names: str, note: str, *here: str, is_flag: bool = False) -> Row:
    """Declare options that say what is so here in any case."""
    return Row(tuple(names.split()), here, note, None, Verdict.NEEDLESS, is_flag)
