"""Sums over the rows of processes that come and go: they never fall, whenever somebody looks."""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitressd.memoryfile import new_file
from waitressd.metrics import area as area_module
from waitressd.metrics import gauges as gauges_module
from waitressd.metrics import layout
from waitressd.metrics.area import Area
from waitressd.metrics.gauges import gauges_age, read_gauges, write_certificates
from waitressd.metrics.layout import COUNTERS

Result = TypeVar("Result")

SERIES = 1
traces = pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.11 may turn for ever while it traces")

FIRST, LAST = 0, Area.private(series=SERIES).slots * layout.SLOT + layout.SLOTS - COUNTERS - 1
"""Two counters far apart: what is done to all of them one by one is done to these at different times."""


def claimed(area: Area, place: int = 1) -> int:
    index = area.claim(place)
    assert index is not None
    return index


def count(area: Area, index: int, number: int = 1) -> None:
    for counter in (FIRST, LAST):
        area.row(index)[COUNTERS + counter] += number


def sums(area: Area) -> tuple[int, int]:
    totals = area.totals()
    return totals[FIRST], totals[LAST]


@pytest.fixture
def shared() -> Iterator[tuple[Area, Area]]:
    """An area as its maker and another process see it."""
    fd = new_file("test")
    maker, other = Area.create(fd, 4, SERIES), Area.attach(fd)
    os.close(fd)
    yield maker, other
    maker.close()
    other.close()
    maker.close()


def test_what_one_process_counts_all_see(shared: tuple[Area, Area]) -> None:
    maker, other = shared
    index = claimed(maker)
    count(other, index, 5)
    assert sums(maker) == sums(other) == (5, 5)
    assert maker.started == other.started


def test_what_was_counted_outlives_its_process(shared: tuple[Area, Area]) -> None:
    maker, other = shared
    for _ in range(10):  # more than there are rows
        index = claimed(maker)
        count(other, index, 3)
        maker.retire(index)
        maker.retire(index)
    assert sums(maker) == sums(other) == (30, 30)


def test_a_row_is_empty_when_it_is_used_again() -> None:
    area = Area.private(2, SERIES)
    index = claimed(area)
    area.row(index)[layout.GAUGES_AT] = 1
    count(area, index)
    area.retire(index)
    assert area.gauges(0.0) == {}
    assert claimed(area, 2) == index
    assert set(area.row(index)) == {0}
    assert area.gauges(0.0) == {}


def test_there_are_so_many_rows_and_no_more() -> None:
    area = Area.private(2, SERIES)
    assert [area.claim(place) for place in (1, 2, 3)] == [0, 1, None]
    area.retire(0)
    assert area.claim(3) == 0


def test_two_processes_may_share_a_place() -> None:
    area = Area.private(3, SERIES)
    for place in (2, 1, 2):
        area.row(claimed(area, place))[layout.GAUGES_AT] = 1
    assert {place: len(gauges) for place, gauges in area.gauges(0.0).items()} == {1: 1, 2: 2}


def test_memory_is_taken_for_the_rows_that_are_used() -> None:
    fd = new_file("test")
    area = Area.create(fd)
    for place in range(1, 5):
        claimed(area, place)
    area.retire(0)
    area.totals()
    try:
        assert os.fstat(fd).st_blocks * 512 < 800_000
    finally:
        area.close()
        os.close(fd)


def test_without_memory_files_a_file_without_a_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    fd = new_file("test")
    area = Area.create(fd, 2, SERIES)
    try:
        assert os.fstat(fd).st_nlink == 0
        count(area, claimed(area))
        assert sums(area) == (1, 1)
    finally:
        area.close()
        os.close(fd)


def ends_in(area: Area, index: int) -> dict[str, float]:
    area.row(index)[layout.GAUGES_AT] = 1
    assert gauges_age(area.row(index), 0.0) is not None
    return dict(read_gauges(area.row(index)).certificate_ends)


