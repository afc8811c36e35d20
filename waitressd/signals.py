"""Signals of the process: which of them are the server's while it serves, and what becomes of the application's.

SIGTERM and SIGINT begin a stop; a handler that the application has set for them is called when the stop is over. SIGHUP
and SIGUSR1 open log files anew where nobody else has a handler for them. No other signal is touched. All of this is the
main thread's, as Python has it. A child that is forked gets the handlers back that were there before.

What ends the process where it is, an abort or a crash, leaves the stacks of all threads behind.

Knows signals and their handlers; does not know what a stop is.
"""

import contextlib
import faulthandler
import inspect
import os
import signal
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from waitressd import forks

Handler = Callable[[int, FrameType | None], object]

LEAST_SECONDS: Final = 2.0  # for a handler of the application when the stop has used up its time
_JOIN_SECONDS: Final = 1.0  # for a thread that has nothing left to do
_STATUS: Final = Path("/proc/self/status")


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


_STOPS: Final = _known("SIGTERM", "SIGINT")
_REOPENS: Final = _known("SIGHUP", "SIGUSR1")
_NEVER_OURS: Final = _known("SIGUSR2")
_CRASHES: Final = _known("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")
_STANDARD_ERROR: Final = 2  # whatever `sys.stderr` is

_early: Final[list[int]] = []
"""What came before the server heard signals, and is not forgotten."""
_nobodys: Final[list[Any]] = [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, None]
"""What `getsignal` gives where the application has set no handler."""


class _Installed:
    """Handlers in the place of others, until `put_back`. The main thread."""

    def __init__(self, handlers: Mapping[signal.Signals, Handler]) -> None:
        self._handlers = dict(handlers)
        self._former = {number: signal.getsignal(number) for number in handlers}
        forks.hold(self)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @property
    def numbers(self) -> Container[int]:
        """The signals that have one."""
        return self._handlers.keys()

    def put_back(self) -> None:
        """Put the former handlers back, but not over one that was set meanwhile. Twice is harmless."""
        forks.drop(self)
        while self._handlers:
            number, handler = self._handlers.popitem()
            if signal.getsignal(number) == handler:
                former = self._former[number]
                signal.signal(number, signal.SIG_DFL if former is None else former)

    def let_go(self) -> None:
        """Put them back in a child: the thread that has forked is the main thread there."""
        self.put_back()


def show_stacks_of_a_crash() -> None:
    """Have a crash, and the SIGABRT of a service manager's watchdog, write the stack of each thread to standard error.

    Where something holds the interpreter lock, nothing else can say what it is. Left alone is what is switched on
    already, and where somebody else has handlers for these signals, such as a virtual machine that lives by SIGSEGV.
    So it is for systems that tell of such handlers (Linux). The main thread, before anything serves.
    """
    caught = _caught_signals()
    if caught is not None and not faulthandler.is_enabled() and not caught.intersection(_CRASHES):
        with contextlib.suppress(OSError):  # there is no standard error
            faulthandler.enable(file=_STANDARD_ERROR)


