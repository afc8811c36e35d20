"""Delays are counted in the buckets of a ledger."""

from waitressd.dispatch.delays import Delays
from waitressd.net.ledger import BOUNDS, BUCKETS


def test_each_is_counted_in_its_bucket() -> None:
    delays = Delays()
    for seconds in (0.0, 0.001, 0.0011, 100.0, 1000.0):
        delays.note(seconds)
    counted = {number: count for number, count in enumerate(delays.buckets) if count}
    assert counted == {0: 2, 1: 1, len(BOUNDS) - 1: 1, BUCKETS - 1: 1}
    assert delays.total_seconds == 1100.0021


def test_one_that_is_too_early_is_in_time() -> None:
    delays = Delays()
    delays.note(-0.00001)
    assert (delays.buckets[0], delays.total_seconds) == (1, 0.0)
