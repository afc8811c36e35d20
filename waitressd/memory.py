"""Memory that the C library keeps for itself when a crowd of clients has left. It is given back to the system.

Knows counts of connections. A handshake of TLS takes fifty kilobytes and more; some hundreds of them at once would make
a process look ten megabytes larger for the rest of its life.
"""

import importlib
import sys
from typing import Final

CROWD: Final = 200  # connections; what fewer of them leave behind is not worth a look at all memory
SHARE: Final = 4  # a crowd has left when no more than this part of it is there


class MemoryKeeper:
    """Sees crowds come and go. One thread at a time."""

    def __init__(self) -> None:
        self._most = 0  # connections at once since memory was given back

    def look(self, count: int) -> bool:
        """Take note of how many connections there are; give memory back, and say so, where a crowd has left."""
        self._most = max(self._most, count)
        if self._most < CROWD or count * SHARE > self._most:
            return False
        self._most = count
        give_back_memory()
        return True


def give_back_memory() -> None:
    """Return the free pages of the C library to the system, where it can do that (glibc). Takes milliseconds."""
    if sys.platform != "linux":
        return
    # Imported now: most processes never need it, and it takes a megabyte.
    ctypes = importlib.import_module("ctypes")
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
