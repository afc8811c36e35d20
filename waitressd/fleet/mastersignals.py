"""The signals of the master, heard in its loop and nowhere else."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from waitressd import forks
from waitressd.fleet import processes

MASTERS_SIGNALS: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGCHLD", "SIGTTIN", "SIGTTOU")
    if hasattr(signal, name)
)


class MasterSignals:
    """Signals as something that a poller can wait for. The main thread.

    Where the process ends with the master (`are_last`), they are ignored afterwards: one more would only change the
    exit status. Else what the program had set comes back.
    """

    def __init__(self, *, are_last: bool = False) -> None:
        self._are_last = are_last
        self._ours, self._pythons = socket.socketpair()
        self._ours.setblocking(False)
        self._pythons.setblocking(False)
        self._former: dict[int, Any] = {}
        self._former_wakeup = -1

    def fileno(self) -> int:
        """Return the descriptor that can be read when a signal has come."""
        return self._ours.fileno()

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them in the block; what was ignored stays so, but for SIGCHLD and SIGQUIT, which asks for stacks."""
        forks.hold(self)
        self._former_wakeup = signal.set_wakeup_fd(self._pythons.fileno(), warn_on_full_buffer=False)
        for number in MASTERS_SIGNALS:
            former = signal.getsignal(number)
            if former != signal.SIG_IGN or number in (signal.SIGCHLD, signal.SIGQUIT):
                is_ignored = self._are_last and number != signal.SIGCHLD
                self._former[number] = signal.SIG_IGN if is_ignored else former
                signal.signal(number, _be_heard)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MASTERS_SIGNALS)
        try:
            yield
        finally:
            self.let_go()
            forks.drop(self)

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Keep them waiting in the block, but where `let_through` is.

        So no thread that begins there takes one: what is not heard yet when the process becomes another program waits
        for that.
        """
        former = signal.pthread_sigmask(signal.SIG_BLOCK, MASTERS_SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """Let them come, while nothing else is done than to wait for something."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MASTERS_SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, MASTERS_SIGNALS)

    def give_back(self) -> None:
        """Have those wait again that were not taken yet, for the next program. Held back."""
        for number in self.take():
            processes.kill(os.getpid(), number)

    def take(self) -> list[int]:
        """Return the signals that have come, in their order."""
        with contextlib.suppress(BlockingIOError):
            return list(self._ours.recv(4096))
        return []

    def let_go(self) -> None:
        """Hear them no more."""
        signal.set_wakeup_fd(self._former_wakeup)
        while self._former:
            number, former = self._former.popitem()
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._ours.close()
        self._pythons.close()


def _be_heard(_number: int, _frame: FrameType | None) -> None:
    """Python writes the number to the wake-up descriptor; without a handler it would not."""
