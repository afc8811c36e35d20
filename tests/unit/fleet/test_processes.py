"""Births, deaths and signals. What forks does so in a process of its own, which has one thread."""

import mmap
import os
import signal
from pathlib import Path

import pytest

from tests.support.scripts import lines_of, run_script
from waitressd.fleet.processes import (
    Death,
    can_adopt,
    can_measure_memory,
    is_stopped,
    oom_kills,
    private_memory,
)

START = """
import os, signal, time
from waitressd import forks
from waitressd.fleet import processes

def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def descriptors():
    return sorted(os.listdir("/proc/self/fd"), key=int)[:-1]
"""

linux = pytest.mark.skipif(not can_adopt(), reason="needs a parent of orphans")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-9, "signal 9 (SIGKILL)"),
        (-11, "signal 11 (SIGSEGV)"),
        (-signal.SIGTERM, "signal 15 (SIGTERM)"),
        (-63, "signal 63"),
    ],
)
def test_a_death_in_words(status: int, words: str) -> None:
    assert str(Death(7, status)) == words


def test_every_child_that_has_ended_is_reaped_once() -> None:
    lines = lines_of(
        START
        + """
assert list(processes.reap()) == []  # no child at all
reading, writing = os.pipe()
def wait():
    os.close(writing)
    os.read(reading, 1)
    os._exit(0)
alive = processes.fork(wait)
pids = [processes.fork(lambda: os._exit(3)), processes.fork(lambda: os.kill(os.getpid(), 9))]
for pid in pids:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
found = {death.pid: str(death) for death in processes.reap()}
print(*[found[pid] for pid in pids], len(found), sep=", ")
print(list(processes.reap()))
processes.kill(alive)
print(end_of(alive))
"""
    )
    assert lines == ["exit status 3, signal 9 (SIGKILL), 2", "[]", "-9"]


def test_a_child_never_comes_back_to_the_frames_of_its_parent() -> None:
    ended = run_script(
        START
        + """
statuses = []
for child in (lambda: None, lambda: 1 / 0, lambda: sys.exit(0)):
    statuses.append(end_of(processes.fork(child)))
print(statuses)
"""
    )
    assert ended.stdout == "[70, 70, 70]\n"
    assert "ZeroDivisionError" in ended.stderr  # and what has failed is said


def test_what_was_written_before_a_fork_is_written_once() -> None:
    assert lines_of(
        START + "sys.stdout.write('once\\n')\nprint(end_of(processes.fork(lambda: (sys.stdout.flush(), os._exit(0)))))"
    ) == [
        "once",
        "0",
    ]


def test_a_child_decides_itself_what_signals_do() -> None:
    """It has the handlers of the application, which it forgets with an exec alone; they wait until it has decided."""
    lines = lines_of(
        START
        + """
import random, socket
for number in (signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
ours, theirs = socket.socketpair()
theirs.setblocking(False)
signal.set_wakeup_fd(theirs.fileno())
random.seed(7)
told, telling = os.pipe()
def child():
    os.read(told, 1)
    print(*[callable(signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)])
    waiting = {signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT}  # for what the child decides about them
    print(waiting <= signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.set_wakeup_fd(-1))
    processes.hear_signals()
    print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    print(random.random())
    sys.stdout.flush()
    os._exit(0)
processes.fork(child)
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGHUP}, flush=True)
os.write(telling, b"go")
try:
    os.wait()  # SIGCHLD is ignored: until there is no child
except ChildProcessError:
    pass
random.seed(7)
print(random.random())
"""
    )
    numbers = [line for line in lines if line.startswith("0.")]
    assert [line for line in lines if line not in numbers] == ["True", "True True False", "True -1", "set()"]
    assert numbers[0] != numbers[1]  # of two children with one sequence, both would guess the same


@linux
def test_a_grandchild_becomes_a_child_of_the_master() -> None:
    lines = lines_of(
        START
        + """
assert processes.adopt_orphans()
reading, writing = os.pipe()
def born():
    os.write(writing, b"%d %d" % (os.getpid(), len(descriptors())))
    os._exit(5)
def template():
    before = descriptors()
    pid = processes.fork_for_master(born)
    assert descriptors() == before
    try:
        os.wait()
    except ChildProcessError:  # the process in between is no zombie
        os.write(writing, b" told %d %d\\n" % (pid, len(before)))
    os._exit(0)
one = processes.fork(template)
assert end_of(one) == 0
os.close(writing)
words = open(reading).read().split()
told = int(words[words.index("told") + 1])
own = int(words[0]) if words[0] != "told" else int(words[3])
assert told == own
print(end_of(told))  # ours, though another has forked it
""",
    )
    assert lines == ["5"]


@linux
@pytest.mark.parametrize("who", ["between", "grandchild"])
def test_a_fork_that_fails_is_an_error_and_leaves_nothing(who: str) -> None:
    """In the process itself, or in the one in between, whose failure is learned from its silence."""
    lines = lines_of(
        START
        + """
real = os.fork
parent = os.getpid()
def fork():
    if (sys.argv[1] == "between") == (os.getpid() == parent):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real()
os.fork = fork
before = descriptors()
try:
    processes.fork_for_master(lambda: os._exit(0))
except OSError as error:
    print("an error,", "nothing is open" if descriptors() == before else descriptors())
try:
    os.wait()
except ChildProcessError:
    print("no child")
""",
        who,
    )
    assert lines == ["an error, nothing is open", "no child"]


