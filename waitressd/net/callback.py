"""A job without a channel. Knows the role protocol's word for a job, and no client."""

from collections.abc import Callable


class Callback:
    """A job without a channel: somebody else's code that must not run in the event loop itself."""

    __slots__ = ("_call", "_log")

    def __init__(self, call: Callable[[], object], log: Callable[[str], None]) -> None:
        self._call = call
        self._log = log

    def begin(self) -> None:
        """Nothing to prepare."""

    def run(self) -> None:
        """Call it; what it raises is logged."""
        try:
            self._call()
        except BaseException:  # border: the application's code
            self._log("a callback failed")

    def settle(self) -> None:
        """Nothing to bring back."""

    def settle_aside(self) -> bool:
        """Nothing to bring back."""
        return True
