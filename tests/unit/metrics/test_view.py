"""What any process sees of a fleet."""

import os
import time
from collections.abc import Collection

from tests.support.ledgers import Server, count, lane_with
from waitressd.memoryfile import new_file
from waitressd.metrics.adopted import AdoptedRow
from waitressd.metrics.area import Area
from waitressd.metrics.pauses import finish
from waitressd.metrics.shown import FleetState
from waitressd.metrics.view import SILENT_SECONDS, FleetView
from waitressd.net.ledger import Ledger

STATE = FleetState({}, {}, {}, {}, 1)


def test_every_process_sees_the_same() -> None:
    fd = new_file("test")
    area = Area.create(fd, 4)
    seen = Area.attach(fd)
    view = FleetView(seen)
    os.close(fd)
    for place in (1, 2):
        ledger = Ledger()
        server, row = Server(lane_with(ledger)), AdoptedRow(area, area.claim(place) or 0)
        count(ledger, times=place)
        row.begin(server)
        row.end()
        server.close()
    picture = finish(view.look())
    assert picture.totals.requests == {("2xx", "complete"): 3}
    assert picture.totals.keys == {("/", "GET", 200, "http"): 0}
    assert picture.totals.series(0).count == 3
    assert picture.started == area.started > 1_700_000_000
    assert picture.figures is None
    assert [place for place, _ in picture.processes] == [1, 2]
    assert picture.workers[1].threads_limit == 4
    assert set(picture.ages) == {1, 2}
    seen.close()
    area.close()


def test_the_master_alone_says_more() -> None:
    area = Area.private()
    picture = finish(FleetView(area).look())
    assert (picture.fleet, picture.not_ready) == (None, None)
    view = FleetView(area, lambda: STATE)
    view.not_ready = lambda: "no_worker"
    picture = finish(view.look())
    assert (picture.fleet, picture.not_ready) == (STATE, "no_worker")


def test_workers_are_asked_to_write_first_but_for_the_fresh_and_the_silent() -> None:
    area = Area.private(4)
    ledger = Ledger()
    server = Server(lane_with(ledger))
    rows = {place: AdoptedRow(area, area.claim(place) or 0) for place in (1, 2, 3, 4)}
    now = time.monotonic()
    for place, age in ((1, 1.0), (2, 1.5), (3, SILENT_SECONDS + 1), (4, -1.0)):
        rows[place].begin(server)
        rows[place].on_tick(now - age)
    view, asked = FleetView(area), set[int]()
    count(ledger, times=7)
    assert finish(view.look()).totals.requests == {}, "nobody can ask"

    def refresh(late: Collection[int]) -> None:
        asked.update(late)
        rows[1].refresh()  # and the second one does not answer

    view.refresh = refresh
    assert finish(view.look()).totals.requests == {("2xx", "complete"): 7}
    assert asked == {0, 1}
    server.close()
