"""waitressd.memory: what is kept, and when it is given back."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.memory import CROWD, QUIET_SECONDS, SHARE, MemoryKeeper

_PRELUDE = """
import os, platform, sys
from waitressd.memory import give_back_memory, keep_memory
if platform.libc_ver()[0] != "glibc":
    sys.exit(77)
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def faults():
    with open("/proc/self/stat") as file:
        return int(file.read().rpartition(")")[2].split()[7])
"""


def run(program: str, **environment: str) -> list[str]:
    """Run a program in a process of its own and return the words that it prints."""
    command = [sys.executable, "-c", _PRELUDE + program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 77 or sys.implementation.name != "cpython":
        pytest.skip("the allocator is not glibc's")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_it_is_given_back_once_for_a_crowd_that_has_left() -> None:
    keeper = MemoryKeeper(lambda: None)
    counts = [0, CROWD, CROWD // 2, CROWD // SHARE, 0, 3]
    assert [keeper.look(now, count, now) for now, count in enumerate(counts, 1)] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_crowd_that_stays_or_a_small_one_is_left_alone() -> None:
    keeper = MemoryKeeper(lambda: None)
    assert not any(keeper.look(1.0, count, 1.0) for count in [CROWD - 1, 0, CROWD - 1, 0])
    assert not any(keeper.look(1.0, count, 1.0) for count in [5 * CROWD, 2 * CROWD, 5 * CROWD])


def test_it_is_given_back_once_when_quiet_has_begun() -> None:
    keeper = MemoryKeeper(lambda: None)
    quiet = QUIET_SECONDS
    moments = [(5.0, 5.0), (5 + quiet / 2, 5.0), (5 + quiet, 5.0), (9.0, 5.0), (9.0, 8.9), (10.0, 8.9), (11.0, 8.9)]
    assert [keeper.look(now, 1, heard) for now, heard in moments] == [False, False, True, False, False, True, False]


def test_what_takes_long_is_not_done_again_soon() -> None:
    keeper = MemoryKeeper(lambda: time.sleep(0.01))
    assert keeper.look(10.0, 1, 9.0)
    assert not keeper.look(11.9, 1, 11.0)
    assert keeper.look(60.0, 1, 59.0)


@given(st.lists(st.integers(0, 3 * CROWD)))
def test_never_twice_without_a_crowd_in_between(counts: list[int]) -> None:
    keeper, most = MemoryKeeper(lambda: None), 0
    for now, count in enumerate(counts, 1):
        most = max(most, count)
        if keeper.look(now, count, now):
            assert most >= CROWD
            most = count


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_what_was_used_is_used_again_until_it_is_given_back() -> None:
    program = """
assert keep_memory()
def work():
    before = faults()
    for _ in range(20):
        pieces = [bytes([number]) * (1 << 20) for number in range(10)]
    return faults() - before
work()
again, kept = work(), resident()
give_back_memory()
print(again, kept, resident())
"""
    again, kept, left = map(int, run(program))
    assert again < 200  # of more than 50,000 pages
    assert left < kept - (5 << 20)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_an_operator_has_set_is_left_alone(name: str) -> None:
    assert run("print(keep_memory())", **{name: "1"}) == ["False"]
