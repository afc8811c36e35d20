"""How much free memory a process keeps for its next request, and when that goes back to the system.

By itself the allocator of glibc asks the system for the memory of each large body, response or page, and gives it back
right after: of what an upload of 1 MiB costs, more than half is pages that the kernel clears again and again (measured:
154 page faults and 930 us a request; 0 and 400 us when they are kept). So free memory is kept, and it goes back when a
crowd of clients has left, or when nothing has been asked for half a second. Where the operator has set the allocator
by its environment variables, it is left as it is.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

CROWD: Final = 200  # connections; what fewer of them leave behind is not worth a look at all memory
SHARE: Final = 4  # a crowd has left when no more than this part of it is there
QUIET_SECONDS: Final = 0.5
# How many times as long as it took must pass until it is done again: 0.2 s where a heap has a million pieces.
REST: Final = 200

KEPT_BYTES: Final = 32 << 20  # at the end of each arena
LARGEST_BYTES: Final = 32 << 20  # larger blocks come from the system and go back at once; the most that glibc takes
# With the interpreter lock, threads do not allocate at the same time. Each arena would keep pages of its own.
ARENAS: Final = 2

# Of malloc.h, for mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_VARIABLES: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


class MemoryKeeper:
    """Sees crowds come and go, and quiet begin. One thread at a time."""

    def __init__(self, give_back: Callable[[], object] | None = None) -> None:
        self._give_back = give_back or give_back_memory
        self._most = 0  # connections at once since memory was given back
        self._given_back_at = 0.0
        self._rests_until = 0.0

    def look(self, now: float, count: int, heard_at: float) -> bool:
        """Give memory back, and say so, if a crowd has left or quiet has begun. Times are of the monotonic clock.

        `count` is the number of connections, `heard_at` when one of them was heard last.
        """
        self._most = max(self._most, count)
        crowd_has_left = self._most >= CROWD and count * SHARE <= self._most
        is_quiet = self._given_back_at <= heard_at <= now - QUIET_SECONDS
        if now < self._rests_until or not (crowd_has_left or is_quiet):
            return False
        self._most = count
        self._given_back_at = now
        begun = time.perf_counter()
        self._give_back()
        self._rests_until = now + REST * (time.perf_counter() - begun)
        return True


def keep_memory() -> bool:
    """Have the allocator keep what is free, for the whole process; False where it is not ours to set, or not glibc."""
    set_option = None if any(name in os.environ for name in _VARIABLES) else _function("mallopt")
    if set_option is None:
        return False
    set_option(_M_TRIM_THRESHOLD, KEPT_BYTES)
    set_option(_M_MMAP_THRESHOLD, LARGEST_BYTES)
    set_option(_M_ARENA_MAX, ARENAS)
    return True


def give_back_memory() -> None:
    """Return the free pages of the allocator to the system, where it can do that. Takes milliseconds."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., Any] | None:
    """Find a function of the C library; None where it has none."""
    if sys.platform != "linux":
        return None
    try:
        # Imported here: a program that only reads a configuration does not need it.
        library = importlib.import_module("ctypes").CDLL(None)
    except (ImportError, OSError):  # an interpreter without it, or a program without a dynamic linker
        return None
    found: Callable[..., Any] | None = getattr(library, name, None)
    return found
