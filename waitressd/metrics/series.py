"""Which slot of a row belongs to which series of requests, for all processes that count in one memory.

A list of texts that only grows. Whoever has a new series adds it, so two processes that have the same one agree on its
place, and rows can be added up number by number. Of those who write, a lock of the system lets one in: it is given back
when its process ends, however that happens; and nobody waits for it, for a process that is stopped may hold it. A text
counts once the number that says how long the list is has been raised behind it: what was cut off before is overwritten.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Final

from waitressd.net.ledger import OTHER_METHOD, OTHER_ROUTE, OTHER_ROWS, Key

if sys.platform != "win32":
    import fcntl

ENTRY_BYTES: Final = 256  # on average; a route has 200 characters at most, and few have so many
KEPT_BYTES: Final = 8192  # for the series of the route that has no name of its own
LAST_RESORT: Final = 12  # series that have lost route and method: one of each class of status and scheme
SPARE_SLOTS: Final = OTHER_ROWS + LAST_RESORT
"""How many slots there are beyond the limit."""


class SeriesTable:
    """The list, as one process sees it. `used` is one number: how many bytes of `text` count.

    With `fd`, the descriptor of a file that all of them have, others may add to it. `slot` is for one thread.
    """

    def __init__(self, used: memoryview, text: memoryview, slots: int, fd: int | None = None) -> None:
        self._used = used
        self._text = text
        self._limit = max(0, slots - SPARE_SLOTS)
        self._fd = fd
        self._read_bytes = 0
        self._slots: dict[Key, int] = {}
        self._others = 0

    def keys(self) -> list[Key]:
        """Return the series, by their slots."""
        self._read()
        return list(self._slots)

    def slot(self, key: Key) -> int | None:
        """Return the slot of a series, or the one of all that do not fit; None: ask again later, another one adds."""
        known = self._slots.get(key)
        if known is not None:
            return known
        with self._locked() as is_mine:
            if not is_mine:
                return None
            self._read()
            return self._admit(key)

    def close(self) -> None:
        """Let go of the memory."""
        self._used.release()
        self._text.release()

    def _admit(self, key: Key) -> int:
        folded = (OTHER_ROUTE, *key[1:])
        for one, has_room in (
            (key, key[0] != OTHER_ROUTE and len(self._slots) - self._others < self._limit),
            (folded, self._others < OTHER_ROWS),
            ((OTHER_ROUTE, OTHER_METHOD, key[2] // 100 * 100, key[3]), True),
        ):
            if one in self._slots or (has_room and self._append(one)):
                break
        return self._slots[one]

    def _append(self, key: Key) -> bool:
        line = json.dumps(key, ensure_ascii=False).encode() + b"\n"
        end = self._used[0] + len(line)
        if end > len(self._text) - KEPT_BYTES and key[0] != OTHER_ROUTE:
            return False
        self._text[self._used[0] : end] = line
        self._used[0] = end
        self._read()
        return True

    def _read(self) -> None:
        """Take notice of what others have added."""
        end = self._used[0]
        for line in bytes(self._text[self._read_bytes : end]).splitlines():
            route, method, status, scheme = json.loads(line)
            self._slots[route, method, status, scheme] = len(self._slots)
            self._others += route == OTHER_ROUTE
        self._read_bytes = max(self._read_bytes, end)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Be the only one that adds; False if another process is."""
        if self._fd is None or sys.platform == "win32":
            yield True
            return
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._fd, fcntl.LOCK_UN)


def table_bytes(slots: int) -> int:
    """Return how many bytes there are for the texts."""
    return slots * ENTRY_BYTES + KEPT_BYTES


def own_descriptor(fd: int) -> int:
    """Return another descriptor of the file, to lock it by."""
    return os.dup(fd)
