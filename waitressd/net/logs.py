"""Log lines that a client cannot multiply.

The lines of `net` all go through the operator's log, since most of them are said by a thread that keeps deadlines. A
line that the other side of a socket can provoke is written at most once an interval; the next one says how many were
left out. The clock is passed in, so that a test needs no waiting.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from waitressd.operatorlog import operator_log
from waitressd.ratelimit import RateLimiter

logger: Final = logging.getLogger("waitressd")
queue_logger: Final = logging.getLogger("waitressd.queue")


def say(level: int, message: str, *values: object) -> None:
    """Leave a line for the operator. Any thread; never waits for the log."""
    operator_log.say(logger, level, message, *values)


def report_defect(message: str, *values: object) -> None:
    """Leave a line about a mistake of this server, with its traceback; called in the `except` block. Any thread."""
    operator_log.say(logger, logging.CRITICAL, message + "; please report this", *values, error=True)


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
        """Leave the line, or count it; True when it was left."""
        left_out = self._limiter.admit()
        if left_out is None:
            return False
        if left_out:
            message += " (%d more like this since the last one)"
            values = (*values, left_out)
        operator_log.say(self._target, self._level, message, *values)
        return True
