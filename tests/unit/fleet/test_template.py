"""The process that forks workers."""

import pytest

from tests.support.scripts import lines_of
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not can_adopt(), reason="needs a parent of orphans")

# A master, and a template that forks workers which say what they have, and live until `come` is closed.
START = """
import contextlib, json, os, select, signal, time
from waitressd.fleet import processes
from waitressd.fleet.link import Link
from waitressd.fleet.template import Template

processes.adopt_orphans()
said, saying = os.pipe()
go, come = os.pipe()
ours, theirs = Link.pair()

def links():
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(found)

def run_worker(link, order):
    state = {
        "comm": open("/proc/self/comm").read().strip(), "pid": os.getpid(), "place": order.fields["place"],
        "sockets": sum(name.startswith("socket:") for name in links()),
        "pidfds": sum("pidfd" in name for name in links()), "given": len(order.descriptors),
        "ignored": [number for number in (10, 15) if signal.getsignal(number) == signal.SIG_IGN],
        "blocked": [number for number in (10, 15) if number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    }
    link.send("born", pid=os.getpid())
    os.write(saying, json.dumps(state).encode() + b"\\n")
    while True:
        try:
            if os.read(go, 1) == b"": os._exit(0)
        except InterruptedError: pass

def template():
    ours.close()
    os.close(said)
    os.close(come)
    Template(theirs, 7, run_worker).run()

lines = open(said)
def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def order(place, more=()):
    mine, other = Link.pair()
    ours.send("fork", [other.fileno(), *more], place=place, worker=place)
    other.close()
    return mine
def messages(link, count):
    found = []
    while len(found) < count and not link.is_over:
        found += link.receive()
    return found
"""


def run(text: str, *words: str) -> list[str]:
    """Run a master's program around a template."""
    return lines_of(f"{START}\npid = processes.fork(template)\ntheirs.close()\nos.close(saying)\n{text}", *words)


def test_it_forks_workers_that_are_children_of_the_master() -> None:
    lines = run(
        """
one, two = order(1), order(2)
states = sorted((json.loads(lines.readline()) for _ in range(2)), key=lambda state: state["place"])
told = messages(ours, 2)
print([(message.name, message.fields["worker"]) for message in told])
print([state["pid"] for state in states] == [message.fields["pid"] for message in told])
print([link.receive()[0].fields["pid"] for link in (one, two)] == [state["pid"] for state in states])
os.close(come)
print(sorted(end_of(state["pid"]) for state in states))
ours.send("quit")
print(end_of(pid))
"""
    )
    assert lines == ["[('forked', 1), ('forked', 2)]", "True", "True", "[0, 0]", "0"]


def test_a_worker_has_nothing_of_its_siblings_or_its_template() -> None:
    """Also where several orders have come at once: the end of a sibling's link would live on, and hide its death."""
    lines = run(
        """
import socket
listener = socket.socket()
os.kill(pid, signal.SIGSTOP)
links_ = [order(place, [listener.fileno()]) for place in (1, 2, 3)]
listener.close()
os.kill(pid, signal.SIGCONT)
states = [json.loads(lines.readline()) for _ in range(3)]
messages(ours, 3)
for state in states:
    print(state["given"], state["sockets"], state["pidfds"])
os.kill(states[1]["pid"], signal.SIGKILL)
end_of(states[1]["pid"])
print([link.is_hung_up() for link in links_].count(True))  # they may speak in any order
os.close(come)
ours.send("quit")
print(end_of(pid))
"""
    )
    assert lines == ["2 2 0"] * 3 + ["1", "0"]


def test_a_worker_hears_what_its_template_ignores() -> None:
    lines = run(
        """
order(1)
state = json.loads(lines.readline())
print(state["ignored"], state["blocked"])
messages(ours, 1)  # now it is a child of the master, and of nobody in between
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    os.kill(pid, number)  # of a template nothing comes of it
os.close(come)
end_of(state["pid"])
ours.send("quit")
print(end_of(pid))
"""
    )
    assert lines == ["[] [10, 15]", "0"]  # SIGUSR1 and SIGTERM wait until the server has handlers


def test_a_fork_that_fails_is_told_by_the_end_of_the_link() -> None:
    lines = run(
        """
ours.send("quit")
end_of(pid)
ours.close()
ours, theirs = Link.pair()
def fail():
    raise BlockingIOError(11, "no more processes")
real = os.fork
def broken():
    os.fork = fail
    template()
pid = processes.fork(broken)
theirs.close()
link = order(1)
print(link.receive(), link.is_over)
ours.send("nonsense", [0])
ours.send("quit")
print(end_of(pid))
"""
    )
    assert lines == ["[] True", "0"]


@pytest.mark.parametrize("how", ["ours.close()", "ours.socket.sendall(b'nonsense\\n')"])
def test_without_its_master_it_ends_and_its_workers_too(how: str) -> None:
    lines = run(
        f"""
link = order(1)
worker = json.loads(lines.readline())["pid"]
messages(ours, 1)
{how}
began = time.monotonic()
print(end_of(pid))
if "close" in {how!r}:
    print(end_of(worker))  # it hangs, and is killed
    print(time.monotonic() - began < 30)
else:
    os.close(come)
    print(end_of(worker), True, sep="\\n")
"""
    )
    assert lines == (["0", "-9", "True"] if "close" in how else ["0", "0", "True"])


def test_a_hook_that_hangs_does_not_keep_an_orphan() -> None:
    lines = run(
        """
ours.send("quit")
end_of(pid)
ours.close()
ours, theirs = Link.pair()
import atexit
def with_hook():
    atexit.register(time.sleep, 600)
    template()
pid = processes.fork(with_hook)
theirs.close()
ours.close()
print(end_of(pid))
"""
    )
    assert lines == ["0"]
