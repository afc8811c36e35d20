"""Counters as values."""

from waitressd.metrics import layout
from waitressd.metrics.histogram import BUCKETS
from waitressd.metrics.shown import Totals


def test_what_was_not_seen_is_not_there() -> None:
    totals = Totals([0] * layout.COUNTERS)
    assert (totals.requests, totals.phases) == ({}, {})
    assert (totals.body_bytes_received, totals.body_bytes_sent) == (0, 0)


def test_each_number_is_found_by_its_names() -> None:
    numbers = list(range(layout.COUNTERS))
    totals = Totals(numbers)
    assert totals.requests["2xx", "deadline"] == layout.REQUESTS + 2 * len(layout.ENDINGS) + 3
    assert len(totals.requests) == len(layout.STATUSES) * len(layout.ENDED_BY)
    for status, firsts in zip(layout.STATUSES, layout.HISTOGRAMS, strict=True):
        for phase, first in zip(layout.PHASES, firsts, strict=True):
            histogram = totals.phases[phase, status]
            assert histogram.counts == numbers[first : first + BUCKETS]
            assert histogram.total_seconds == (first + BUCKETS) / layout.TICKS_PER_SECOND


def test_the_count_of_a_histogram_agrees_with_its_buckets() -> None:
    numbers = [0] * layout.COUNTERS
    first = layout.HISTOGRAMS[2][0]
    numbers[first] = numbers[first + BUCKETS - 1] = 3
    assert Totals(numbers).phases["queue", "2xx"].count == 6
