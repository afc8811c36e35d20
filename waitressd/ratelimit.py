"""How often something may happen that others can cause at will, such as a line in a log."""

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Lets one event through in each interval and counts the others. Any thread; the clock is an argument."""

    __slots__ = ("_clock", "_interval_seconds", "_left_out", "_lock", "_next")

    def __init__(self, interval_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._lock = threading.Lock()  # guards the two below
        self._next = float("-inf")
        self._left_out = 0

    def admit(self, count: int = 1) -> int | None:
        """Return how many were left out since the last admission, or None: this one, which is `count`, is left out."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._left_out += count
                return None
            self._next = now + self._interval_seconds
            left_out, self._left_out = self._left_out, 0
            return left_out

    def skip(self) -> bool:
        """Tell whether `admit` would leave one out now, and count it then: for events that are costly to prepare."""
        with self._lock:
            too_soon = self._clock() < self._next
            self._left_out += too_soon
            return too_soon

    def take_left_out(self) -> int:
        """Return how many were left out since the last admission, and forget them."""
        with self._lock:
            left_out, self._left_out = self._left_out, 0
            return left_out
