"""How often something may be logged that a client can cause at will."""

import threading
import time
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 10.0


class Throttle:
    """Lets one log line through in each interval and counts the others. Any thread; the clock is an argument."""

    __slots__ = ("_clock", "_interval_seconds", "_left_out", "_lock", "_next")

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._lock = threading.Lock()  # guards the two below
        self._next = float("-inf")
        self._left_out = 0

    def admit(self) -> int | None:
        """Return how many were left out since the last line that was let through, or None to leave this one out."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._left_out += 1
                return None
            self._next = now + self._interval_seconds
            left_out, self._left_out = self._left_out, 0
            return left_out
