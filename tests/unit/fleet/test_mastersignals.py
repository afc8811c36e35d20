"""Signals that a loop waits for."""

import pytest

from tests.support.scripts import lines_of

START = """
import os, select, signal
from waitressd.fleet.mastersignals import MASTERS_SIGNALS, MasterSignals

def names(signals):
    return " ".join(signal.Signals(number).name for number in signals.take())
"""


def test_signals_are_heard_in_their_order_and_each_as_often_as_it_came() -> None:
    lines = lines_of(
        START
        + """
signals = MasterSignals()
with signals.heard():
    print("nothing:", names(signals), select.select([signals], [], [], 0)[0])
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
        os.kill(os.getpid(), number)
    print(select.select([signals], [], [], 0)[0] == [signals], names(signals))
    print("nothing:", names(signals))
"""
    )
    assert lines == ["nothing:  []", "True SIGHUP SIGTERM SIGUSR1 SIGTERM", "nothing: "]


def test_what_came_while_they_were_blocked_is_heard() -> None:
    """The gap of an exec: whoever executes the master blocks them, and the mask is inherited."""
    lines = lines_of(
        START
        + """
signal.pthread_sigmask(signal.SIG_BLOCK, MASTERS_SIGNALS)
os.kill(os.getpid(), signal.SIGTERM)
signals = MasterSignals()
with signals.heard():
    print(names(signals), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""
    )
    assert lines == ["SIGTERM set()"]


def test_handlers_and_the_wake_up_descriptor_are_put_back() -> None:
    lines = lines_of(
        START
        + """
import socket
ours, theirs = socket.socketpair()
theirs.setblocking(False)
signal.set_wakeup_fd(theirs.fileno())
def mine(*_):
    print("mine")
signal.signal(signal.SIGHUP, mine)
before = {number: signal.getsignal(number) for number in MASTERS_SIGNALS}
signals = MasterSignals()
with signals.heard():
    pass
after = {number: signal.getsignal(number) for number in MASTERS_SIGNALS}
print(before == after, signal.set_wakeup_fd(-1) == theirs.fileno())
os.kill(os.getpid(), signal.SIGHUP)
"""
    )
    assert lines == ["True True", "mine"]


def test_those_that_are_the_last_of_the_process_are_ignored_afterwards() -> None:
    """Also while the interpreter ends, which gives every handler back."""
    lines = lines_of(
        START
        + """
signals = MasterSignals(are_last=True)
with signals.heard():
    pass
print(signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
for number in MASTERS_SIGNALS:
    os.kill(os.getpid(), number)
print("alive")
"""
    )
    assert lines == ["True", "alive"]


@pytest.mark.parametrize(
    ("name", "heard"), [("SIGHUP", ""), ("SIGINT", ""), ("SIGCHLD", "SIGCHLD"), ("SIGQUIT", "SIGQUIT")]
)
def test_what_was_ignored_stays_so_but_for_deaths_of_children_and_questions_for_stacks(name: str, heard: str) -> None:
    lines = lines_of(
        START
        + """
number = getattr(signal, sys.argv[1])
signal.signal(number, signal.SIG_IGN)
signals = MasterSignals()
with signals.heard():
    os.kill(os.getpid(), number)
    print(f"<{names(signals)}>")
print(signal.getsignal(number) == signal.SIG_IGN)
""",
        name,
    )
    assert lines == [f"<{heard}>", "True"]


def test_a_child_that_the_program_forks_has_the_handlers_from_before() -> None:
    lines = lines_of(
        START
        + """
signals = MasterSignals()
with signals.heard():
    pid = os.fork()
    if pid == 0:
        print(signal.getsignal(signal.SIGHUP) == signal.SIG_DFL, signals.fileno(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    os.kill(os.getpid(), signal.SIGHUP)
    print(names(signals).replace("SIGCHLD ", ""))
"""
    )
    assert lines == ["True -1", "SIGHUP"]


def test_what_is_held_back_waits_and_what_was_heard_can_be_made_to_wait_again() -> None:
    lines = lines_of(
        START
        + """
signals = MasterSignals()
with signals.heard(), signals.held_back():
    os.kill(os.getpid(), signal.SIGHUP)
    print("nothing:", names(signals))
    with signals.let_through():
        pass
    print(names(signals))
    with signals.let_through():
        os.kill(os.getpid(), signal.SIGHUP)
    signals.give_back()
    print("nothing:", names(signals), [number.name for number in signal.sigpending()])
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""
    )
    assert lines == ["nothing: ", "SIGHUP", "nothing:  ['SIGHUP']", "set()"]
