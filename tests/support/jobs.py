"""A job with everything that the loop may ask of one, for tests that care about a part of it."""

from waitressd.http.errors import HttpError


class PlainJob:
    """A job that does nothing, has no client, and cannot be refused."""

    __slots__ = ("send_count", "waiting_since")

    def __init__(self) -> None:
        self.waiting_since = 0.0
        self.send_count = 0

    def wait(self) -> None:
        """Wait for its turn."""

    def queue(self) -> None:
        """Wait."""

    def refuse(self, _error: HttpError) -> bool:
        """Refuse to be refused."""
        return False

    def begin(self) -> None:
        """Leave the queue."""

    def run(self) -> None:
        """Do nothing."""

    def note(self, started_at: float, returned_at: float) -> None:
        """Forget when it ran."""

    def settle(self, _started_at: float = 0.0) -> None:
        """Bring nothing back."""

    def settle_aside(self) -> bool:
        """Bring nothing back."""
        return True

    def close(self) -> None:
        """Let go of nothing."""

    def describe(self) -> str:
        """Say what it is."""
        return "a job"

    def whose(self) -> str:
        """Have no client."""
        return "-"
