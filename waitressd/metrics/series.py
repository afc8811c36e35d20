"""Which slot of a row belongs to which series, for all processes that count in one memory.

A series is one of requests, by the key that ledgers have, or the records that one request log has lost.

A list of texts that only grows. Whoever has a new series adds it, so two processes that have the same one agree on its
place, and rows can be added up number by number. Of those who write, a lock of the system lets one in: it is given back
when its process ends, however that happens; and nobody waits for it, for a process that is stopped may hold it. A text
counts once the number that says how long the list is has been raised behind it: what was cut off before is overwritten.
"""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

from waitressd.net.ledger import OTHER_METHOD, OTHER_ROUTE, OTHER_ROWS, Key

if sys.platform != "win32":
    import fcntl

ENTRY_BYTES: Final = 256  # on average; a route has 200 characters at most, and few have so many
KEPT_BYTES: Final = 8192  # for the series of the route that has no name of its own
LAST_RESORT: Final = 12  # series that have lost route and method: one of each class of status and scheme
LOGS: Final = 16  # request logs whose losses are told
SPARE_SLOTS: Final = OTHER_ROWS + LAST_RESORT + LOGS
"""How many slots there are beyond the limit."""


LogKey = tuple[str]
"""The name of a request log."""
AnyKey = Key | LogKey


class SeriesTable:
    """The list, as one process sees it. `used` is one number: how many bytes of `text` count. Any thread.

    With `fd`, the descriptor of a file that all of them have, other processes may add to it.
    """

    def __init__(self, used: memoryview, text: memoryview, slots: int, fd: int | None = None) -> None:
        self._used = used
        self._text = text
        self._limit = max(0, slots - SPARE_SLOTS)
        self._fd = fd
        self._read_bytes = 0
        self._lock: Final = threading.Lock()  # guards the three that follow
        self._slots: dict[AnyKey, int] = {}
        self._others = 0
        self._logs = 0

    def keys(self) -> list[AnyKey]:
        """Return the series, by their slots."""
        with self._lock:
            self._read()
            return list(self._slots)

    def slot(self, key: AnyKey) -> int | None:
        """Return the slot of a series, or the one of all that do not fit; None: ask again later, another one adds."""
        known = self._slots.get(key)
        if known is not None:
            return known
        with self._lock, self._locked() as is_mine:
            if not is_mine:
                return None
            self._read()
            return self._admit(key) if len(key) > 1 else self._admit_log(key)

    def close(self) -> None:
        """Let go of the memory."""
        self._used.release()
        self._text.release()

    def _admit(self, key: Key) -> int:
        folded: Key = (OTHER_ROUTE, *key[1:])
        for one, has_room in (
            (key, key[0] != OTHER_ROUTE and len(self._slots) - self._others < self._limit),
            (folded, self._others - self._logs < OTHER_ROWS),
            ((OTHER_ROUTE, OTHER_METHOD, key[2] // 100 * 100, key[3]), True),
        ):
            if one in self._slots or (has_room and self._append(one)):
                break
        return self._slots[one]

    def _admit_log(self, key: LogKey) -> int | None:
        if key not in self._slots and (self._logs >= LOGS or not self._append(key)):
            return None
        return self._slots[key]

    def _append(self, key: AnyKey) -> bool:
        line = json.dumps(key, ensure_ascii=False).encode() + b"\n"
        end = self._used[0] + len(line)
        if end > len(self._text) - KEPT_BYTES and (len(key) == 1 or key[0] != OTHER_ROUTE):
            return False
        self._text[self._used[0] : end] = line
        self._used[0] = end
        self._read()
        return True

    def _read(self) -> None:
        """Take notice of what others have added."""
        end = self._used[0]
        for line in bytes(self._text[self._read_bytes : end]).splitlines():
            key = tuple(json.loads(line))
            self._slots[key] = len(self._slots)
            self._logs += len(key) == 1
            self._others += len(key) == 1 or key[0] == OTHER_ROUTE
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
