"""waitressd.memory: when memory is given back."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.memory import CROWD, SHARE, MemoryKeeper


def test_it_is_given_back_once_for_a_crowd_that_has_left() -> None:
    keeper = MemoryKeeper()
    counts = [0, CROWD, CROWD // 2, CROWD // SHARE, 0, 3]
    assert [keeper.look(count) for count in counts] == [False, False, False, True, False, False]


def test_a_crowd_that_stays_or_a_small_one_is_left_alone() -> None:
    keeper = MemoryKeeper()
    assert not any(keeper.look(count) for count in [CROWD - 1, 0, CROWD - 1, 0])
    assert not any(keeper.look(count) for count in [5 * CROWD, 2 * CROWD, 5 * CROWD])


@given(st.lists(st.integers(0, 3 * CROWD)))
def test_never_twice_without_a_crowd_in_between(counts: list[int]) -> None:
    keeper, most = MemoryKeeper(), 0
    for count in counts:
        most = max(most, count)
        if keeper.look(count):
            assert most >= CROWD
            most = count


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_pages_go_back_to_the_system() -> None:
    program = """
import os
from waitressd.memory import give_back_memory
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
give_back_memory()
kept = []
for number in range(3000):
    kept.append(bytes(50_000)); kept.append(bytes(600))  # every other one stays, so that no block is at the end
large = resident()
kept = kept[1::2]
before = resident()
give_back_memory()
print(large - resident(), before - resident())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    gone, trimmed = map(int, done.stdout.split())
    assert gone > 50_000 * 3000 / 2, (gone, trimmed)
