"""Percentiles of durations that were counted in buckets. Pure."""

from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import Final

PERCENTILES: Final[dict[str, float]] = {"p50": 0.50, "p90": 0.90, "p99": 0.99}


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Return the duration within which that share of all lies, in seconds; None if there are none.

    Bucket N holds what took longer than bound N - 1 and no longer than bound N, the last one what took longer than
    every bound. What is returned is the upper bound of the bucket that the true value (the nearest rank) lies in: never
    too low, and too high by less than the bucket is wide. Of the last bucket it is the last bound, which is too low.
    """
    total = sum(counts)
    if not total:
        return None
    rank = max(1, ceil(share * total))
    for number, reached in enumerate(accumulate(counts)):
        if reached >= rank:
            return bounds[min(number, len(bounds) - 1)]
    raise AssertionError(counts)  # negative counts
