"""What is wrong with the logging sections of an ini file, before the standard library trips over it with a KeyError."""

import logging
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from waitressd.config.errors import Problem, shorten
from waitressd.config.inilines import IniLines

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
    elif entry.value.isidentifier() and not hasattr(logging, entry.value):
        known = [name for name in dir(logging) if name.endswith("Handler")]
        near = get_close_matches(entry.value, known, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        yield _problem(lines, section, "class", f"logging has no such class{meant}")


def _check_level(lines: IniLines, section: str) -> Iterator[Problem]:
    entry = lines.sections[section].get("level")
    if entry is None or "%" in entry.value:
        return
    known = logging.getLevelNamesMapping()
    if entry.value.strip() not in known:
        near = get_close_matches(entry.value.strip().upper(), known, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        yield _problem(lines, section, "level", f"expected {', '.join(known)}{meant}")


def _unlisted(name: str, plural: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{name} is not among the keys of [{plural}]{meant}"
