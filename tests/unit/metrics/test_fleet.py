"""The master's side of the metrics."""

import os
from collections.abc import Iterator

import pytest

from tests.support.ledgers import Server, count, lane_with
from waitressd.metrics.adopted import AdoptedRow
from waitressd.metrics.area import Area
from waitressd.metrics.fleet import FleetMetrics
from waitressd.metrics.pauses import finish
from waitressd.metrics.shown import FleetState
from waitressd.net.ledger import Ledger

STATE = FleetState({"serving": 1}, {}, {1: 2.0}, {}, 3)


@pytest.fixture
def metrics() -> Iterator[FleetMetrics]:
    """Metrics of a fleet of at most three."""
    metrics = FleetMetrics(lambda: STATE, rows=3)
    yield metrics
    metrics.close()


def test_what_workers_count_is_shown_also_after_their_end(metrics: FleetMetrics) -> None:
    area = Area.attach(metrics.fd)
    for place in (1, 2, 1, 2):
        row = metrics.claim(place)
        assert row is not None
        ledger = Ledger()
        server, worker = Server(lane_with(ledger)), AdoptedRow(area, row)
        worker.begin(server)
        count(ledger)
        worker.end()
        server.close()
        metrics.retire(row)
    area.close()
    picture = finish(metrics.view.look())
    assert picture.totals.requests == {("2xx", "complete"): 4}
    assert picture.fleet == STATE


def test_there_may_be_more_workers_than_rows(metrics: FleetMetrics) -> None:
    assert [metrics.claim(1) for _ in range(4)] == [0, 1, 2, None]


def test_nothing_is_left_when_they_are_closed() -> None:
    metrics = FleetMetrics(lambda: STATE)
    metrics.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(metrics.fd)
