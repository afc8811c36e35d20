"""Finds out what a file is, by what is in it, and has the right reader convert it."""

import os
from pathlib import Path
from typing import Final

from waitressd.config.errors import ConfigError, Problem
from waitressd.config.inierrors import unreadable
from waitressd.convert import commandlines, gunicornfile, inisections, uwsgifile
from waitressd.convert.commandlines import command_in
from waitressd.convert.model import Sketch

_LARGEST_BYTES: Final = 1 << 20
_UNKNOWN: Final = (
    "this is not recognised; expected gunicorn.conf.py, an ini file with a section [uwsgi] or [server:main], or a line "
    "that starts gunicorn, uwsgi or waitress-serve (--from says which server it is for)"
)


def convert_file(path: str, server: str = "") -> Sketch:
    """Convert a file; `server` is whose it is, empty to look at what is in it. Raises ConfigError."""
    text = _read(path)
    name = os.path.relpath(path) if not path.startswith("..") and Path(path).is_relative_to(Path.cwd()) else path
    if inisections.looks_like_it(text) and server in ("", "gunicorn", "waitress"):
        sketch = inisections.convert(path, server)
    elif uwsgifile.looks_like_it(text) and server in ("", "uwsgi"):
        sketch = uwsgifile.convert(name, text)
    elif server in ("", "gunicorn") and gunicornfile.looks_like_it(text):
        sketch = gunicornfile.convert(name, text)
    elif (found := command_in(text)) is not None:
        sketch = convert_words(f"{name}:{found[0]}", commandlines.split_words(found[1]), server)
    elif server == "gunicorn":
        sketch = gunicornfile.convert(name, text)
    elif server == "uwsgi":
        sketch = uwsgifile.convert(name, text)
    else:
        if path.endswith(".py"):
            gunicornfile.parse(name, text)  # raises where it is no Python
        raise ConfigError([Problem(f"{name}:1", "", _UNKNOWN)])
    sketch.settle()
    return sketch


def convert_words(place: str, words: list[str], server: str = "") -> Sketch:
    """Convert a command line. Raises ConfigError."""
    sketch = commandlines.convert(place, words, server)
    sketch.settle()
    return sketch


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise ConfigError([Problem(path, "", "a configuration has no more than a megabyte")])
        return data.decode("utf-8-sig")  # Python takes a byte order mark, too
    except (OSError, ValueError) as error:
        if isinstance(error, OSError | UnicodeDecodeError):
            raise unreadable(path, error) from None
        raise
