"""Who listens on an address that is in use: an answer for the operator, if the system gives one (Linux).

Reads /proc once, when a start has failed already. Processes of other accounts are seen by root alone.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LISTEN: Final = "0A"  # the state of a listening TCP socket in /proc/net/tcp
_PROC: Final = Path("/proc")


def tcp_owner(port: int, proc: Path = _PROC) -> str:
    """Describe the process that listens on a TCP port: ``process 123 (nginx)``, or this one; empty if unknown."""
    return _describe({inode for table in ("net/tcp", "net/tcp6") for inode in _tcp_inodes(proc / table, port)}, proc)


def unix_owner(path: str, proc: Path = _PROC) -> str:
    """Describe the process that listens on a Unix socket; empty if unknown."""
    return _describe(set(_unix_inodes(proc / "net/unix", path)), proc)


def _lines(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]]
    except OSError:
        return []


def _tcp_inodes(table: Path, port: int) -> Iterator[str]:
    for columns in _lines(table):
        if len(columns) > 9 and columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]


def _unix_inodes(table: Path, path: str) -> Iterator[str]:
    return (columns[6] for columns in _lines(table) if len(columns) > 7 and columns[7] == path)


def _describe(inodes: set[str], proc: Path) -> str:
    if not inodes:
        return ""
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is somebody else's
            if any(_link(entry) in links for entry in (process / "fd").iterdir()):
                if process.name == str(os.getpid()):
                    return "this process itself"
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"process {process.name} ({name})"
    return ""


def _link(entry: Path) -> str:
    try:
        return os.readlink(entry)  # noqa: PTH115 - Path.readlink makes a path of what is none
    except OSError:
        return ""
