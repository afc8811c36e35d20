"""Checks given values against the table, and collects every problem instead of stopping at the first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from waitressd.config.errors import Problem, shorten
from waitressd.config.hints import suggest
from waitressd.config.origins import DEFAULT, Origin, Source
from waitressd.config.requestlogs import LogSection, complete_log
from waitressd.config.settings import Setting
from waitressd.kinds import BadValueError
from waitressd.wording import assignment_hint, trailing_comment

# What PasteDeploy itself reads in a [server:*] section and hands on if the section has a `use` as well.
NOT_SETTINGS: Final = frozenset({"paste.server_factory", "paste.server_runner"})


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was given, and where."""

    value: object
    origin: Origin
    refusal: str = ""
    """Why there is no value, if the text could not even be completed (a variable that is not set)."""

    def problem(self, name: str, text: str) -> Problem:
        """Say what is wrong with the value of this name, as the operator wrote the two."""
        return Problem(self.origin.place, f"{name} = {shorten(self.value)}".rstrip(), text)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A setting that PasteDeploy dropped: its name, its value, its place, and what hides it."""

    name: str
    value: str
    place: str
    hidden_by: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one setting in the light of others; `others` are the settings it was compared with."""

    name: str
    text: str
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
    """What was read: checked values, what was given, and what is wrong with it. All by the names of the table."""

    values: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def origins(self) -> dict[str, Origin]:
        """Where each given value came from."""
        return {name: item.origin for name, item in self.given.items()}

    def can_judge(self, complaint: Complaint) -> bool:
        """Whether the values that a complaint is about were read; after a wrong value it would mislead."""
        return all(name in self.values or name not in self.given for name in (complaint.name, *complaint.others))

    def complain_about(self, complaints: Iterable[Complaint]) -> None:
        """Turn complaints into problems that say where each setting is."""
        for complaint in complaints:
            item = self.given.get(complaint.name, Given("", DEFAULT))
            self.problems.append(_problem(complaint.name, item, complaint.text))

    def complete_logs(self, sections: Mapping[str, LogSection]) -> None:
        """Look up the section of each request log; a name without a section becomes a problem."""
        complete = []
        for log in self.values.get("request_log", ()):
            if log.name in sections:
                self.problems.extend(sections[log.name].problems)
            try:
                complete.append(complete_log(log, sections))
            except BadValueError as bad:
                self.problems.append(_problem("request_log", self.given["request_log"], str(bad)))
        if complete:
            self.values["request_log"] = tuple(complete)


def _problem(name: str, item: Given, text: str) -> Problem:
    """Write a setting and its value the way the operator wrote them."""
    if item.origin.variables and not item.refusal:
        text += f" (written with {', '.join(f'${{{name}}}' for name in item.origin.variables)})"
    if item.origin.source is Source.COMMAND_LINE:
        return Problem(item.origin.place, f"--{name.replace('_', '-')}={shorten(item.value)}", text)
    return item.problem(name, text)


def read(given: Mapping[str, Given], table: Mapping[str, Setting], aliases: Mapping[str, str]) -> Reading:
    """Check every given value by its row in the table."""
    reading = Reading()
    for key, item in given.items():
        if key in NOT_SETTINGS:
            continue
        name = aliases.get(key, key)
        row = table.get(name)
        if row is None:
            known = [name for name, row in table.items() if not row.is_inert]
            text = f"unknown setting {shorten(key)}{suggest(key, [*known, *aliases])}"
            reading.problems.append(Problem(item.origin.place, "", text))
        elif name in reading.given:
            other = next(other for other in given if other != key and aliases.get(other, other) == name)
            text = f"{key} and {other} are one setting; keep one of them"
            reading.problems.append(_problem(key, item, text))
        else:
            _read_one(row, key, item, reading)
    return reading


def _read_one(row: Setting, key: str, item: Given, reading: Reading) -> None:
    reading.given[row.name] = item
    if row.kind.python_only and isinstance(item.value, str):
        text = "can only be given by a Python caller; use listen = fd:N for an inherited socket"
        reading.problems.append(_problem(key, item, text))
        return
    if item.refusal:
        reading.problems.append(
            _problem(key, item, item.refusal + _comment_hint(item.value) + assignment_hint(item.value))
        )
        return
    try:
        reading.values[row.name] = row.kind.parse(item.value)
    except BadValueError as bad:
        reading.problems.append(_problem(key, item, _refusal(row, item.value, str(bad))))


def _refusal(row: Setting, value: object, complaint: str) -> str:
    """Say why a value was refused; of one that ends in a comment, what is wrong with the part before it."""
    comment = trailing_comment(value) if isinstance(value, str) else ""
    if not comment:
        return (complaint or f"expected {row.kind.words}{_quotes_hint(value)}") + assignment_hint(value)
    try:
        row.kind.parse(str(value)[: -len(comment)].strip())
    except BadValueError as bad:
        complaint = str(bad)
    else:
        complaint = ""
    return (complaint or f"expected {row.kind.words}") + _comment_hint(value)


def _quotes_hint(value: object) -> str:
    is_quoted = isinstance(value, str) and len(value.strip()) > 1 and value.strip()[0] in "\"'"
    return " (quotes would be a part of the value: leave them out)" if is_quoted else ""


def _comment_hint(value: object) -> str:
    comment = trailing_comment(value) if isinstance(value, str) else ""
    return f" ('{shorten(comment)}' is no comment: a comment needs a line of its own)" if comment else ""
