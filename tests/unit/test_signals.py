"""Whose handler a signal has, before, while and after the server runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from waitressd.signals import ServerSignals, patient_signals, raise_early_signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signals here")

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Begin with Python's own handlers, and put back what was there."""
    former = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


class Ear:
    """Hears signals."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.heard.append(number)


def test_where_nobody_has_a_handler_four_signals_are_the_servers() -> None:
    server = Ear()
    signals = ServerSignals(server, reopens=True)
    assert signals.describe() == ""
    for number in NUMBERS[:4]:
        signal.raise_signal(number)
    assert server.heard == list(NUMBERS[:4])
    signals.pass_on(0, pytest.fail)  # nobody to tell
    signals.put_back()
    signals.put_back()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_handlers_of_the_application_are_called_after_the_stop_once_each() -> None:
    server, application, said = Ear(), Ear(), list[str]()
    for number in NUMBERS:
        signal.signal(number, application)
    signals = ServerSignals(server, reopens=True)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)
    assert (server.heard, application.heard) == ([2, 15, 2], [1])
    signals.pass_on(5, said.append)
    assert application.heard == [1, 2, 15]
    assert said == ["SIGINT: calling the application's handler", "SIGTERM: calling the application's handler"]
    signals.put_back()
    assert {signal.getsignal(number) for number in NUMBERS} == {application}


def test_what_a_handler_raises_goes_on_and_its_bound_is_lifted() -> None:
    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(4)

    signal.signal(signal.SIGTERM, leave)
    signals = ServerSignals(Ear(), reopens=False)
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        signals.pass_on(5, len)
    signals.put_back()


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    late = Ear()
    signals = ServerSignals(Ear(), reopens=True)
    signal.signal(signal.SIGTERM, late)
    signals.put_back()
    assert signal.getsignal(signal.SIGTERM) is late
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


@pytest.mark.parametrize("reopens", [True, False])
def test_patience_is_not_the_applications(*, reopens: bool) -> None:
    with patient_signals(reopens=reopens):
        assert callable(signal.getsignal(signal.SIGUSR1)) is reopens
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        signals = ServerSignals(Ear(), reopens=reopens)
        assert signals.describe() == ""
        signals.put_back()
    assert {signal.getsignal(number) for number in NUMBERS if number != signal.SIGINT} == {signal.SIG_DFL}


def test_what_comes_too_early_is_heard_once_when_there_are_handlers() -> None:
    server = Ear()
    with patient_signals(reopens=True, upgrades=True):
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
            signal.raise_signal(number)
        application = Ear()
        signal.signal(signal.SIGUSR2, application)
        ServerSignals(server, reopens=True).put_back()
        assert server.heard == [signal.SIGUSR1, signal.SIGHUP]
        ServerSignals(server, reopens=True).put_back()
        assert len(server.heard) == 2
        assert application.heard == []  # it was a master's, and there is none


def test_what_came_too_early_waits_for_a_master_where_it_is_blocked() -> None:
    with patient_signals(reopens=True, upgrades=True):
        signal.raise_signal(signal.SIGUSR2)
        former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        raise_early_signals({signal.SIGUSR2})
        assert signal.sigpending() == {signal.SIGUSR2}
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def test_what_came_too_early_is_not_a_childs() -> None:
    server = Ear()
    with patient_signals(reopens=True):
        signal.raise_signal(signal.SIGHUP)
    with patient_signals(reopens=True):
        ServerSignals(server, reopens=True).put_back()
    assert server.heard == []


@pytest.mark.parametrize("upgrades", [True, False])
def test_an_upgrade_that_comes_too_early_ends_nobody(*, upgrades: bool) -> None:
    """Where there will be no master, the signal is the application's."""
    with patient_signals(reopens=True, upgrades=upgrades):
        assert callable(signal.getsignal(signal.SIGUSR2)) is upgrades
        if upgrades:
            signal.raise_signal(signal.SIGUSR2)
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = ServerSignals(Ear(), reopens=True)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signals.describe() == ""
    signals.put_back()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


# A virtual machine in the process, such as Java's, lives by SIGSEGV.
OTHERS = """
import ctypes, faulthandler, signal, sys
from waitressd.signals import show_stacks_of_a_crash
handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(print)
libc = ctypes.CDLL(None)
libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
before = ctypes.cast(handler, ctypes.c_void_p).value
if sys.argv[1] == "foreign":
    libc.signal(signal.SIGSEGV, before)
show_stacks_of_a_crash()
after = libc.signal(signal.SIGSEGV, None)
print(faulthandler.is_enabled(), after == before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere, what C has registered is not known")
@pytest.mark.parametrize(("whose", "expected"), [("nobodys", "True False\n"), ("foreign", "False True\n")])
def test_handlers_of_crashes_that_others_have_are_left_alone(whose: str, expected: str) -> None:
    environment = {**os.environ, "PYTHONFAULTHANDLER": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", OTHERS, whose], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout == expected
