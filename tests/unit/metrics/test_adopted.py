"""The row of a worker."""

import logging
import os
from collections.abc import Iterator

import pytest

from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.adopted import AdoptedRow, adopt_row, adopted_row, drop_row
from waitressd.metrics.area import Area, new_file


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


def test_gauges_are_read_as_they_were_written() -> None:
    area = Area.private()
    row = AdoptedRow(area, area.claim(7) or 0)
    row.write(Snapshot(3, 1, 2, 0.5, {**EMPTY.connections, "idle": 9, "lingering": 4}), 10.0)
    (gauges,) = area.gauges(12.5)[7]
    assert (gauges.busy_threads, gauges.idle_threads, gauges.queue_depth, gauges.oldest_wait_seconds) == (3, 1, 2, 0.5)
    assert gauges.connections == {**EMPTY.connections, "idle": 9, "lingering": 4}
    assert gauges.age_seconds == 2.5


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
