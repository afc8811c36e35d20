"""The template: a process that has loaded the application, serves nothing, and forks workers when it is told to.

It has one thread and runs no code of the application, so that what it forks is clean. When the master is gone it sees
to it that its workers are gone, too: one that hangs in code which holds the interpreter lock cannot see that itself.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from waitressd.fleet import processes
from waitressd.fleet.leave import leave_process
from waitressd.fleet.link import Link, LinkError, Message
from waitressd.fleet.names import name_process, template_name
from waitressd.fleet.watched import Watched
from waitressd.logfiles import reopen_log_files

HOOKS_SECONDS: Final = 0.3  # then, for what the application does at its end

RunWorker = Callable[[Link, Message], NoReturn]
"""Serve in a process of its own: the end of its link, and what the master has said about it."""


class Template:
    """The loop of a template, in its main thread."""

    def __init__(self, link: Link, code: int, run_worker: RunWorker) -> None:
        self._link = link
        self._code = code
        self._run_worker = run_worker
        self._handlers: dict[Any, Any] = {}  # of the application, by signal
        self._orders: deque[Message] = deque()  # received, and not obeyed yet
        self._watched = Watched()

    def run(self) -> NoReturn:
        """Fork workers until the master says `quit` or is gone; then end the process."""
        name_process(template_name(self._code))
        self._handlers = processes.ignore_commands()  # they come over the link
        processes.hear_signals()
        processes.freeze()
        self._link.socket.setblocking(True)
        is_orphan = False
        while not self._link.is_over:
            try:
                self._orders.extend(self._link.receive())
            except LinkError:
                break
            while self._orders:
                message = self._orders.popleft()
                if message.name == "fork":
                    self._fork(message)
                elif message.name == "reopen":
                    reopen_log_files()
                elif message.name == "quit":
                    leave_process(0)
                else:
                    message.close()
            is_orphan = self._link.is_over
        if is_orphan:
            self._watched.end()
            self._hurry()
        leave_process(0)

    def _fork(self, message: Message) -> None:
        """Fork a worker; its first descriptor is its end of a link, by which the master learns of a failure, too."""

        def run() -> NoReturn:
            self._link.close()
            self._watched.close()
            for other in self._orders:  # of siblings, whose ends would live on here
                other.close()
            processes.show_stacks_on_request()
            processes.hear_again(self._handlers)
            self._run_worker(Link.from_descriptor(message.descriptors[0]), message)

        try:
            pid = processes.fork_for_master(run)
        except OSError:
            pass  # the end of the link says so
        else:
            self._link.send("forked", worker=message.fields.get("worker"), pid=pid)
            watched = processes.watch_process(pid)
            if watched is not None:
                self._watched.add(watched)
        message.close()

    def _hurry(self) -> None:
        """Bound the end of this process: nobody is left who would kill it where a hook of the application hangs."""
        bound = threading.Timer(HOOKS_SECONDS, os._exit, (0,))
        bound.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread to be had
            bound.start()
