"""What must not outlive the master; and, run as a program, the guard: a process that sees to it.

By the end of its link a process notices that its master is gone, and ends. One that hangs in code which holds the
interpreter lock notices nothing, so another has to end it, which runs no code of the application.

The program imports nothing of the server, and so takes a quarter of a worker's memory or less: ``watched.py LINK``.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from typing import Final

ORPHAN_SECONDS: Final = 1.5  # what processes get to end by themselves when the master is gone
NAME: Final = "waitressd-guard"
MAX_DESCRIPTORS: Final = 250  # what the kernel passes with one message
_READ_BYTES: Final = 4096
_COMM: Final = "/proc/self/comm"

# What is meant for the master, and may be sent to the whole group.
_NOT_HEARD: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGTTIN", "SIGTTOU")
    if hasattr(signal, name)
)


class Watched:
    """Processes that are ended with the master, by descriptors that never mean another process. One thread."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def add(self, pidfd: int) -> None:
        """Watch one more, and forget those that have ended. The descriptor is closed here."""
        self._forget_ended(0)
        self._descriptors.append(pidfd)

    def end(self) -> None:
        """Wait until all have ended, for `ORPHAN_SECONDS` at most; kill those that have not."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while self._descriptors and (left := deadline - time.monotonic()) > 0:
            self._forget_ended(left)
        for fd in self._descriptors:
            with contextlib.suppress(OSError):  # it has just ended, or has become another user's
                signal.pidfd_send_signal(fd, signal.SIGKILL)

    def close(self) -> None:
        """Watch nothing any more. In a child, which watches nobody; twice is harmless."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _forget_ended(self, seconds: float) -> None:
        """Wait so long for the end of any of them."""
        poller = select.poll()
        for fd in self._descriptors:
            poller.register(fd, select.POLLIN)
        for fd, _ in poller.poll(seconds * 1000) if self._descriptors else ():
            self._descriptors.remove(fd)
            os.close(fd)


def keep_guard(link: socket.socket) -> None:
    """Watch each process that comes over a link, until its end; then end them. The only thread of the process."""
    for number in _NOT_HEARD:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # until now they have waited
    with contextlib.suppress(OSError), open(_COMM, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is big
        file.write(NAME)
    watched = Watched()
    with contextlib.suppress(OSError):  # reset: the master is gone, with something unread
        while True:
            data, descriptors, _, _ = socket.recv_fds(link, _READ_BYTES, MAX_DESCRIPTORS)
            for pidfd in descriptors:
                watched.add(pidfd)
            if not data:
                break
    watched.end()


if __name__ == "__main__":
    keep_guard(socket.socket(fileno=int(sys.argv[1])))
