"""Log lines that a client cannot multiply.

A line that the other side of a socket can provoke is written at most once an interval; the next one says how many were
left out. The clock is passed in, so that a test needs no waiting.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

logger: Final = logging.getLogger("waitressd")
queue_logger: Final = logging.getLogger("waitressd.queue")


class RateLimitedLog:
    """One kind of line. Any thread."""

    def __init__(
        self,
        target: logging.Logger,
        level: int,
        interval_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._level = level
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._lock = threading.Lock()  # guards the two below
        self._next = float("-inf")
        self._left_out = 0

    def skip(self) -> bool:
        """Whether a line would be left out now; then it is counted. For lines that cost something to compose."""
        with self._lock:
            too_soon = self._clock() < self._next
            self._left_out += too_soon
            return too_soon

    def __call__(self, message: str, *values: object) -> bool:
        """Write the line, or count it; True when it was written."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._left_out += 1
                return False
            self._next = now + self._interval_seconds
            left_out, self._left_out = self._left_out, 0
        if left_out:
            message += " (%d more like this since the last one)"
            values = (*values, left_out)
        self._target.log(self._level, message, *values)
        return True
