"""A process that a master has started: it loads the application as ever, says so, and becomes what it is told to be."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

from waitressd.fleet import processes
from waitressd.fleet.codes import inherited_link
from waitressd.fleet.hazards import Hazard
from waitressd.fleet.leave import leave_process
from waitressd.fleet.link import Link, LinkError, Message
from waitressd.fleet.loaded import hello_of
from waitressd.fleet.template import Template
from waitressd.fleet.worker import WorkerProcess, run_worker_of
from waitressd.logfiles import reopen_log_files
from waitressd.server import Server

_STANDARD_ERROR: Final = 2


class Recruit:
    """The process from its start to the order that says what it becomes. The main thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        processes.show_stacks_on_request()
        # Not ignored: the programs that the application starts would inherit that.
        for number in processes.COMMANDS:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _stay)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, processes.COMMANDS)  # which the master has blocked
        # While it loads, nothing of ours would notice that the master is gone: an import may take for ever.
        processes.end_with_parent()
        if link.is_hung_up():
            leave_process(0)

    def serve_under_master(self, server: Server, known: Sequence[Hazard]) -> NoReturn:
        """Say hello, and be a template or a worker until the end of the process. The application is loaded."""
        self._link.socket.setblocking(True)
        self._link.send("hello", **hello_of(server, known).fields())
        order = self._order()
        if order is None or order.name == "quit":
            leave_process(0)
        for number in processes.COMMANDS:
            if signal.getsignal(number) is _stay:
                processes.hold_back(number)  # until it has decided about them
        processes.outlive_parent()  # which it notices itself from now on, and finishes what it has begun
        # From now on this process speaks for itself, and not to somebody who waits for the reason of a failure.
        sys.stderr.flush()
        os.dup2(order.descriptors[0], _STANDARD_ERROR)
        os.close(order.descriptors[0])
        if order.name == "serve":
            WorkerProcess(server, self._link, order).run()
        Template(self._link, int(order.fields["code"]), run_worker_of(server)).run()

    def _order(self) -> Message | None:
        while not self._link.is_over:
            try:
                for message in self._link.receive():
                    if message.name in ("serve", "template", "quit"):
                        return message
                    if message.name == "reopen":  # they were moved while it loaded
                        reopen_log_files()
                    message.close()
            except LinkError:
                return None
        return None


def _stay(_number: int, _frame: FrameType | None) -> None:
    """Load on. A signal to the whole group means the master."""


def recruited() -> Recruit | None:
    """Return the recruit that this process is, if a master has started it. Before the application is loaded."""
    link = inherited_link()
    return None if link is None else Recruit(link)
