"""The wire cases as values: a file in, what goes over the wire and what is expected of it out.

A case is a text file in two or three parts, parted by a line of equals signs: what is expected (TOML), what the client
sends and, under `answers/`, what the client gets. Octets are written as a person would: each line ends with CR LF on
the wire unless its last character is a backslash; `\\r \\n \\t \\0 \\\\ \\xHH` are single octets, and
`\\{9000*ab}` is a repetition.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
_PART: Final = re.compile(r"^=====\n", re.MULTILINE)
_ESCAPE: Final = re.compile(r"\\(?:([rnt0\\])|x([0-9A-Fa-f]{2})|\{(\d+)\*([^}]*)\})")
_SHORT: Final = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass(frozen=True)
class Case:
    """One file. `expected` holds what its folder needs; see `tests/wire/test_wire.py`."""

    name: str
    laws: tuple[int, ...]
    expected: dict[str, Any]
    request: bytes
    answer: bytes = b""


def octets(text: str) -> bytes:
    """Turn the notation of the files into what goes over the wire."""
    wire = ""
    for line in text.removesuffix("\n").split("\n"):
        ends_open = line.endswith("\\") and not line.endswith("\\\\")
        wire += line[:-1] if ends_open else line + "\r\n"
    return _unescape(wire).encode("latin-1")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_replacement, text)


def _replacement(match: "re.Match[str]") -> str:
    short, code, count, repeated = match.groups()
    if short:
        return _SHORT[short]
    if code:
        return chr(int(code, 16))
    return int(count) * _unescape(repeated)


def read_case(path: Path) -> Case:
    """Read one file."""
    head, request, *answer = _PART.split(path.read_text(encoding="ascii"))
    expected = tomllib.loads(head)
    laws = tuple(expected.pop("laws"))
    name = f"{path.parent.name}/{path.stem}"
    return Case(name, laws, expected, octets(request), octets(answer[0]) if answer else b"")


def read_cases(folder: str) -> list[Case]:
    """Read all files of one folder, in the order of their names."""
    return [read_case(path) for path in sorted((FOLDER / folder).glob("*.http"))]


def read_laws() -> dict[int, str]:
    """Return the laws that the cases stand for, by number."""
    return {int(number): law for number, law in tomllib.loads((FOLDER / "laws.toml").read_text()).items()}
