"""Durations in buckets."""

from hypothesis import given
from hypothesis import strategies as st

from waitressd.metrics.histogram import Histogram
from waitressd.net.ledger import BOUNDS, BUCKETS


def test_how_many_were_at_most_so_long() -> None:
    histogram = Histogram((1.0, 2.0, 4.0), (3, 0, 2, 1), 20.0)
    assert histogram.at_most((1.0, 4.0)) == [3, 5]
    assert (histogram.count, histogram.total_seconds) == (6, 20.0)


def test_quantiles_are_bounds_of_buckets() -> None:
    histogram = Histogram((1.0, 2.0, 4.0), (5, 0, 4, 1), 0.0)
    assert [histogram.quantile(share) for share in (0.0, 0.5, 0.51, 0.9, 1.0)] == [1.0, 1.0, 4.0, 4.0, 4.0]
    assert Histogram((1.0,), (0, 0), 0.0).quantile(0.5) == 0.0


@given(st.lists(st.integers(0, 5), min_size=BUCKETS, max_size=BUCKETS))
def test_the_count_agrees_with_the_buckets(counts: list[int]) -> None:
    histogram = Histogram(BOUNDS, counts, 0.0)
    below = histogram.at_most(BOUNDS)
    assert below == sorted(below)
    assert below[-1] + counts[-1] == histogram.count
