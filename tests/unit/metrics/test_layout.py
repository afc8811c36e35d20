"""Where which number of a row is."""

from waitressd.dispatch.snapshot import PHASES as STATES_OF_CONNECTIONS
from waitressd.metrics import layout
from waitressd.metrics.histogram import BUCKETS
from waitressd.net.handshake import RESULTS
from waitressd.net.recorder import Fault


def test_each_number_has_one_meaning() -> None:
    used = [layout.BODY_BYTES_RECEIVED, layout.BODY_BYTES_SENT]
    used += range(layout.REQUESTS, layout.REQUESTS + len(layout.STATUSES) * len(layout.ENDINGS))
    for firsts in layout.HISTOGRAMS:
        for first in firsts:
            used += range(first, first + BUCKETS + 1)
    used += range(layout.HANDSHAKES_ENDED, layout.HANDSHAKES_ENDED + len(layout.HANDSHAKES))
    used += range(layout.CERTIFICATES_CHANGED, layout.CERTIFICATES_CHANGED + len(layout.RENEWALS))
    assert used == list(range(layout.COUNTERS))
    gauges = [layout.GAUGES_AT, layout.BUSY_THREADS, layout.IDLE_THREADS, layout.QUEUE_DEPTH, layout.OLDEST_WAIT]
    gauges.append(layout.OPEN_HANDSHAKES)
    gauges += range(layout.CONNECTIONS, layout.CONNECTIONS + len(layout.STATES))
    gauges += range(layout.CERTIFICATES, layout.CERTIFICATES + 1 + layout.CERTIFICATES_BYTES // layout.NUMBER_BYTES)
    assert gauges == list(range(layout.COUNTERS, layout.NUMBERS))


def test_a_row_is_small() -> None:
    assert layout.NUMBERS <= 3000


def test_whatever_the_server_says_has_a_place() -> None:
    assert layout.HANDSHAKES == RESULTS
    assert layout.STATES == STATES_OF_CONNECTIONS
    assert set(layout.ENDINGS) == {"", "refused", *(fault.value for fault in Fault)}
    assert list(layout.ENDINGS.values()) == list(range(len(layout.ENDED_BY)))


def test_numbers_are_those_of_the_memory() -> None:
    memory = bytearray(64)
    layout.numbers_in(memory, 2, 3)[1] = -5
    assert list(layout.numbers_in(memory, 0, 8)) == [0, 0, 0, -5, 0, 0, 0, 0]


def test_ticks_are_rounded() -> None:
    assert layout.to_ticks(0.5) == layout.TICKS_PER_SECOND // 2
    assert layout.to_ticks(1.6 / layout.TICKS_PER_SECOND) == 2
