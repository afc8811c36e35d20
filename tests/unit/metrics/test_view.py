"""What any process sees of a fleet."""

import os

from tests.support.samples import answered
from waitressd.metrics.area import Area, new_file
from waitressd.metrics.collector import Metrics
from waitressd.metrics.shown import FleetState
from waitressd.metrics.view import FleetView

STATE = FleetState({}, {}, {}, {}, 1)


def test_every_process_sees_the_same() -> None:
    fd = new_file()
    area = Area.create(fd, 4)
    seen = Area.attach(fd)
    view = FleetView(seen)
    os.close(fd)
    for place in (1, 2):
        metrics = Metrics()
        metrics.numbers = area.row(area.claim(place) or 0)
        metrics(answered())
    assert view.totals().requests == {("2xx", "complete"): 2}
    assert view.started == area.started > 1_700_000_000
    assert view.gauges() is None
    assert view.worker_gauges() == {}
    seen.close()
    area.close()


def test_the_master_alone_says_more() -> None:
    area = Area.private()
    assert FleetView(area).fleet_state() is None
    assert FleetView(area, lambda: STATE).fleet_state() is STATE
