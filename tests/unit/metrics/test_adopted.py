"""The row of a worker."""

import logging
import os
from collections.abc import Iterator

import pytest

from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.adopted import AdoptedRow, adopt_row, adopted_row, drop_row
from waitressd.metrics.area import Area, new_file
from waitressd.metrics.shown import Totals


@pytest.fixture
def fd() -> Iterator[int]:
    """A file for an area."""
    fd = new_file()
    yield fd
    row = adopted_row()
    if row is not None:
        row.area.close()
    drop_row()
    os.close(fd)


def test_without_a_fleet_there_is_no_row() -> None:
    assert adopted_row() is None


def test_the_row_is_the_one_that_the_master_has_given(fd: int) -> None:
    area = Area.create(fd, 4)
    assert area.claim(1) == 0
    adopt_row(fd, area.claim(2))
    row = adopted_row()
    assert row is not None
    numbers = row.take()
    assert numbers is not None
    numbers[0] = 5
    assert area.row(1)[0] == 5
    assert row.take() is None
    area.close()


def test_a_child_of_a_worker_has_no_row(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    area = Area.create(fd, 4)
    adopt_row(fd, area.claim(1))
    area.close()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert adopted_row() is None
    assert adopted_row() is not None


def test_gauges_are_read_as_they_were_written() -> None:
    area = Area.private()
    row = AdoptedRow(area, area.claim(7) or 0)
    row.write(Snapshot(3, 1, 2, 0.5, {**EMPTY.connections, "idle": 9, "lingering": 4}), 10.0)
    (gauges,) = area.gauges(12.5)[7]
    assert (gauges.busy_threads, gauges.idle_threads, gauges.queue_depth, gauges.oldest_wait_seconds) == (3, 1, 2, 0.5)
    assert gauges.connections == {**EMPTY.connections, "idle": 9, "lingering": 4}
    assert gauges.age_seconds == 2.5


def test_handshakes_are_counters_that_outlive_their_process() -> None:
    area = Area.private(2)
    for result, count in (("full", 3), ("evicted", 1)):
        index = area.claim(1)
        assert index is not None
        row = AdoptedRow(area, index)
        row.write(Snapshot(0, 0, 0, 0.0, EMPTY.connections, 2, {result: count, "unheard of": 9}), 1.0)
        row.write(Snapshot(0, 0, 0, 0.0, EMPTY.connections, 2, {result: count + 1}), 2.0)
        ((gauges,),) = area.gauges(3.0).values()
        assert gauges.open_handshakes == 2
        area.retire(index)
    ended = {result: count for result, count in Totals(area.totals()).handshakes.items() if count}
    assert ended == {"full": 4, "evicted": 2}


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
    numbers = row.take()
    assert numbers is not None
    numbers[0] = 5
    assert row.area.totals()[0] == 5
