"""How much threads compute: what tells one that waits from one that burns.

The kernel counts the time of each thread on a processor; two looks at that make a share. Linux alone shows it, without
a system call into the thread: elsewhere nothing is known.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

SHORTEST_LOOK_SECONDS: Final = 0.05  # between two looks, for the share to mean something
FRESH_LOOK_SECONDS: Final = 1.0  # after which a look is replaced by the next one
OLD_LOOK_SECONDS: Final = 60.0  # after which a look is forgotten: its number may be another thread's by then
TASKS: Final = Path("/proc/self/task")


class CpuShares:
    """How much of a processor threads have used between two looks. Any thread, without a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, folder: Path = TASKS) -> None:
        self._clock = clock
        self._folder = folder
        self._looks: dict[int, tuple[float, int]] = {}  # by native id: when, and nanoseconds on a processor so far

    def share(self, native_id: int | None) -> float | None:
        """Look at a thread; return its share of one processor since an earlier look, 0.0 to 1.0.

        None where nothing is known: the first look of all is one that the next has to compare with.
        """
        used = self._used_nanoseconds(native_id) if native_id is not None else None
        if native_id is None or used is None:
            return None
        now = self._clock()
        at, before = self._looks.get(native_id, (0.0, 0))
        seconds = now - at
        is_old = seconds > OLD_LOOK_SECONDS or used < before
        if is_old or seconds >= FRESH_LOOK_SECONDS:
            self._forget_old(now)
            self._looks[native_id] = (now, used)
        if is_old or seconds < SHORTEST_LOOK_SECONDS:
            return None
        return round(min(1.0, (used - before) / (seconds * 1e9)), 4)

    def _forget_old(self, now: float) -> None:
        for native_id, (at, _) in list(self._looks.items()):
            if now - at > OLD_LOOK_SECONDS:
                self._looks.pop(native_id, None)

    def _used_nanoseconds(self, native_id: int) -> int | None:
        """What the kernel has counted (proc(5), schedstat): time on a processor, time in the queue for one, turns."""
        try:
            return int((self._folder / str(native_id) / "schedstat").read_bytes().split()[0])
        except (OSError, ValueError, IndexError):  # another system, or the thread has ended
            return None


def python_threads() -> Mapping[int, threading.Thread]:
    """Return the threads that Python knows, by their identifiers, without the lock that `threading.enumerate` takes."""
    known: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001 - a thread that hangs may hold that lock
    return known.copy()


def native_id_of(thread_id: int) -> int | None:
    """Return what the system calls a thread; None for one that has ended."""
    thread = python_threads().get(thread_id)
    return thread.native_id if thread is not None else None
