"""Percentiles out of buckets. What holds for all of them is in tests/property/test_history.py."""

import pytest

from waitressd.insight.percentiles import PERCENTILES, percentile

BOUNDS = (0.001, 0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0, 0, 0], 0.5, None),
        ([1, 0, 0, 0, 0], 0.5, 0.001),
        ([1, 1, 0, 0, 0], 0.5, 0.001),
        ([1, 2, 0, 0, 0], 0.5, 0.01),
        ([99, 0, 0, 1, 0], 0.99, 0.001),
        ([98, 0, 0, 2, 0], 0.99, 1.0),
        ([0, 0, 0, 0, 7], 0.5, 1.0),  # longer than every bound
        ([3, 0, 0, 0, 0], 0.0, 0.001),
        ([3, 0, 1, 0, 0], 1.0, 0.1),
    ],
)
def test_the_upper_bound_of_the_bucket_with_the_nearest_rank(
    counts: list[int], share: float, expected: float | None
) -> None:
    assert percentile(counts, BOUNDS, share) == expected


def test_their_names_say_what_they_are() -> None:
    assert PERCENTILES == {"p50": 0.5, "p90": 0.9, "p99": 0.99}
