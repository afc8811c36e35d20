"""The row of a worker."""

import logging
import os
from collections.abc import Iterator

import pytest

from tests.support.ledgers import Server, count, lane_with
from waitressd.memoryfile import new_file
from waitressd.metrics.adopted import WRITE_SECONDS, AdoptedRow, adopt_row, adopted_row, drop_row
from waitressd.metrics.area import Area
from waitressd.metrics.layout import COUNTERS
from waitressd.metrics.shown import Totals
from waitressd.net.ledger import Ledger


@pytest.fixture
def fd() -> Iterator[int]:
    """A file for an area."""
    fd = new_file("test")
    yield fd
    row = adopted_row()
    if row is not None:
        row.area.close()
    drop_row()
    os.close(fd)


@pytest.fixture
def ledger() -> Ledger:
    """Where requests are counted."""
    return Ledger()


@pytest.fixture
def server(ledger: Ledger) -> Iterator[Server]:
    """The server of the worker."""
    server = Server(lane_with(ledger, threads=4))
    yield server
    server.close()


def test_without_a_fleet_there_is_no_row() -> None:
    assert adopted_row() is None


def test_the_row_is_the_one_that_the_master_has_given(fd: int, server: Server, ledger: Ledger) -> None:
    area = Area.create(fd, 4)
    assert area.claim(1) == 0
    adopt_row(fd, area.claim(2))
    row = adopted_row()
    assert row is not None
    row.begin(server)
    count(ledger, times=5)
    row.end()
    assert set(area.row(0)) == {0}
    assert Totals(area.totals()).requests == {("2xx", "complete"): 5}
    area.close()


def test_a_child_of_a_worker_has_no_row(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    area = Area.create(fd, 4)
    adopt_row(fd, area.claim(1))
    area.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert adopted_row() is None
    assert adopted_row() is not None


def test_it_is_written_now_and_then_and_at_the_end(server: Server, ledger: Ledger) -> None:
    area = Area.private()
    row = AdoptedRow(area, area.claim(7) or 0)
    row.on_tick(100.0)
    assert area.gauges(100.0) == {}  # nobody serves yet
    row.begin(server)
    found = []
    for now in (101.0, 101.0 + WRITE_SECONDS / 2, 101.0 + WRITE_SECONDS):
        count(ledger)
        row.on_tick(now)
        found.append(Totals(area.totals()).requests["2xx", "complete"])
    assert found == [1, 1, 3]
    ((_, age_seconds),) = area.gauges(103.0)[7]
    assert age_seconds == 2.0 - WRITE_SECONDS
    count(ledger)
    row.end()
    row.end()
    row.on_tick(1e9)
    assert Totals(area.totals()).requests["2xx", "complete"] == 4


def test_it_is_written_when_somebody_looks_and_a_fault_there_is_logged(
    server: Server, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    area = Area.private()
    row = AdoptedRow(area, area.claim(7) or 0)
    row.refresh()
    row.begin(server)
    count(ledger)
    row.refresh()
    assert Totals(area.totals()).requests["2xx", "complete"] == 1
    server.figures = {"no": "figure"}
    with caplog.at_level(logging.CRITICAL):
        row.refresh()
    assert caplog.messages == ["writing the counters failed; please report this"]


def test_what_is_counted_elsewhere_outlives_its_process(server: Server) -> None:
    area = Area.private(2)
    for number in (1, 2):
        index = area.claim(1)
        assert index is not None
        row = AdoptedRow(area, index)
        row.findings = lambda: {"WD03"}
        row.begin(server)
        server.figures = {"certificate_ends": {"a": float(number)}, "reloads": {"renewed": number}}
        row.end()
        ((figures, _),) = area.gauges(3.0)[1]
        assert figures.certificate_ends == {"a": float(number)}
        assert figures.findings == frozenset({"WD03"})
        area.retire(index)
    assert Totals(area.totals()).reloads == {"renewed": 3, "refused": 0}
    assert area.gauges(3.0) == {}


@pytest.mark.parametrize("trouble", ["no row", "another layout", "an empty file"])
def test_without_a_row_it_can_use_a_worker_counts_for_itself(
    fd: int, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    index: int | None = 0
    if trouble == "no row":
        Area.create(fd, 1).close()
        index = None
    elif trouble == "another layout":
        os.write(fd, bytes(100_000))
    with caplog.at_level(logging.ERROR, "waitressd"):
        adopt_row(fd, index)
    assert "The metrics do not show what this worker counts" in caplog.text
    row = adopted_row()
    assert row is not None
    row.area.row(0)[COUNTERS] = 5
    assert row.area.totals()[0] == 5
