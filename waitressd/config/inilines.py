"""On which line of an ini file each section and key stands.

PasteDeploy hands plain dictionaries to a server factory, and the standard library's parser forgets lines. This follows
the parser's rules (full-line comments, ``=`` or ``:``, continuation by indentation) for files that it has accepted.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from waitressd.config.origins import Origin, Source

_SECTION: Final = re.compile(r"\[(?P<name>.+)\]")
_OPTION: Final = re.compile(r"(?P<key>.*?)\s*[=:]\s*(?P<value>.*)")
GLOBAL_SECTION: Final = "DEFAULT"


@dataclass(slots=True)
class Entry:
    """One key of a section: its line, counted from 1, and its value before interpolation."""

    line: int
    value: str


@dataclass(slots=True)
class IniLines:
    """The sections and keys of one file, with their lines."""

    path: str
    sections: dict[str, dict[str, Entry]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """The line of each section's header."""

    def origin(self, section: str, key: str = "") -> Origin:
        """Where a key stands, or the section itself where the key is not known."""
        entry = self.sections.get(section, {}).get(key)
        line = entry.line if entry else self.lines.get(section, 0)
        return Origin(Source.FILE, self.path, line, section)

    def server_sections(self) -> Iterator[str]:
        """Yield the names of the sections that declare servers."""
        return (name for name in self.sections if name.startswith("server:") or name == "server")

    def find_server(self, name: str) -> str | None:
        """Find the section of a server by its name, the way PasteDeploy does."""
        found = [section for section in self.server_sections() if section.partition(":")[2].strip() == name]
        return found[0] if found else None


def scan(path: str, lines: Iterable[str]) -> IniLines:
    """Read sections and keys with their lines."""
    found = IniLines(path)
    section: dict[str, Entry] | None = None
    entry: Entry | None = None
    key_indent = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        indent = len(line) - len(line.lstrip())
        if section is not None and entry is not None and indent > key_indent:
            entry.value += f"\n{text}"
            continue
        key_indent = indent
        if header := _SECTION.match(text):
            section = found.sections.setdefault(header["name"], {})
            found.lines.setdefault(header["name"], number)
            entry = None
        elif section is not None and (option := _OPTION.fullmatch(text)):
            entry = section[option["key"]] = Entry(number, option["value"])
    return found


@dataclass(frozen=True, slots=True)
class Chain:
    """A server section together with the sections that its ``use`` leads to, the nearest first."""

    links: tuple[tuple[IniLines, str], ...]

    @property
    def name(self) -> str:
        """The section that the chain starts with."""
        return self.links[0][1]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of the sections, each once."""
        return tuple(dict.fromkeys(lines.path for lines, _ in self.links))

    def entries(self) -> dict[str, tuple[Entry, Origin]]:
        """Map the keys that reach the server factory to where each stands; a nearer section wins."""
        found: dict[str, tuple[Entry, Origin]] = {}
        for lines, section in self.links:
            for key, entry in lines.sections[section].items():
                name = key[4:].strip() if key.startswith("get ") else key
                if name not in ("use", "require") and not key.startswith("set "):
                    found.setdefault(name, (entry, lines.origin(section, key)))
        return found


ReadLines = Callable[[str], IniLines | None]


def follow(read_lines: ReadLines, path: str, section: str) -> Chain:
    """Follow ``use = config:FILE#name`` and ``use = name`` from a section to its end.

    `read_lines` scans a file, or returns None where it cannot be read.
    """
    links: list[tuple[IniLines, str]] = []
    place: tuple[str, str] | None = (path, section)
    while place is not None:
        lines = read_lines(place[0])
        if lines is None or place[1] not in lines.sections or (lines, place[1]) in links:
            break
        links.append((lines, place[1]))
        place = _next(read_lines, lines, place[1])
    return Chain(tuple(links))


def _next(read_lines: ReadLines, lines: IniLines, section: str) -> tuple[str, str] | None:
    entry = lines.sections[section].get("use")
    use = entry.value.strip() if entry else ""
    if not use or use.startswith(("egg:", "call:")):
        return None
    path, name = lines.path, use
    if use.startswith("config:"):
        target, _, name = use[7:].partition("#")
        path = relative_path(lines.path, target)
    other = read_lines(path)
    found = other.find_server(name or "main") if other else None
    return (path, found) if found else None


def relative_path(path: str, target: str) -> str:
    """Find the file that ``config:TARGET`` in the file at `path` names."""
    here = Path(path).parent
    return str(here / target.replace("%(here)s", str(here)))
