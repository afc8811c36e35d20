"""A job without a client. Knows what a job is, and nothing else."""

from collections.abc import Callable
from typing import Final

from waitressd import forks
from waitressd.http.errors import HttpError


class Callback:
    """A job without a client: somebody else's code that must not run in the event loop itself."""

    __slots__ = ("_call", "_log", "waiting_since")

    send_count: Final = 0

    def __init__(self, call: Callable[[], object], log: Callable[[str], None], now: float) -> None:
        self._call = call
        self._log = log
        self.waiting_since = now

    def wait(self) -> None:
        """Nothing to note."""

    def queue(self) -> None:
        """Nothing to prepare."""

    def refuse(self, _error: HttpError) -> bool:
        """It must be called sooner or later."""
        return False

    def begin(self) -> None:
        """Nothing to prepare."""

    def run(self) -> None:
        """Call it; what it raises is logged."""
        try:
            self._call()
        except BaseException as error:  # border: the application's code
            forks.end_stray(error)
            self._log("a callback failed")
        forks.end_stray()

    def note(self, started_at: float, returned_at: float) -> None:
        """Nobody wants to know."""

    def settle(self, _started_at: float = 0.0) -> None:
        """Nothing to bring back."""

    def settle_aside(self) -> bool:
        """Nothing to bring back."""
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    @staticmethod
    def describe() -> str:
        """Name it for a log line."""
        return "a callback"

    @staticmethod
    def whose() -> str:
        """It has no client."""
        return "-"
