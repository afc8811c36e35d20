"""What ends with the master, and the program that sees to it."""

import os
import subprocess
import sys
from typing import Final

import pytest

from tests.support.scripts import lines_of
from waitressd.fleet import watched
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(
    not (can_adopt() and hasattr(os, "pidfd_open")), reason="needs descriptors of processes, which PyPy has not"
)

START: Final = """
import os, signal, socket, subprocess, sys, time
from waitressd.fleet import processes, watched
from waitressd.fleet.watched import ORPHAN_SECONDS, Watched

def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def sleeper(seconds=600):
    return processes.fork(lambda: time.sleep(seconds))
def descriptors():
    return set(os.listdir("/proc/self/fd"))
"""


def test_what_is_watched_is_killed_after_a_while_and_what_ends_before_is_left() -> None:
    lines = lines_of(
        START
        + """
watched = Watched()
before = descriptors()
ending, staying = sleeper(0.1), sleeper()
for pid in (ending, staying):
    watched.add(processes.watch_process(pid))
began = time.monotonic()
watched.end()
print(time.monotonic() - began >= ORPHAN_SECONDS)
print(end_of(ending), end_of(staying))
watched.end()  # it has ended: nobody is hit
watched.close()
watched.close()
print(descriptors() == before)
"""
    )
    assert lines == ["True", "70 -9", "True"]


def test_it_waits_no_longer_than_they_live() -> None:
    lines = lines_of(
        START
        + """
watched.ORPHAN_SECONDS = 600.0
group = Watched()
group.end()
group.add(processes.watch_process(sleeper(0.1)))
group.end()
print("ended")
"""
    )
    assert lines == ["ended"]


def test_those_that_have_ended_are_forgotten() -> None:
    lines = lines_of(
        START
        + """
group = Watched()
counts = set()
for _ in range(5):
    pid = sleeper(0)
    group.add(processes.watch_process(pid))
    end_of(pid)
    counts.add(len(descriptors()))
print(len(counts))
"""
    )
    assert lines == ["1"]


def test_the_program_ends_what_it_was_given_with_the_end_of_its_link() -> None:
    """Also a process that is stopped, and hears no other signal."""
    lines = lines_of(
        START
        + """
pids = [sleeper(), sleeper()]
os.kill(pids[1], signal.SIGSTOP)
ours, theirs = socket.socketpair()
guard = processes.spawn_program(processes.Path(watched.__file__), theirs.fileno())
theirs.close()
for pid in pids:
    socket.send_fds(ours, [b"any word\\n"], [processes.watch_process(pid)])
ours.close()
print([end_of(pid) for pid in pids], end_of(guard))
"""
    )
    assert lines == ["[-9, -9] 0"]


def test_the_program_needs_nothing_of_the_package() -> None:
    """It is as small as that."""
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({watched.__file__!r})\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('waitressd', 'logging', 'json')))"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
