"""How late a thread wakes up that wants to at a moment: then the interpreter lock or the processor is short."""

from bisect import bisect_left

from waitressd.net.ledger import BOUNDS, BUCKETS


class Delays:
    """Counts of delays. `note` is for one thread, everything else for any."""

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        """How many there were up to each of the BOUNDS of a ledger, and how many were longer."""
        self.total_seconds = 0.0

    def note(self, seconds: float) -> None:
        """Count one. What comes too early, by the grain of a clock, is in time."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.total_seconds += max(0.0, seconds)
