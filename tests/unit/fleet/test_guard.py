"""The guard of a fleet whose workers run the command."""

from typing import Final

import pytest

from tests.support.scripts import lines_of, run_script
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not can_adopt(), reason="needs descriptors of processes")

START: Final = """
import os, select, signal, sys, time
from waitressd.fleet import processes
from waitressd.fleet.guard import Guard

def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def sleeper():
    return processes.fork(lambda: time.sleep(600))
def ends(pid, seconds):
    poller = select.poll()
    poller.register(os.pidfd_open(pid), select.POLLIN)
    return bool(poller.poll(seconds * 1000))
def until_it_runs(guard):
    while open(f"/proc/{guard.pid}/comm").read() != "waitressd-guard\\n": time.sleep(0.01)
def descriptors(pid):
    return set(os.listdir(f"/proc/{pid}/fd"))
processes.adopt_orphans()
"""


def test_it_ends_what_is_left_when_the_master_is_gone() -> None:
    lines = lines_of(
        START
        + """
def master():
    guard = Guard()
    for pid in pids:
        guard.watch(pid)
    os.write(writing, b"%d" % guard.pid)
    os.kill(os.getpid(), signal.SIGKILL)
reading, writing = os.pipe()
pids = [sleeper(), sleeper()]
print(end_of(processes.fork(master)))
guard = int(os.read(reading, 10))
print([end_of(pid) for pid in pids], end_of(guard))
"""
    )
    assert lines == ["-9", "[-9, -9] 0"]


def test_it_has_nothing_of_the_masters_and_leaves_nothing_to_it() -> None:
    lines = lines_of(
        START
        + """
import socket
before = descriptors(os.getpid())
listener = socket.create_server(("127.0.0.1", 0))
guard = Guard()
guard.watch(os.getpid())
until_it_runs(guard)
print(len(descriptors(guard.pid)) <= 5)  # the standard streams, its link, and this process
listener.close()
pid = guard.pid
guard.close()
guard.close()
print(descriptors(os.getpid()) == before, os.path.exists(f"/proc/{pid}"))
"""
    )
    assert lines == ["True", "True False"]


def test_it_hears_no_signal_from_its_first_moment_on() -> None:
    """What ends a fleet, reloads it or has it open its logs anew goes to the whole group."""
    lines = lines_of(
        START
        + """
os.setpgid(0, 0)
numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT]
for number in numbers:
    signal.signal(number, lambda *_: None)
for number in numbers:
    guard = Guard()
    guard.watch(os.getpid())
    os.killpg(0, number)
    until_it_runs(guard)
    for again in numbers:
        os.kill(guard.pid, again)
    print(ends(guard.pid, 0.05), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    guard.close()
"""
    )
    assert lines == ["False set()"] * 6


def test_one_that_dies_is_named_and_has_no_successor() -> None:
    ended = run_script(
        START
        + """
guard = Guard()
one = sleeper()
guard.watch(one)
pid = guard.pid
guard.on_death(processes.Death(one, 0))  # another's
os.kill(pid, signal.SIGKILL)
guard.on_death(processes.Death(pid, end_of(pid)))
guard.on_death(processes.Death(0, 0))
guard.watch(one)
print(pid > 0, guard.pid)
guard.close()
processes.end_child(one)
"""
    )
    assert ended.stdout == "True 0\n", ended.stderr
    assert ended.stderr.count("died: signal 9 (SIGKILL); if the master is killed, a worker") == 1, ended.stderr


@pytest.mark.parametrize(
    ("broken", "said"), [("os.pidfd_open = fail", ""), ("sys.executable = '/no/such'", "there is no guard: ")]
)
def test_where_it_cannot_be_had_there_is_none(broken: str, said: str) -> None:
    ended = run_script(
        START
        + f"""
def fail(*_):
    raise OSError(38, "not here")
before = descriptors(os.getpid())
{broken}
guard = Guard()
for _ in range(2):
    guard.watch(os.getpid())
print(guard.pid, descriptors(os.getpid()) == before)
guard.close()
"""
    )
    assert ended.stdout == "0 True\n", ended.stderr
    assert ended.stderr.count("guard") == bool(said), ended.stderr
    assert said in ended.stderr
