"""What a test left behind: threads, child processes, descriptors, temporary files."""

import gc
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

GRACE_SECONDS: Final = 6.0
"""How long a server may take to notice that its clients are gone; longer than its linger deadline."""

_PROC: Final = Path("/proc/self")


@dataclass(frozen=True)
class Holdings:
    """What this process holds at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    descriptors: frozenset[tuple[int, str]]
    files: frozenset[str]

    @classmethod
    def now(cls, folder: Path) -> Self:
        """Look at this process and at the temporary files in `folder`."""
        return cls(
            frozenset(threading.enumerate()),
            frozenset(child_processes()),
            frozenset(open_descriptors()),
            frozenset(str(path) for path in folder.rglob("*")) if folder.exists() else frozenset(),
        )

    def complaints(self, before: Self) -> list[str]:
        """Say in words what is here and was not there before."""
        return [
            *(f"thread {thread.name!r} still runs" for thread in self.threads - before.threads),
            *(f"child process {pid} is still there" for pid in self.children - before.children),
            *(f"descriptor {number} is still open: {what}" for number, what in self.descriptors - before.descriptors),
            *(f"temporary file left: {name}" for name in sorted(self.files - before.files)),
        ]


def open_descriptors() -> list[tuple[int, str]]:
    """Return each open descriptor with what it is; nothing where the system does not tell."""
    found = []
    try:
        links = list((_PROC / "fd").iterdir())
    except OSError:
        return []
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:  # the descriptor that listed the folder
            continue
        if not target.startswith(("/dev/", "/proc/")):
            found.append((int(link.name), target))
    return found


def child_processes() -> list[int]:
    """Return the children of this process, zombies too; nothing where the system does not tell."""
    found: list[int] = []
    for tasks in _PROC.glob("task/*/children"):
        try:
            found.extend(int(pid) for pid in tasks.read_text().split())
        except OSError:  # that thread has just ended
            continue
    return found


def wait_for_nothing_left(before: Holdings, folder: Path, seconds: float = GRACE_SECONDS) -> list[str]:
    """Return what is left when the grace is over; returns at once when nothing is."""
    complaints = Holdings.now(folder).complaints(before)
    deadline = time.monotonic() + seconds
    while complaints and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
        complaints = Holdings.now(folder).complaints(before)
    return complaints
