"""Where which number of a row is."""

from waitressd.insight.findings import TITLES
from waitressd.metrics import layout
from waitressd.net.handshake import RESULTS
from waitressd.net.ledger import BOUNDS, BUCKETS, ENDED_BY


def test_each_number_has_one_meaning() -> None:
    used = list(range(layout.GAUGES_AT + 1 + len(layout.NUMBERS_OF) + len(layout.SECONDS_OF)))
    assert len(used) == layout.CONNECTIONS
    for first, count in (
        (layout.CONNECTIONS, len(layout.STATES)),
        (layout.RUNNING, len(layout.ACTIVE)),
        (layout.FOUND, len(layout.FINDINGS)),
        (layout.CERTIFICATES, 1 + layout.CERTIFICATES_BYTES // layout.NUMBER_BYTES),
        (layout.COUNTERS, len(layout.COUNTS_OF)),
        (layout.TIMED_OUT, len(layout.TIMEOUTS)),
        (layout.DELAYS, layout.HISTOGRAM),
        (layout.HANDSHAKES_ENDED, len(layout.HANDSHAKES)),
        (layout.CERTIFICATES_CHANGED, len(layout.RENEWALS)),
    ):
        used += range(first, first + count)
    for status in range(len(layout.STATUSES)):
        first = layout.CLASSES + status * layout.CLASS
        used += range(first, first + len(ENDED_BY))
        for phase in layout.PHASES:
            first = layout.histogram_at(status, phase)
            used += range(first, first + BUCKETS + 1)
    used += range(layout.SLOTS, layout.row_numbers(3))
    assert used == list(range(layout.row_numbers(3)))


def test_a_row_is_small() -> None:
    assert layout.row_numbers(300) <= 7000


def test_whatever_the_server_says_has_a_place() -> None:
    assert layout.HANDSHAKES == RESULTS
    assert tuple(TITLES) == layout.FINDINGS
    assert set(layout.SERIES_BOUNDS) <= set(BOUNDS)


def test_numbers_are_those_of_the_memory() -> None:
    memory = bytearray(64)
    layout.numbers_in(memory, 2, 3)[1] = -5
    assert list(layout.numbers_in(memory, 0, 8)) == [0, 0, 0, -5, 0, 0, 0, 0]


def test_ticks_are_rounded() -> None:
    assert layout.to_ticks(0.5) == layout.TICKS_PER_SECOND // 2
    assert layout.to_ticks(1.6 / layout.TICKS_PER_SECOND) == 2
