"""Log lines that a client cannot multiply.

A line that the other side of a socket can provoke is written at most once an interval; the next one says how many were
left out. The clock is passed in, so that a test needs no waiting.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from waitressd.ratelimit import RateLimiter

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
        self._limiter = RateLimiter(interval_seconds, clock)

    def skip(self) -> bool:
        """Whether a line would be left out now; then it is counted. For lines that cost something to compose."""
        return self._limiter.skip()

    def __call__(self, message: str, *values: object) -> bool:
        """Write the line, or count it; True when it was written."""
        left_out = self._limiter.admit()
        if left_out is None:
            return False
        if left_out:
            message += " (%d more like this since the last one)"
            values = (*values, left_out)
        self._target.log(self._level, message, *values)
        return True
