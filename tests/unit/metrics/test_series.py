"""Which slot belongs to which series, in all processes that share a memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.servers import ROOT
from waitressd.memoryfile import new_file
from waitressd.metrics import series
from waitressd.metrics.area import Area
from waitressd.net.ledger import OTHER_METHOD, OTHER_ROWS, Key


def key_of(route: str = "/", method: str = "GET", status: int = 200) -> Key:
    return route, method, status, "http"


@pytest.fixture
def shared() -> Iterator[tuple[Area, Area]]:
    """An area as two processes see it."""
    fd = new_file("test")
    maker, other = Area.create(fd, 2, 5), Area.attach(fd)
    os.close(fd)
    yield maker, other
    maker.close()
    other.close()


def test_all_agree_on_the_slots(shared: tuple[Area, Area]) -> None:
    one, other = (area.series for area in shared)
    assert one.slot(key_of("/a")) == 0
    assert other.slot(key_of("/b")) == 1
    assert one.slot(key_of("/b")) == 1
    assert other.slot(key_of("/a")) == 0
    assert one.keys() == other.keys() == [key_of("/a"), key_of("/b")]


def test_those_that_do_not_fit_share_a_slot(shared: tuple[Area, Area]) -> None:
    one, other = (area.series for area in shared)
    slots = [(one, other)[number % 2].slot(key_of(f"/{number}")) for number in range(9)]
    assert slots == [0, 1, 2, 3, 4, 5, 5, 5, 5]
    assert one.keys()[5] == key_of("other")


def test_there_is_an_end_to_those_without_a_route() -> None:
    area = Area.private(series=1)
    slots = [area.series.slot(key_of(f"/{status}", status=status)) for status in range(200, 600)]
    keys = area.series.keys()
    assert max(slot for slot in slots if slot is not None) < area.slots
    assert len(keys) <= 1 + OTHER_ROWS + series.LAST_RESORT
    assert keys[slots[-1] or 0] == ("other", OTHER_METHOD, 500, "http")


def test_routes_that_fill_the_memory_with_their_names() -> None:
    area = Area.private(series=300)
    names = [chr(0x10000 + number) * 200 for number in range(300)]
    slots = [area.series.slot(key_of(name)) for name in names]
    keys = area.series.keys()
    assert keys[slots[-1] or 0] == key_of("other")
    assert 50 < len(keys) < 300
    assert area.series.slot(key_of(names[0])) == 0


HANG: Final = """
import sys
from waitressd.metrics.area import Area
with Area.attach(int(sys.argv[1])).series._locked() as is_mine:
    print(is_mine, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no worker processes here")
def test_nobody_waits_for_a_process_that_hangs_while_it_adds() -> None:
    fd = new_file("test")
    area = Area.create(fd, 2)
    command = [sys.executable, "-c", HANG, str(fd)]
    try:
        area.series.slot(key_of("/known"))
        with subprocess.Popen(
            command, pass_fds=[fd], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            assert area.series.slot(key_of("/known")) == 0
            assert area.series.slot(key_of("/new")) is None
            process.kill()
        assert area.series.slot(key_of("/new")) == 1
    finally:
        area.close()
        os.close(fd)


def test_what_was_cut_off_is_written_over(shared: tuple[Area, Area]) -> None:
    one, other = (area.series for area in shared)
    one._text[:20] = b'["/half of a name",\n'  # the number of bytes was not raised any more
    assert other.keys() == []
    assert other.slot(key_of("/a")) == 0
    assert one.keys() == [key_of("/a")]