@contextlib.contextmanager
def patient_signals(*, reopens: bool, upgrades: bool = False) -> Iterator[None]:
    """Before the server hears signals, let SIGTERM end with cleaning up, and SIGHUP wait until it does.

    So does SIGUSR1, where there are log files to open anew (`reopens`), and SIGUSR2, where there will be a master that
    can be upgraded. In the main thread alone: no other may say what signals do.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    def stay(number: int, _frame: FrameType | None) -> None:
        """Whoever sends it may know of the server already, and has moved a log or renewed a certificate."""
        if number not in _early:
            _early.append(number)

    wanted: dict[signal.Signals, Handler] = dict.fromkeys(_REOPENS if reopens else _known("SIGHUP"), stay)
    wanted |= dict.fromkeys(_known("SIGUSR2") if upgrades else (), stay)
    wanted |= dict.fromkeys(_known("SIGTERM"), leave)
    is_main = threading.current_thread() is threading.main_thread()
    installed = _Installed(
        {number: act for number, act in wanted.items() if is_main and signal.getsignal(number) == signal.SIG_DFL}
    )
    _nobodys.extend((leave, stay))
    _early.clear()  # in a child that was forked, what its parent has not heard yet is the parent's
    try:
        yield
    finally:
        installed.put_back()
        _nobodys.remove(leave)
        _nobodys.remove(stay)


def raise_early_signals(numbers: Container[int]) -> None:
    """Have those come now that came too early. The main thread, when it has handlers for them or has blocked them."""
    for number in [number for number in _early if number in numbers]:
        _early.remove(number)
        signal.raise_signal(number)


class ServerSignals:
    """The server's handlers, from the beginning of `run` to its very end. The main thread.

    `on_signal` is called for each signal that is the server's. One that is ignored stays ignored (nohup, hupper).
    `reopens` says whether there are log files to open anew.
    """

    def __init__(self, on_signal: Handler, *, reopens: bool) -> None:
        self._on_signal = on_signal
        self._stopped_by: dict[int, None] = {}  # in the order in which they came
        self._passes_on = False  # handlers of the application are being called
        caught = _caught_signals()
        self._left_alone = [number for number in (*_REOPENS, *_NEVER_OURS) if _is_taken(number, caught)]
        self._passed_on = {number: signal.getsignal(number) for number in _STOPS if _is_taken(number, frozenset())}
        # What C code has registered for a signal cannot be seen everywhere. SIGUSR1 is the usual choice for the stacks
        # of faulthandler, so there it is the server's only where it has a use for it.
        reopening = _REOPENS if reopens or caught is not None else _known("SIGHUP")
        ours = (*_STOPS, *(number for number in reopening if number not in self._left_alone))
        self._installed = _Installed(
            {number: self._receive for number in ours if signal.getsignal(number) != signal.SIG_IGN}
        )
        raise_early_signals(self._installed.numbers)

    def describe(self) -> str:
        """Say which handlers of the application are known; empty if there are none."""
        parts = []
        if self._left_alone:
            parts.append(f"{_names(self._left_alone)}: left to the application")
        if self._passed_on:
            parts.append(f"{_names(self._passed_on)}: the application's handler is called when the stop is over")
        return "; ".join(parts)

    def count_stop(self, number: signal.Signals) -> None:
        """Have the application's handler called as if this signal had stopped the server. Any thread."""
        self._stopped_by[number] = None

    def pass_on(self, seconds: float, say: Callable[[str], object]) -> None:
        """Call the application's handlers of what has stopped the server, once each. What they raise goes on.

        The process ends where they take more than `seconds` (or LEAST_SECONDS), and at a further SIGTERM or SIGINT.
        """
        waiting = [number for number in self._stopped_by if number in self._passed_on]
        if not waiting:
            return
        # The thread of the bound does nothing else: what it would write or flush may be what the main thread hangs in.
        bound = threading.Timer(max(LEAST_SECONDS, seconds), os._exit, (0,))  # as after any stop that was cut short
        bound.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread to be had: then without a bound
            bound.start()
        self._passes_on = True
        try:
            for number in waiting:
                say(f"{signal.Signals(number).name}: calling the application's handler")
                handler = self._passed_on[signal.Signals(number)]
                assert callable(handler)
                handler(number, inspect.currentframe())
        finally:
            self._passes_on = False
            bound.cancel()
            if bound.ident is not None:
                bound.join(_JOIN_SECONDS)

    def put_back(self) -> None:
        """Put the former handlers back. Twice is harmless."""
        self._installed.put_back()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._passes_on:
            if number in _STOPS:
                os._exit(0)
            return
        if number in _STOPS:
            self._stopped_by[number] = None
        self._on_signal(number, frame)


def _is_taken(number: signal.Signals, caught: frozenset[int] | None) -> bool:
    """Whether the application has a handler, in Python or, as far as that is known, in C."""
    handler = signal.getsignal(number)
    return handler not in _nobodys or (handler in (signal.SIG_DFL, None) and number in (caught or ()))


def _caught_signals() -> frozenset[int] | None:
    """Return the signals that have a handler, whoever has set it; None where the system does not tell (it is Linux's).

    Python does not know of handlers that were registered in C, as `faulthandler.register` does.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, digits = line.partition(":")
        if name == "SigCgt":
            mask = int(digits, 16)
            return frozenset(number for number in range(1, mask.bit_length() + 1) if mask >> (number - 1) & 1)
    return None


def _names(numbers: Mapping[signal.Signals, object] | list[signal.Signals]) -> str:
    return ", ".join(number.name for number in numbers)
