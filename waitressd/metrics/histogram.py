"""Durations, counted in buckets that grow with the duration: at most a quarter too wide, from 61 us to 128 s."""

from collections.abc import Sequence
from math import frexp
from typing import Final

STEPS: Final = 4  # buckets between a power of two and the next
LOWEST: Final = -13  # the first power of two that has buckets of its own is 2**-14 s
HIGHEST: Final = 7  # what takes 2**7 s or longer is counted in the last bucket
BUCKETS: Final = STEPS * (HIGHEST - LOWEST + 1) + 1

BOUNDS: Final[tuple[float, ...]] = tuple(
    2.0 ** (LOWEST - 1 + number // STEPS) * (1 + (number % STEPS + 1) / STEPS) for number in range(BUCKETS - 1)
)
"""The upper end of each bucket but the last, in seconds."""


class Histogram:
    """How often which duration was seen. A value: nothing in it changes."""

    __slots__ = ("count", "counts", "total_seconds")

    def __init__(self, counts: Sequence[int], total_seconds: float) -> None:
        self.counts: Final = counts
        # Not counted for itself: so it agrees with the buckets, however many were counted while they were read.
        self.count: Final = sum(counts)
        self.total_seconds: Final = total_seconds

    def octaves(self) -> list[tuple[float, int]]:
        """Return (upper bound, how many were at most as long) for each power of two."""
        found, below = [], 0
        for number, bound in enumerate(BOUNDS):
            below += self.counts[number]
            if number % STEPS == STEPS - 1:
                found.append((bound, below))
        return found

    def quantile(self, share: float) -> float:
        """Return what the given share of all durations did not exceed, as the end of a bucket; 0 without any."""
        wanted, below = share * self.count, 0
        for number, bound in enumerate(BOUNDS):
            below += self.counts[number]
            if self.count and below >= wanted:
                return bound
        return BOUNDS[-1] if self.count else 0.0


def bucket(seconds: float) -> int:
    """Return the number of the bucket that a duration falls into."""
    if seconds < BOUNDS[0]:
        return 0  # also zero, whose power of two is none
    # seconds = fraction * 2**power, with the fraction from 0.5 up to 1
    fraction, power = frexp(seconds)
    number = (power - LOWEST) * STEPS + int(fraction * 2 * STEPS) - STEPS
    return number if number < BUCKETS else BUCKETS - 1
