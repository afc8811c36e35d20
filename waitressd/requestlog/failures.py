"""What is logged when a request log fails: first a traceback, then at most one line a minute with a count."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from waitressd.operatorlog import operator_log
from waitressd.ratelimit import RateLimiter

log: Final = logging.getLogger("waitressd.request_log")

INTERVAL_SECONDS: Final = 60.0


class Failures:
    """The failures of one request log. Any thread; the clock is an argument."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._limiter = RateLimiter(INTERVAL_SECONDS, clock)
        self._lock = threading.Lock()
        self.count = 0
        """How many records did not get through so far."""
        self._lines = 0  # said so far; only the thread that the limiter lets through counts

    def add(self, error: BaseException | str, count: int = 1) -> None:
        """Note that `count` records did not get through."""
        with self._lock:
            self.count += count
        left_out = self._limiter.admit(count)
        if left_out is None:
            return
        self._lines += 1
        if self._lines == 1 and isinstance(error, BaseException):
            say(
                "The request log %s failed; requests are served all the same, further failures are counted",
                self._name, error=error,
            )  # fmt: skip
        else:
            say("The request log %s failed for %d records: %s", self._name, left_out + count, describe(error))

    def tell_rest(self) -> None:
        """Say how many failed since the last line; nothing if none did."""
        if unsaid := self._limiter.take_left_out():
            say("The request log %s failed for %d more records before the end", self._name, unsaid)


def say(message: str, *values: object, error: BaseException | None = None) -> None:
    """Leave an error of a request log for the operator. Any thread; never raises, and never waits for a log."""
    operator_log.say(log, logging.ERROR, message, *values, error=error or False)


def describe(error: BaseException | str) -> str:
    """Return a failure in one line."""
    if isinstance(error, str):
        return error
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # border: the text of a plugin's exception is made by the plugin
        return type(error).__name__
