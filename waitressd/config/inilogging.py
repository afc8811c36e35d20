"""What is wrong with the logging sections of an ini file, before the standard library trips over it with a KeyError."""

import logging
import logging.handlers
from collections.abc import Iterator
from typing import Final

from waitressd.config.errors import Problem, shorten
from waitressd.config.hints import did_you_mean
from waitressd.config.inidocument import IniDocument

_HANDLERS: Final = (("", logging), ("handlers.", logging.handlers))  # where fileConfig looks for a class by its name
_KINDS: Final = ("logger", "handler", "formatter")


def logging_problems(document: IniDocument) -> Iterator[Problem]:
    """Find sections that are missing, and names, levels and classes that do not exist."""
    if "loggers" not in document.sections:
        return
    names = {kind: _names(document, f"{kind}s", "keys") for kind in _KINDS}
    for kind, known in names.items():
        if f"{kind}s" not in document.sections:
            text = f"there is no section [{kind}s], which lists them"
            yield Problem(document.origin("loggers").place, "", text)
        for name in known:
            if f"{kind}_{name}" not in document.sections:
                yield _problem(document, f"{kind}s", "keys", f"there is no section [{kind}_{name}]")
    if "root" not in names["logger"]:
        yield _problem(document, "loggers", "keys", "the list must contain root")
    for name in names["logger"]:
        yield from _check_logger(document, f"logger_{name}", names["handler"])
    for name in names["handler"]:
        yield from _check_handler(document, f"handler_{name}", names["formatter"])


def _names(document: IniDocument, section: str, key: str) -> list[str]:
    entry = document.sections.get(section, {}).get(key)
    return [name.strip() for name in entry.value.split(",") if name.strip()] if entry else []


def _problem(document: IniDocument, section: str, key: str, text: str) -> Problem:
    entry = document.sections[section].get(key)
    subject = f"{key} = {shorten(entry.value)}" if entry else ""
    return Problem(document.origin(section, key).place, subject, text)


def _check_logger(document: IniDocument, section: str, handlers: list[str]) -> Iterator[Problem]:
    if section not in document.sections:
        return
    yield from _check_level(document, section)
    for name in _names(document, section, "handlers"):
        if name not in handlers:
            yield _problem(document, section, "handlers", _unlisted(name, "handlers", handlers))
    if section != "logger_root" and "qualname" not in document.sections[section]:
        yield _problem(document, section, "qualname", "the section needs qualname = the name of the logger")
    if "handlers" not in document.sections[section]:
        yield _problem(document, section, "handlers", "the section needs handlers = a list, which may be empty")


def _check_handler(document: IniDocument, section: str, formatters: list[str]) -> Iterator[Problem]:
    if section not in document.sections:
        return
    yield from _check_level(document, section)
    for name in _names(document, section, "formatter"):
        if name not in formatters:
            yield _problem(document, section, "formatter", _unlisted(name, "formatters", formatters))
    entry = document.sections[section].get("class")
    if entry is None:
        yield _problem(document, section, "class", "the section needs class = StreamHandler, for example")
    elif _is_missing(entry.value):
        known = [f"{prefix}{name}" for prefix, module in _HANDLERS for name in dir(module) if name.endswith("Handler")]
        text = f"logging has no such class{did_you_mean(entry.value, known)}"
        if f"handlers.{entry.value}" in known:
            text = f"logging has no such class; did you mean handlers.{entry.value}?"
        yield _problem(document, section, "class", text)


def _is_missing(name: str) -> bool:
    if name.startswith("handlers."):
        return not hasattr(logging.handlers, name.removeprefix("handlers."))
    return name.isidentifier() and not hasattr(logging, name)


def _check_level(document: IniDocument, section: str) -> Iterator[Problem]:
    entry = document.sections[section].get("level")
    if entry is None or "%" in entry.value:
        return
    known = logging.getLevelNamesMapping()
    if entry.value.strip() not in known:
        meant = did_you_mean(entry.value.strip().upper(), known)
        yield _problem(document, section, "level", f"expected {', '.join(known)}{meant}")


def _unlisted(name: str, plural: str, known: list[str]) -> str:
    return f"{name} is not among the keys of [{plural}]{did_you_mean(name, known)}"
