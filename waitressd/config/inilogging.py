"""What is wrong with the logging sections of an ini file, before the standard library trips over it with a KeyError."""

import logging
import logging.handlers
from collections.abc import Iterator
from typing import Final

from waitressd.config.errors import Problem, shorten
from waitressd.config.hints import did_you_mean
from waitressd.config.inilines import IniLines

_HANDLERS: Final = (("", logging), ("handlers.", logging.handlers))  # where fileConfig looks for a class by its name
_KINDS: Final = ("logger", "handler", "formatter")


def logging_problems(lines: IniLines) -> Iterator[Problem]:
    """Find sections that are missing, and names, levels and classes that do not exist."""
    if "loggers" not in lines.sections:
        return
    names = {kind: _names(lines, f"{kind}s", "keys") for kind in _KINDS}
    for kind, known in names.items():
        if f"{kind}s" not in lines.sections:
            text = f"there is no section [{kind}s], which lists them"
            yield Problem(lines.origin("loggers").place, "", text)
        for name in known:
            if f"{kind}_{name}" not in lines.sections:
                yield _problem(lines, f"{kind}s", "keys", f"there is no section [{kind}_{name}]")
    if "root" not in names["logger"]:
        yield _problem(lines, "loggers", "keys", "the list must contain root")
    for name in names["logger"]:
        yield from _check_logger(lines, f"logger_{name}", names["handler"])
    for name in names["handler"]:
        yield from _check_handler(lines, f"handler_{name}", names["formatter"])


def _names(lines: IniLines, section: str, key: str) -> list[str]:
    entry = lines.sections.get(section, {}).get(key)
    return [name.strip() for name in entry.value.split(",") if name.strip()] if entry else []


def _problem(lines: IniLines, section: str, key: str, text: str) -> Problem:
    entry = lines.sections[section].get(key)
    subject = f"{key} = {shorten(entry.value)}" if entry else ""
    return Problem(lines.origin(section, key).place, subject, text)


def _check_logger(lines: IniLines, section: str, handlers: list[str]) -> Iterator[Problem]:
    if section not in lines.sections:
        return
    yield from _check_level(lines, section)
    for name in _names(lines, section, "handlers"):
        if name not in handlers:
            yield _problem(lines, section, "handlers", _unlisted(name, "handlers", handlers))
    if section != "logger_root" and "qualname" not in lines.sections[section]:
        yield _problem(lines, section, "qualname", "the section needs qualname = the name of the logger")
    if "handlers" not in lines.sections[section]:
        yield _problem(lines, section, "handlers", "the section needs handlers = a list, which may be empty")


def _check_handler(lines: IniLines, section: str, formatters: list[str]) -> Iterator[Problem]:
    if section not in lines.sections:
        return
    yield from _check_level(lines, section)
    for name in _names(lines, section, "formatter"):
        if name not in formatters:
            yield _problem(lines, section, "formatter", _unlisted(name, "formatters", formatters))
    entry = lines.sections[section].get("class")
    if entry is None:
        yield _problem(lines, section, "class", "the section needs class = StreamHandler, for example")
    elif _is_missing(entry.value):
        known = [f"{prefix}{name}" for prefix, module in _HANDLERS for name in dir(module) if name.endswith("Handler")]
        text = f"logging has no such class{did_you_mean(entry.value, known)}"
        if f"handlers.{entry.value}" in known:
            text = f"logging has no such class; did you mean handlers.{entry.value}?"
        yield _problem(lines, section, "class", text)


def _is_missing(name: str) -> bool:
    if name.startswith("handlers."):
        return not hasattr(logging.handlers, name.removeprefix("handlers."))
    return name.isidentifier() and not hasattr(logging, name)


def _check_level(lines: IniLines, section: str) -> Iterator[Problem]:
    entry = lines.sections[section].get("level")
    if entry is None or "%" in entry.value:
        return
    known = logging.getLevelNamesMapping()
    if entry.value.strip() not in known:
        meant = did_you_mean(entry.value.strip().upper(), known)
        yield _problem(lines, section, "level", f"expected {', '.join(known)}{meant}")


def _unlisted(name: str, plural: str, known: list[str]) -> str:
    return f"{name} is not among the keys of [{plural}]{did_you_mean(name, known)}"