@linux
def test_a_process_may_end_with_its_parent_or_outlive_it() -> None:
    lines = lines_of(
        START
        + """
processes.adopt_orphans()
go, come = os.pipe()
def parent(outlives):
    reading, writing = os.pipe()
    def child():
        processes.end_with_parent()
        if outlives:
            processes.outlive_parent()
        os.write(writing, b".")
        os.close(come)
        os.read(go, 1)  # until the end of the test, unless it is killed before
        os._exit(4)
    processes.fork(child)
    os.read(reading, 1)
    os._exit(0)
end_of(processes.fork(lambda: parent(False)))
print(os.waitstatus_to_exitcode(os.wait()[1]))
end_of(processes.fork(lambda: parent(True)))
os.close(come)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    )
    assert lines == ["-9", "4"]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no descriptors of processes")
def test_a_watched_process_is_never_another_of_its_number() -> None:
    lines = lines_of(
        START
        + """
import select
pid = processes.fork(lambda: time.sleep(60))
watched = processes.watch_process(pid)
print(select.select([watched], [], [], 0)[0])
processes.kill(pid)
print(end_of(pid), select.select([watched], [], [], 0)[0] == [watched])
print(processes.watch_process(pid))
"""
    )
    assert lines == ["[]", "-9 True", "None"]


def test_stacks_are_shown_on_request_also_by_a_child() -> None:
    ended = run_script(
        START
        + """
processes.show_stacks_on_request()
def here_in_the_child():
    processes.show_stacks_on_request()
    os.kill(os.getpid(), signal.SIGQUIT)
    os._exit(0)
print(end_of(processes.fork(here_in_the_child)))
"""
    )
    assert ended.stdout == "0\n"
    assert "here_in_the_child" in ended.stderr


def test_stacks_are_shown_also_where_a_shell_has_the_signal_ignored() -> None:
    ended = run_script(
        START
        + """
signal.signal(signal.SIGQUIT, signal.SIG_IGN)
processes.show_stacks_on_request()
os.kill(os.getpid(), signal.SIGQUIT)
"""
    )
    assert "most recent call first" in ended.stderr


def test_stacks_go_where_they_are_wanted() -> None:
    ended = run_script(
        START
        + """
processes.show_stacks_on_request()
processes.show_stacks_on_request(1)
os.kill(os.getpid(), signal.SIGQUIT)
"""
    )
    assert "most recent call first" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="the system does not say")
def test_a_process_that_is_stopped_is_told_from_one_that_runs() -> None:
    pid = os.fork()
    if not pid:
        signal.pause()
    try:
        assert not is_stopped(pid)
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        assert is_stopped(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not is_stopped(pid)


def test_a_handler_of_the_application_for_stacks_stays() -> None:
    lines = lines_of(
        START
        + """
signal.signal(signal.SIGQUIT, lambda *_: print("the application's"))
processes.show_stacks_on_request()
os.kill(os.getpid(), signal.SIGQUIT)
"""
    )
    assert lines == ["the application's"]


def test_a_worker_hears_what_the_application_hears_again() -> None:
    lines = lines_of(
        START
        + """
def stay(*_): pass
signal.signal(signal.SIGUSR2, stay)
handlers = processes.ignore_commands()
print(*[signal.getsignal(number) == signal.SIG_IGN for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)])
processes.hear_again(handlers)
print(signal.getsignal(signal.SIGUSR2) is stay, signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
print("before")
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1,))
"""
    )
    assert lines == ["True True True", "True True", "True", "before", "heard"]


def test_what_is_frozen_is_not_looked_at_by_the_collector() -> None:
    lines = lines_of(
        START
        + """
import gc
kept = [[] for _ in range(1000)]
processes.freeze()
print(not hasattr(gc, "get_freeze_count") or gc.get_freeze_count() >= 1000)
"""
    )
    assert lines == ["True"]


def cgroup(folder: Path, own: str, files: dict[str, str]) -> int:
    """Count in a tree with these files, for a process of these groups."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return oom_kills(folder, folder / "own")


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/a/b\n", {"a/b/memory.events": "low 0\nhigh 2\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n"}, 3),
        ("0::/\n", {"memory.events": "oom_kill 1\n"}, 1),
        (
            "5:cpu:/x\n4:memory:/a\n",
            {"memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"},
            7,
        ),
        ("5:cpu:/x\n", {"cpu/x/memory.events": "oom_kill 7\n"}, 0),
        ("0::/gone\n", {}, 0),
        ("nonsense\n", {}, 0),
        ("", {}, 0),
        ("0::/a\n", {"a/memory.events": "oom_kill many\n"}, 0),
        ("0::/a\n", {"a/memory.events": "\n"}, 0),
        ("0::/a:b\n", {"a:b/memory.events": "oom_kill 2\n"}, 2),
    ],
)
def test_kills_for_want_of_memory_are_counted(own: str, files: dict[str, str], count: int, tmp_path: Path) -> None:
    assert cgroup(tmp_path, own, files) == count


def test_a_system_without_control_groups_counts_none(tmp_path: Path) -> None:
    assert oom_kills(tmp_path, tmp_path / "gone") == 0


@pytest.mark.skipif(not can_measure_memory(), reason="this system does not tell")
def test_memory_of_its_own_is_what_a_process_shares_with_nobody() -> None:
    before = private_memory(os.getpid())
    with mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as ballast:  # not what malloc has kept
        ballast.write(b"x" * (16 << 20))
        after = private_memory(os.getpid())
    assert before is not None
    assert after is not None
    assert after - before > 12 << 20
    assert private_memory(1 << 30) is None
