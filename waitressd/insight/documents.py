"""Values to JSON, in pieces: one `json.dumps` over thousands of rows would hold every other thread up meanwhile.

What clients and applications say is hostile or odd. It becomes text here, once: bounded, valid Unicode, and in ASCII on
the wire, so that no control character and no half of a surrogate pair gets to whoever reads it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from waitressd.config.adjustments import Adjustments
from waitressd.config.origins import Source
from waitressd.insight.answers import Answer
from waitressd.insight.slices import Stopwatch
from waitressd.place import here
from waitressd.version import __version__

JSON: Final = "application/json"
JOINED_ROWS: Final = 16  # written with one call, which costs as much as a row
TEXT_CHARACTERS: Final = 1024  # of what a client or an application has said; the rest is cut off

_USER_INFO: Final = re.compile(r"(?<=//)[^/?#]*@")  # greedy: a password may have an @ that nobody has escaped
_UNSAFE: Final = re.compile(r"[<>&\x7f]")  # other control characters are escaped by JSON itself
_dumps: Final = json.JSONEncoder(allow_nan=False, separators=(", ", ": ")).encode


@dataclass(frozen=True, slots=True)
class Place:
    """Which server speaks, for the beginning of every document."""

    server: str
    """What operators call it."""
    version: str
    worker: int
    """The number of the process, 1 where there is only one."""
    pid: int


def place_of(adjustments: Adjustments) -> Place:
    """Return which server this is: it is called as the folder of its configuration file is."""
    paths = (Path(origin.path) for origin in adjustments.origins.values() if origin.source is Source.FILE)
    name = next((path.parent.name or path.stem for path in paths), "waitressd")
    return Place(text(name) or "waitressd", __version__, here.number or 1, here.pid)


def head(place: Place, life: str, now: float) -> dict[str, Any]:
    """Return what every document begins with. `now` is in seconds since the epoch."""
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    worker = {"worker": place.worker, "pid": place.pid, "answered": True, "silent_seconds": 0.0, "figures": None}
    return {"at": at, "server": place.server, "version": place.version, "life": life, "workers": [worker]}


def text(value: object, characters: int = TEXT_CHARACTERS) -> str | None:
    """Return what somebody has said as text that anybody can read; None for what is no text."""
    if not isinstance(value, str):
        return None
    value = str.__str__(value)  # of a class of the application's, which it might be, nothing is called or kept
    cut = value if len(value) <= characters else value[: characters - 1] + "\N{HORIZONTAL ELLIPSIS}"
    # Half of a surrogate pair, which many readers of JSON refuse, becomes visible as what it is.
    return cut if cut.isascii() else cut.encode("utf-8", "backslashreplace").decode("utf-8")


def without_user_info(value: str) -> str:
    """Return text in which no URL has a user or a password."""
    return _USER_INFO.sub("***@", value) if "@" in value else value


def _encode(value: object) -> str:
    """Write a value; nothing in it becomes markup or moves a cursor, wherever it is shown."""
    written = _dumps(value)
    return _UNSAFE.sub(_escape, written) if _UNSAFE.search(written) else written


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def pieces(document: Mapping[str, Any]) -> Iterator[bytes]:
    """Write a document as an object; what is an iterator in it becomes a list, some rows at a time."""
    yield b"{"
    yield from members(document)
    yield b"}\n"


def members(document: Mapping[str, Any], *, follows: bool = False) -> Iterator[bytes]:
    """Write what is between the braces; with `follows`, behind other members."""
    written = ", " if follows else ""
    for name, value in document.items():
        written += f"{_encode(name)}: "
        if isinstance(value, Iterator):
            yield (written + "[").encode()
            yield from _rows(value)
            written = "], "
        else:
            written += _encode(value) + ", "
    if written:
        yield written.removesuffix(", ").encode()


def _rows(rows: Iterable[object]) -> Iterator[bytes]:
    watch = Stopwatch()
    waiting: list[object] = []
    comma = ""
    for row in rows:
        waiting.append(row)
        if len(waiting) == JOINED_ROWS or watch.rings():
            yield (comma + _encode(waiting)[1:-1]).encode()
            comma = ",\n"
            waiting.clear()
            watch.restart()
    if waiting:
        yield (comma + _encode(waiting)[1:-1]).encode()


def answer(document: Mapping[str, Any], status: int = 200) -> Answer:
    """Answer with a document."""
    return Answer(status, JSON, pieces(document))
