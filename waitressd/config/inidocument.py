"""One ini file as a value: its text, and on which line each section and key is.

PasteDeploy hands plain dictionaries to a server factory, and the standard library's parser forgets lines. This follows
the parser's rules (full-line comments, ``=`` or ``:``, continuation by indentation) for files that it has accepted.
It reads nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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
class IniDocument:
    """The text of one file, and its sections and keys with their lines."""

    path: str
    text: str = field(default="", repr=False)
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


def scan(path: str, text: str) -> IniDocument:
    """Find sections and keys with their lines."""
    found = IniDocument(path, text)
    section: dict[str, Entry] | None = None
    entry: Entry | None = None
    key_indent = 0
    for number, line in enumerate(text.split("\n"), 1):
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
