"""Text for a terminal: harmless, as wide as it is said to be, and numbers as people read them.

What a server shows comes from its clients, too. Here it becomes text that no terminal takes for a command: nothing that
moves the cursor, changes a colour, or turns the order of a line.
"""

import math
import unicodedata
from collections.abc import Iterable
from typing import Final, TypeGuard

CELL_CHARACTERS: Final = 200
"""What of one value is shown at most; targets and names may have a megabyte."""

_SAFE_KINDS: Final = ("L", "N", "P", "S")
"""Unicode's letters, numbers, punctuation and symbols. All else is invisible, moves, or changes what is beside it."""
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = " .:-=+*#"


def harmless(text: str, encoding: str = "utf-8") -> str:
    """Return what a terminal shows as it is; all else is escaped as in a Python string, and a long middle left out.

    Letters that are written from right to left are escaped, too: a terminal would turn the columns beside them.
    """
    if len(text) > CELL_CHARACTERS:
        text = f"{text[: CELL_CHARACTERS - 43]}...{text[-40:]}"
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        if not encoding.lower().startswith("utf"):
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        return "".join(char if _is_safe(char) else ascii(char)[1:-1] for char in text)
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _is_safe(char: str) -> bool:
    if char.isascii():
        return char.isprintable()
    kind = unicodedata.category(char)[0]
    return kind in _SAFE_KINDS and unicodedata.bidirectional(char) not in _RIGHT_TO_LEFT


def width_of(text: str) -> int:
    """Count the columns that a harmless text takes; East Asian characters take two."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(char) in "WF" for char in text)


def fitted(text: str, width: int, dots: str = "…") -> str:
    """Cut a harmless text to a width; `dots` say that something is missing."""
    if width_of(text) <= width:
        return text
    dots = dots if width > 2 * len(dots) else ""
    room = width - len(dots)
    text = text[: max(0, room)]
    while width_of(text) > room:
        text = text[:-1]
    return text + dots


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Fill a harmless text up to a width."""
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def dots_for(encoding: str) -> str:
    """Return how an output in this encoding says that something was cut."""
    return "…" if encoding.lower().startswith("utf") else "..."


# ---- numbers; None is what nobody knows ----------------------------------------------------------------------------


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a document is a number that can be shown."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def short_time(seconds: float | None) -> str:
    """Write a time of an answer: ``41 ms``, ``4.67 s``."""
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:.{int(seconds < 0.01)}f} ms"
    return f"{seconds:.{1 + int(seconds < 10)}f} s"


def long_time(seconds: float | None) -> str:
    """Write a time that something has lasted, by its two largest units: ``3 d 4 h``, ``12 s``."""
    if seconds is None:
        return "-"
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def tenths(seconds: float | None) -> str:
    """Write seconds for a column whose title names the unit."""
    return "-" if seconds is None else f"{seconds:.1f}"


def size(count: float | None) -> str:
    """Write a number of bytes: ``412 MB``."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            break
        value /= 1024
    return f"{value:,.{int(unit != 'B' and value < 100)}f} {unit}"


def number(count: float | None) -> str:
    """Write a count: ``2,431``; below ten with one digit if it is no whole number."""
    if count is None:
        return "-"
    return f"{count:.1f}" if count < 10 and count != int(count) else f"{count:,.0f}"


def percent(share: float | None) -> str:
    """Write a share: ``71 %``."""
    return "-" if share is None else f"{share * 100:.0f} %"


def sparkline(values: Iterable[float], width: int, encoding: str = "utf-8") -> str:
    """Draw the last values as bars, each as high as its share of the largest."""
    shown = list(values)[-width:] if width > 0 else []
    bars = _BARS if encoding.lower().startswith("utf") else _PLAIN_BARS
    top = max([*shown, 0.0])
    return "".join(bars[math.ceil(max(0.0, value) / top * 7) if top else 0] for value in shown)


def gauge(busy: float | None, limit: float | None, width: int) -> str:
    """Draw how much of something is in use: ``[######..]``."""
    if not limit or busy is None:
        return ""
    full = min(width, max(int(busy > 0), math.floor(busy * width / limit)))
    return f"[{'#' * full}{'.' * (width - full)}]"
