"""What is said when a request log fails: the first time all of it, then at most one line a minute with a count."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from waitressd.ratelimit import RateLimiter

log: Final = logging.getLogger("waitressd.request_log")

INTERVAL_SECONDS: Final = 60.0


class Failures:
    """The failures of one request log. Any thread; the clock is an argument."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._limiter = RateLimiter(INTERVAL_SECONDS, clock)
        self._lines = 0  # said so far; only the thread that the limiter lets through counts

    def add(self, error: BaseException | str, count: int = 1) -> None:
        """Note that `count` records did not get through."""
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
    """Log an error of a request log; never raises, though handlers of the log may be anybody's, too."""
    with contextlib.suppress(Exception):
        log.error(message, *values, exc_info=error)


def describe(error: BaseException | str) -> str:
    """Return a failure in one line."""
    if isinstance(error, str):
        return error
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # border: the text of a plugin's exception is made by the plugin
        return type(error).__name__
