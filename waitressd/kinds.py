"""The kinds of value that a setting can have. Every parser takes text (from a file) and the Python value itself."""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from waitressd.wording import did_you_mean, trailing_comment

T = TypeVar("T")

_TRUE: Final = frozenset({"t", "true", "y", "yes", "on", "1"})
_FALSE: Final = frozenset({"f", "false", "n", "no", "off", "0"})
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_SIZE: Final = re.compile(r"([0-9]{1,20})([KMGT]?)", re.IGNORECASE)
_LOOSE_SIZE: Final = re.compile(r"([0-9]{1,20})\s*([KMGT])?(?:i?b|bytes)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)?")
_SECONDS_IN: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_OCTAL: Final = re.compile(r"(?:0o)?[0-7]{1,5}")
_SPLIT: Final = re.compile(r"[\s,]+")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(?::[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)?")
MAX_SIZE_BYTES: Final = 1 << 50
AUTO: Final = "auto"


class BadValueError(ValueError):
    """A value that its kind does not take; the text says why, or is empty if the words of the kind say enough."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value: the words for what is allowed, and how text or a Python value becomes it and is shown."""

    words: str
    parse: Callable[[object], T]
    show: Callable[[T], str]
    metavar: str
    choices: tuple[str, ...] = ()
    repeats: bool = False
    """Whether the option may be given several times on the command line, adding up to one list."""
    is_flag: bool = False
    """Whether the command line has ``--name`` and ``--no-name`` instead of ``--name=VALUE``."""
    python_only: bool = False
    """Whether text cannot express the value, so that ini files and the command line do not offer it."""


def boolean() -> Kind[bool]:
    """Take one of the known words; a word that is not known is an error, never false."""

    def parse(value: object) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise BadValueError

    words = "true or false (also yes, no, on, off, t, f, y, n, 1, 0)"
    return Kind(words, parse, lambda value: "true" if value else "false", "BOOL", ("true", "false"), is_flag=True)


def integer(low: int, high: int) -> Kind[int]:
    """Take a whole number within inclusive bounds."""

    def parse(value: object) -> int:
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = int(value)
        return _within(value, low, high)

    return Kind(f"a whole number, {low} to {high}", parse, str, "N")


def or_auto(kind: Kind[T]) -> Kind[T | None]:
    """Take what another kind takes, or the word ``auto``, which is None: the server finds the value itself."""

    def parse(value: object) -> T | None:
        if value is None or (isinstance(value, str) and value.strip().lower() == AUTO):
            return None
        return kind.parse(value)

    def show(value: T | None) -> str:
        return AUTO if value is None else kind.show(value)

    choices = (*kind.choices, AUTO) if kind.choices else ()
    return Kind(f"{kind.words}, or {AUTO}", parse, show, f"{kind.metavar}|{AUTO}", choices, is_flag=kind.is_flag)


def _within(value: object, low: int, high: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise BadValueError


def show_size(size_bytes: int) -> str:
    """Show a size with the largest unit that divides it."""
    for unit in "TGMK":
        if size_bytes and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)


def size(low: int, high: int = MAX_SIZE_BYTES) -> Kind[int]:
    """Take a number of bytes, also written 64K, 10M or 1G (binary units), within inclusive bounds."""

    def parse(value: object) -> int:
        if isinstance(value, str):
            value = _size_of(value.strip())
        return _within(value, low, high)

    words = f"a size in bytes, also like 64K, 10M or 1G, {show_size(low)} to {show_size(high)}"
    return Kind(words, parse, show_size, "SIZE")


def _size_of(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        loose = _LOOSE_SIZE.fullmatch(text)
        if loose is None:
            raise BadValueError
        meant = loose[1] + (loose[2] or "").upper()
        raise BadValueError(f"expected a size in bytes, also like 64K, 10M or 1G; did you mean {meant}?")
    return int(match[1]) * _UNITS[match[2].upper()]


def show_seconds(seconds: float) -> str:
    """Show a duration in seconds, without a fraction if it has none."""
    return f"{seconds:g}" if seconds < 1e6 else str(int(seconds))


def duration(low: float, high: float, *, or_zero: bool = False) -> Kind[float]:
    """Take seconds, also written 500ms, 30s, 2m or 1h, within inclusive bounds; with `or_zero` also 0."""

    def parse(value: object) -> float:
        if isinstance(value, str):
            match = _SECONDS.fullmatch(value.strip())
            if match is None:
                raise BadValueError
            value = float(match[1]) * _SECONDS_IN[match[2] or ""]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValueError
        if math.isfinite(value) and (low <= value <= high or (or_zero and not value)):
            return float(value)
        raise BadValueError

    words = f"seconds, also like 500ms, 30s or 2m, {show_seconds(low)} to {show_seconds(high)}"
    words += ", or 0" if or_zero else ""
    return Kind(words, parse, show_seconds, "SECONDS")


def octal_mode() -> Kind[int]:
    """Take a file mode: octal text as chmod takes it, or a Python integer such as ``0o660``."""

    def parse(value: object) -> int:
        if isinstance(value, str) and _OCTAL.fullmatch(value.strip()):
            value = int(value.strip().removeprefix("0o"), 8)
        if isinstance(value, int) and not isinstance(value, bool):
            if 0 <= value <= 0o777:
                return value
            if _OCTAL.fullmatch(str(value)) and int(str(value), 8) <= 0o777:
                raise BadValueError(f"{value} is a decimal number; write 0o{value} or '{value}'")
        raise BadValueError

    return Kind("an octal file mode, 000 to 777", parse, lambda mode: f"{mode:03o}", "MODE")


def one_of(*choices: str) -> Kind[str]:
    """Take one of a few words, in any case."""

    def parse(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in choices:
            return value.strip().lower()
        raise BadValueError(_with_suggestion(words, value, choices))

    words = " or ".join([", ".join(choices[:-1]), choices[-1]])
    return Kind(words, parse, str, "|".join(choices), choices)


def _with_suggestion(words: str, value: object, choices: Sequence[str]) -> str:
    meant = did_you_mean(value.strip().lower(), choices) if isinstance(value, str) else ""
    return f"expected {words}{meant}" if meant else ""


def texts(words: str, metavar: str, read: Callable[[str], str], *, optional: bool = False) -> Kind[str]:
    """Take a text or a path that `read` checks, without white space around it; None is empty where it is `optional`."""

    def parse(value: object) -> str:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        text = "" if optional and value is None else value
        if not isinstance(text, str) or not (optional or text.strip()):
            raise BadValueError
        return read(text.strip()) if text.strip() else ""

    return Kind(words, parse, str, metavar)


def header_text() -> Kind[str]:
    """Take text that can stand in a header field; empty or None means that the field is left out."""

    def read(text: str) -> str:
        if all(" " <= char <= "~" for char in text):
            return text
        raise BadValueError

    return texts("printable ASCII text, or nothing", "TEXT", read, optional=True)


def url_path() -> Kind[str]:
    """Take the prefix of a path: one leading slash, no trailing one; ``/`` means no prefix."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise BadValueError
        inner = value.strip().strip("/")
        if any(not "!" <= char <= "~" or char in '?#%"' for char in inner) or "//" in inner:
            raise BadValueError
        return f"/{inner}" if inner else ""

    return Kind("a path such as /shop, without spaces, %, ? or #", parse, str, "PATH")


def text() -> Kind[str]:
    """Take a text that is not empty."""
    return texts("a value", "TEXT", str)


def path(words: str, *verbatim: str) -> Kind[str]:
    """Take the path of a file or folder; empty or None means none. Whether it exists is not looked at here.

    A relative path belongs to the folder of the start: the application may change the current one.
    Words of `verbatim` are no paths, and stay as they are.
    """

    def read(text: str) -> str:
        if "\0" in text or "\n" in text or trailing_comment(text):
            raise BadValueError
        return text if text in verbatim else os.path.abspath(text)  # noqa: PTH100 - pathlib keeps ".."

    return texts(words, "PATH", read, optional=True)


def paths(words: str) -> Kind[tuple[str, ...]]:
    """Take the paths of several files, in an order that means something; one may be named twice.

    Text is separated by white space or commas; a Python list may have paths with spaces in them.
    """
    one = path(words)

    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [word for word in _SPLIT.split(value) if word]
        elif isinstance(value, os.PathLike):
            value = [value]
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise BadValueError
        return tuple(one.parse(item) for item in value)

    return Kind(words, parse, " ".join, "PATHS", repeats=True)


def account() -> Kind[str]:
    """Take ``user`` or ``user:group``, names or numbers; whether they exist is the system's word at bind time."""

    def read(text: str) -> str:
        if _ACCOUNT.fullmatch(text):
            return text
        raise BadValueError

    return texts("user or user:group", "USER[:GROUP]", read, optional=True)


def some_of(*choices: str) -> Kind[frozenset[str]]:
    """Take any of a few words, in any case and order."""
    words = f"any of {', '.join(choices)}"

    def parse_word(word: str) -> str:
        if word.lower() in choices:
            return word.lower()
        raise BadValueError(_with_suggestion(words, word, choices))

    items = list_of(words, parse_word, "NAMES")

    def show(value: frozenset[str]) -> str:
        return " ".join(word for word in choices if word in value)

    return Kind(words, lambda value: frozenset(items.parse(value)), show, "NAMES", choices, repeats=True)


def list_of(words: str, parse_word: Callable[[str], T], metavar: str) -> Kind[tuple[T, ...]]:
    """Take a list of words, separated by white space or commas, or a Python collection; None is an empty one.

    The words are parsed one by one; in a list of several, a complaint names its word.
    """

    def parse(value: object) -> tuple[T, ...]:
        if isinstance(value, str):
            texts = [word for word in _SPLIT.split(value) if word]
        elif value is None or isinstance(value, list | tuple | set | frozenset):
            texts = [str(item) for item in value or ()]
        else:
            raise BadValueError
        complaints = []
        items = []
        for text in texts:
            try:
                items.append(parse_word(text))
            except BadValueError as bad:
                complaint = str(bad) or f"expected {words}"
                complaints.append(f"{text}: {complaint}" if len(texts) > 1 else complaint)
        if complaints:
            raise BadValueError("; ".join(complaints))
        return tuple(dict.fromkeys(items))

    return Kind(words, parse, lambda items: " ".join(str(item) for item in items), metavar, repeats=True)
