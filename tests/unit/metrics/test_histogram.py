"""Log-linear buckets."""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.metrics.histogram import BOUNDS, BUCKETS, Histogram, bucket


def histogram_of(durations: Iterable[float]) -> Histogram:
    seconds = list(durations)
    counts = Counter(bucket(each) for each in seconds)
    return Histogram([counts[number] for number in range(BUCKETS)], sum(seconds))


@given(st.floats(0, 1e6))
def test_a_duration_is_below_the_end_of_its_bucket_and_not_below_its_beginning(seconds: float) -> None:
    number = bucket(seconds)
    assert number == BUCKETS - 1 or seconds < BOUNDS[number]
    assert number == 0 or seconds >= BOUNDS[number - 1]


def test_buckets_are_at_most_a_quarter_too_wide() -> None:
    assert len(BOUNDS) == BUCKETS - 1
    for low, high in pairwise(BOUNDS):
        assert 1 < high / low <= 1.25
    assert BOUNDS[-1] == 128.0
    assert BOUNDS[3] == 2.0**-13


@pytest.mark.parametrize(("seconds", "number"), [(0.0, 0), (1e-9, 0), (127.9, BUCKETS - 2), (128.0, BUCKETS - 1)])
def test_the_ends(seconds: float, number: int) -> None:
    assert bucket(seconds) == number


def test_octaves_count_everything_below() -> None:
    histogram = histogram_of((0.0001, 0.001, 0.001, 0.5, 3.0, 1000.0))
    octaves = dict(histogram.octaves())
    assert (octaves[2.0**-9], octaves[1.0], octaves[4.0], octaves[128.0]) == (3, 4, 5, 5)
    assert histogram.count == 6
    assert math.isclose(histogram.total_seconds, 1003.5021)


def test_quantiles_are_bounds_of_buckets() -> None:
    assert histogram_of(()).quantile(0.5) == 0.0
    durations = [number / 100 for number in range(1, 101)]
    histogram = histogram_of(durations)
    assert 0.5 <= histogram.quantile(0.5) <= 0.625
    assert 0.99 <= histogram.quantile(0.99) <= 1.25
    assert histogram_of([*durations, 1e6]).quantile(1.0) == 128.0