def test_certificates_that_expire_first_are_kept_where_there_is_no_room_for_all() -> None:
    area = Area.private()
    index = claimed(area)
    ends = {f"{number}.{'x' * 100}.example": 1e9 + number for number in range(30)}
    write_certificates(area.row(index), dict(reversed(ends.items())))
    found = ends_in(area, index)
    assert 10 < len(found) < 30
    assert list(found.items()) == list(ends.items())[: len(found)]
    write_certificates(area.row(index), {"ä": 1.0})
    assert ends_in(area, index) == {"ä": 1.0}


@traces
def test_who_looks_while_certificates_are_written_sees_all_of_them_or_none() -> None:
    area = Area.private()
    index = claimed(area)
    before, after = {"a.example": 1.0}, {"b.example": 2.0, "c.example": 3.0}
    write_certificates(area.row(index), before)
    found: list[dict[str, float]] = []
    interrupted(partial(write_certificates, area.row(index), after), lambda: found.append(ends_in(area, index)))
    assert all(each in (before, {}, after) for each in found)
    assert before in found
    assert ends_in(area, index) == after


# -- whenever somebody looks


def interrupted(act: Callable[[], Result], interrupt: Callable[[], None]) -> Result:
    """Do something, and something else before each line of the module that it comes to."""

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in {area_module.__file__, gauges_module.__file__}:
            return None
        if event == "line":
            interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return act()
    finally:
        sys.settrace(before)


@traces
def test_who_looks_while_a_row_is_retired_sees_all_of_it(shared: tuple[Area, Area]) -> None:
    maker, other = shared
    index, neighbour = claimed(maker), claimed(maker, 2)
    count(maker, neighbour, 100)
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        assert sums(other) == (107, 107)

    for _ in range(2):  # each of the two rows for sums
        count(maker, index, 7)
        interrupted(partial(maker.retire, index), look)
        count(maker, neighbour, -7)
        index = claimed(maker)
    assert looks > 20


@traces
def test_who_is_slow_to_look_sees_no_less_than_before(shared: tuple[Area, Area]) -> None:
    maker, other = shared
    rows = [claimed(maker), claimed(maker, 2)]
    turns, counted = 0, 0

    def replace() -> None:
        """Count in one process, and have another one in its place."""
        nonlocal turns, counted
        turns += 1
        if turns > 6:
            return
        index = rows.pop(0)
        count(maker, index)
        counted += 1
        maker.retire(index)
        rows.append(claimed(maker))

    for _ in range(10):
        turns, before = 0, counted
        seen = interrupted(partial(sums, other), replace)
        assert before <= min(seen)
        assert max(seen) <= counted
    assert sums(other) == (counted, counted)


class Cut(Exception):  # noqa: N818 - what ends a master in the middle
    """The end of it."""


@traces
@pytest.mark.parametrize("lines", range(1, 30))
def test_a_master_that_is_cut_off_while_it_retires_goes_on_later(lines: int) -> None:
    area = Area.private(3, SERIES)
    first, second = claimed(area), claimed(area, 2)
    count(area, first, 7)
    count(area, second, 20)
    left = lines

    def cut() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Cut

    try:
        interrupted(lambda: area.retire(first), cut)
    except Cut:
        assert sums(area) == (27, 27)
    area.retire(second)
    assert sums(area) == (27, 27)
    area.retire(first)
    assert sums(area) == (27, 27)
    assert sorted([claimed(area), claimed(area), claimed(area)]) == [0, 1, 2]
    assert sums(area) == (27, 27)


@settings(deadline=None)  # on a busy machine
@given(st.lists(st.tuples(st.sampled_from(["count", "begin", "end", "look"]), st.integers(0, 3)), max_size=40))
def test_counters_never_fall(steps: list[tuple[str, int]]) -> None:
    area = Area.private(4, SERIES)
    alive: list[int] = []
    counted, seen = 0, (0, 0)
    for step, number in steps:
        if step == "begin":
            index = area.claim(number + 1)
            assert (index is None) == (len(alive) == 4)
            if index is not None:
                assert index not in alive
                alive.append(index)
        elif not alive:
            continue
        elif step == "count":
            count(area, alive[number % len(alive)])
            counted += 1
        elif step == "end":
            area.retire(alive.pop(number % len(alive)))
        now = sums(area)
        assert now >= seen
        assert now == (counted, counted)
        seen = now
