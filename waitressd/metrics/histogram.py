"""Durations, counted in buckets. A value; the bounds are said by whoever has counted."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final


class Histogram:
    """How often which duration was seen. Nothing in it changes."""

    __slots__ = ("bounds", "count", "counts", "total_seconds")

    def __init__(self, bounds: Sequence[float], counts: Sequence[int], total_seconds: float) -> None:
        """`counts` has a number for each of the `bounds`, the upper ends in seconds, and one for all above."""
        self.bounds: Final = bounds
        self.counts: Final = counts
        # Not counted for itself: so it agrees with the buckets, however many were counted while they were read.
        self.count: Final = sum(counts)
        self.total_seconds: Final = total_seconds

    def at_most(self, bounds: Sequence[float]) -> list[int]:
        """Return how many were at most as long as each of these, which must be among the bounds."""
        below = dict(zip(self.bounds, accumulate(self.counts), strict=False))
        return [below[bound] for bound in bounds]

    def quantile(self, share: float) -> float:
        """Return what the given share of all durations did not exceed, as the end of a bucket; 0 without any."""
        wanted, below = share * self.count, 0
        for number, bound in enumerate(self.bounds):
            below += self.counts[number]
            if self.count and below >= wanted:
                return bound
        return self.bounds[-1] if self.count else 0.0
