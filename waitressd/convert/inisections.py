"""Reads ``[server:NAME]`` sections of ini files that name waitress or gunicorn."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.inidocument import GLOBAL_SECTION, IniDocument
from waitressd.config.iniloader import Documents, IniLoader, scheme_of
from waitressd.config.origins import display_path
from waitressd.config.reading import NOT_SETTINGS
from waitressd.convert import gunicorntable, waitresstable
from waitressd.convert.model import Item, Sketch, Text, Unknown, Variable

_INTERPOLATION: Final = re.compile(r"%\(([^)]*)\)s")
_FOLLOWS: Final = "it uses another section; write its lines into this one, and convert that"


def looks_like_it(text: str) -> bool:
    """Whether a text has a section for a server."""
    return any(line.strip().startswith(("[server:", "[server]")) for line in text.splitlines())


def convert(path: str, server: str = "") -> Sketch:
    """Convert the section ``[server:main]``, or the only one. Raises ConfigError.

    `server` is the server that it is read for, whatever it names; empty takes the one that it names.
    """
    loader = Documents().loader(path, {})
    document = loader.document
    section = _section(document)
    use = document.sections[section].get("use")
    name = use.value if use else ""
    place = document.origin(section, "use").place
    found = server or _server_named(name)
    if not found:
        known = "expected use = egg:waitress or use = egg:gunicorn"
        text = known if name and scheme_of(name) else f"{known}; {_FOLLOWS}" if name else known
        raise ConfigError([Problem(place, f"use = {shorten(name)}", text)])
    return _SERVERS[found](loader, section)


def _section(document: IniDocument) -> str:
    sections = list(document.server_sections())
    for section in sections:
        if section.partition(":")[2].strip() in ("", "main") or len(sections) == 1:
            return section
    names = ", ".join(f"[{name}]" for name in sections) or "none"
    text = f"there is no section [server:main], and of others there are: {names}"
    raise ConfigError([Problem(f"{document.path}:1", "", text)])


def _server_named(use: str) -> str:
    word = use.lower().removeprefix("egg:").removeprefix("call:")
    return next((name for name in ("gunicorn", "waitress") if word.startswith(name)), "")


def _items(loader: IniLoader, section: str) -> list[Item]:
    """Return the options of a section; an interpolation stays as it is written."""
    document = loader.document
    here = document.sections[section]
    found = []
    for name, entry in here.items():
        if name in NOT_SETTINGS or name == "use" or name in document.sections.get(GLOBAL_SECTION, {}):
            continue
        place = document.origin(section, name).place.partition(" [")[0]
        item = loader.value(section, name)
        source = f"{name} = {shorten(entry.value)}"
        if item.refusal:  # as where pserve is told a variable on its command line
            found.append(Item(place, name, Unknown(item.refusal), source))
            continue
        value = str(item.value)
        text = Text.of(value) if "%" not in entry.value else Text((Variable(entry.value.replace("$", "$$"), value),))
        lines = [Text.of(line.strip()) for line in value.splitlines() if line.strip()]
        found.append(Item(place, name, lines if len(lines) > 1 and text.is_plain else text, source))
    return found


def _defaults(loader: IniLoader, section: str) -> dict[str, str]:
    """Return what the values of a section take from [DEFAULT], as it is written there."""
    document = loader.document
    there = document.sections.get(GLOBAL_SECTION, {})
    found: dict[str, str] = {}
    texts = [entry.value for name, entry in document.sections[section].items() if name not in there]
    while texts:
        for name in _INTERPOLATION.findall(texts.pop()):
            if name in there and name not in found:
                found[name] = there[name].value.replace("$", "$$")
                texts.append(there[name].value)
    return {name: found[name] for name in there if name in found}


def _waitress(loader: IniLoader, section: str) -> Sketch:
    sketch = Sketch(f"waitress's section in {display_path(loader.document.path)}", cuts_lists=True)
    sketch.defaults = _defaults(loader, section)
    sketch.remarks.append("The command waitressd runs a section that names waitress as it is, too.")
    for item in _items(loader, section):
        waitresstable.apply(sketch, item)
    waitresstable.finish(sketch)
    return sketch


def _gunicorn(loader: IniLoader, section: str) -> Sketch:
    sketch = Sketch(f"gunicorn's section in {display_path(loader.document.path)}")
    sketch.defaults = _defaults(loader, section)
    items = {item.name: item for item in _items(loader, section)}
    host, port = items.pop("host", None), items.pop("port", None)
    if unknown := [item for item in (host, port) if item and isinstance(item.value, Unknown)]:
        items["bind"] = replace(unknown[0], name="bind")
    elif host or port:
        address = (host.text if host else Text.of("127.0.0.1")) + ":" + (port.text if port else Text.of("8000"))
        first = host or port
        assert first is not None
        items["bind"] = Item(first.place, "bind", address, first.source)
    for item in items.values():
        row = gunicorntable.row_of(item.name)
        if row is not None:
            row.apply(sketch, item)
        else:
            sketch.leave(item, "gunicorn has no such setting")
    gunicorntable.finish(sketch, list(items.values()))
    return sketch


_SERVERS: Final[dict[str, Callable[[IniLoader, str], Sketch]]] = {"waitress": _waitress, "gunicorn": _gunicorn}
