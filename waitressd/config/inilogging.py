"""What is wrong with the logging sections of an ini file, before the standard library trips over it with a KeyError.

The rules are those of `logging.config.fileConfig`, which reads the sections in the end.
"""

import ast
import logging
import logging.handlers
import pkgutil
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Final

from waitressd.config.errors import Problem, shorten
from waitressd.config.iniloader import IniLoader
from waitressd.kinds import BadValueError
from waitressd.wording import assignment_hint, did_you_mean

_HANDLERS: Final = (("", logging), ("handlers.", logging.handlers))  # where fileConfig looks for a class by its name
_KINDS: Final = ("logger", "handler", "formatter")


def logging_problems(loader: IniLoader) -> Iterator[Problem]:
    """Find sections and keys that are missing, and values that logging would refuse."""
    if "loggers" not in loader.document.sections:
        return
    lists = {kind: _List(loader, kind) for kind in _KINDS}
    for names in lists.values():
        yield from names.problems()
    if "root" not in lists["logger"].names:
        yield _problem(loader, "loggers", "keys", "the list must contain root")
    for kind, names in lists.items():
        for name in names.names:
            section = f"{kind}_{name}"
            if section in loader.document.sections:
                yield from _check(loader, section, _rules(kind, name, lists))


class _List:
    """The section that lists the names of loggers, handlers or formatters."""

    def __init__(self, loader: IniLoader, kind: str) -> None:
        self.section = f"{kind}s"
        self._kind = kind
        self._loader = loader
        entries = loader.document.sections.get(self.section, {})
        text = str(loader.value(self.section, "keys").value) if "keys" in entries else ""
        self._items = [name.strip() for name in text.split(",")] if text else []
        self.names = [name for name in self._items if name]

    def problems(self) -> Iterator[Problem]:
        """Find what is wrong with the list itself, and names without a section."""
        sections = self._loader.document.sections
        if self.section not in sections:
            text = f"there is no section [{self.section}], which lists them"
            yield Problem(self._loader.document.origin("loggers").place, "", text)
        elif "keys" not in sections[self.section]:
            yield _problem(self._loader, self.section, "keys", "the section needs keys = a list of names")
        if "" in self._items:
            yield _problem(self._loader, self.section, "keys", "there is no name before or after a comma")
        for name in self.names:
            if f"{self._kind}_{name}" not in sections:
                text = f"there is no section [{self._kind}_{name}]"
                yield _problem(self._loader, self.section, "keys", text)

    def take(self, text: str) -> None:
        """Check that names are in the list."""
        for name in text.split(",") if text else ():
            if name.strip() not in self.names:
                listed = f"{name.strip() or 'an empty name'} is not among the keys of [{self.section}]"
                raise BadValueError(f"{listed}{did_you_mean(name.strip(), self.names)}")


_Rules = dict[str, tuple[Callable[[str], object], str]]
"""By key: what refuses a wrong value, and what to say if the key is missing and must be there."""


def _rules(kind: str, name: str, lists: dict[str, _List]) -> _Rules:
    if kind == "logger":
        needed = "" if name == "root" else "the section needs qualname = the name of the logger"
        return {
            "level": (_take_level, ""),
            "qualname": (str, needed),
            "handlers": (lists["handler"].take, "the section needs handlers = a list, which may be empty"),
            "propagate": (_take_number, ""),
        }
    if kind == "handler":
        return {
            "level": (_take_level, ""),
            "formatter": (lists["formatter"].take, ""),
            "class": (_take_handler, "the section needs class = StreamHandler, for example"),
            "args": (_take_tuple, ""),
            "kwargs": (_take_expression, ""),
            "target": (lists["handler"].take, ""),
        }
    return {"class": (_take_class, "")}


def _check(loader: IniLoader, section: str, rules: _Rules) -> Iterator[Problem]:
    entries = loader.document.sections[section]
    for key, (take, needed) in rules.items():
        if key not in entries:
            if needed:
                yield _problem(loader, section, key, needed)
            continue
        item = loader.value(section, key)
        try:
            if item.refusal:
                raise BadValueError(item.refusal)
            take(str(item.value))
        except BadValueError as bad:
            yield _problem(loader, section, key, f"{bad}{assignment_hint(item.value)}")
    if section.startswith("formatter_") and "class" not in entries:
        yield from _check_format(loader, section)


def _check_format(loader: IniLoader, section: str) -> Iterator[Problem]:
    text = loader.parser.get(section, "format", raw=True, fallback=None)
    style = loader.parser.get(section, "style", raw=True, fallback="%")
    if style not in ("%", "{", "$"):
        yield _problem(loader, section, "style", "expected %, { or $")
        return
    try:
        logging.Formatter(text, None, style)
    except ValueError as error:
        yield _problem(loader, section, "format", f"{error}{assignment_hint(text)}")


def _problem(loader: IniLoader, section: str, key: str, text: str) -> Problem:
    entry = loader.document.sections[section].get(key)
    subject = f"{key} = {shorten(entry.value)}" if entry else ""
    return Problem(loader.document.origin(section, key).place, subject, text)


# ---- single values -------------------------------------------------------------------------------------------------


def _take_level(text: str) -> None:
    known = logging.getLevelNamesMapping()
    if text not in known:
        raise BadValueError(f"expected {', '.join(known)}{did_you_mean(text.upper(), known)}")


def _take_number(text: str) -> None:
    try:
        int(text)
    except ValueError:
        raise BadValueError("expected 1 or 0") from None


def _take_expression(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise BadValueError(f"this is no Python expression: {error.msg}") from None


def _take_tuple(text: str) -> None:
    expression = _take_expression(text)
    if isinstance(expression, ast.Constant):
        raise BadValueError(f"expected a tuple; did you mean ({ast.unparse(expression)},)?")


def _take_handler(text: str) -> None:
    try:
        attrgetter(text)(logging)
    except AttributeError:
        known = [f"{prefix}{name}" for prefix, module in _HANDLERS for name in dir(module) if name.endswith("Handler")]
        if f"handlers.{text}" in known:
            raise BadValueError(f"logging has no such class; did you mean handlers.{text}?") from None
        if text.isidentifier() or text.startswith("handlers."):
            raise BadValueError(f"logging has no such class{did_you_mean(text, known)}") from None
        _take_class(text)


def _take_class(text: str) -> Any:  # noqa: ANN401 - anybody's class
    try:
        return pkgutil.resolve_name(text)
    except Exception as error:  # border: an import runs the code of a module
        raise BadValueError(f"the class cannot be imported: {type(error).__name__}: {shorten(str(error))}") from None
