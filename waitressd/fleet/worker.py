"""A worker: a server around listeners that the master has bound, and a thread that reads the master's commands."""

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from typing import Any, Final, NoReturn

from waitressd.fleet import processes
from waitressd.fleet.board import Board, Field, Row, to_ms
from waitressd.fleet.fellow import Fellow
from waitressd.fleet.leave import leave_process
from waitressd.fleet.link import Link, LinkError, Message
from waitressd.fleet.names import name_process, worker_name
from waitressd.fleet.report import Report
from waitressd.fleet.template import RunWorker
from waitressd.inhand import note_in
from waitressd.listeners import adopt_listeners
from waitressd.metrics.adopted import adopt_row, adopted_row
from waitressd.operatorlog import operator_log
from waitressd.place import set_place
from waitressd.processend import ProcessEnd
from waitressd.requestlog.spool import share_spools
from waitressd.server import Server
from waitressd.signals import patient_signals
from waitressd.systemd import Notifier

ORPHAN_DRAIN_SECONDS: Final = 1.0  # for requests that have begun when the master is gone
ORPHAN_END_SECONDS: Final = 1.7  # then the process ends, whatever still runs
ORPHANED: Final = 3  # the exit status of a worker whose master is gone

# Whoever signals the whole group, as a terminal and some supervisors do, means the master. SIGTERM to one worker alone
# makes it drain; SIGUSR1 opens log files anew.
_MASTERS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGUSR2", "SIGTTIN", "SIGTTOU") if hasattr(signal, name)
)

_NEVER_HEARD: Final = (signal.SIGINT, getattr(signal, "SIGHUP", None))  # whatever handlers the application has


class LinkNotifier(Notifier):
    """Tells the master what a server of its own would tell systemd. Any thread."""

    def __init__(self, link: Link, watchdog_seconds: float) -> None:
        super().__init__({})
        self._link = link
        self.watchdog_seconds = watchdog_seconds

    def ready(self, _status: str) -> None:
        """The worker serves."""
        self._link.send("ready")

    def stopping(self, _status: str) -> None:
        """The worker drains, by a command or by a signal of its own."""
        self._link.send("leaving")

    def alive(self) -> None:
        """Its event loop turns."""
        self._link.send("alive")


class WorkerProcess:
    """One worker, from its birth to the end of its process. The main thread, but for `_obey`."""

    def __init__(self, server: Server, link: Link, order: Message) -> None:
        self._server = server
        self._link = link
        self._place = int(order.fields["place"])
        self._workers = int(order.fields["workers"])
        if order.fields.get("counts"):
            metrics = order.descriptors[1]
            adopt_row(metrics, order.fields.get("row"))
            os.close(metrics)
        self.board: Board | None = None
        """The rows of all workers, from which this one sees how its siblings are."""
        self.row: Row | None = None
        """Its own row; None where there was no memory for one, or it means something else in a master of before."""
        self._fellow: Fellow | None = None
        self._stacks_fd = -1
        self._attach_board(order)
        self._watchdog_seconds = float(order.fields.get("watchdog_seconds", 0.0))
        self._listeners = adopt_listeners(server.adjustments, sockets_from(order))
        self._status = 0

    def _attach_board(self, order: Message) -> None:
        fields = order.fields
        descriptors = list(order.descriptors[2 if fields.get("counts") else 1 :])
        if fields.get("board_row") is not None:
            with contextlib.suppress(OSError, ValueError):
                self.board = Board.attach(descriptors.pop(0))
                self.row = self.board.row(int(fields["board_row"]))
                self._fellow = Fellow(self._server, self.board, int(fields["board_row"]))
        if fields.get("has_stack_file"):
            self._stacks_fd = descriptors.pop(0)

    def _report(self) -> None:
        """Write into the row how this worker is, and have stacks written where the master reads them."""
        if self._stacks_fd >= 0:
            processes.show_stacks_on_request(self._stacks_fd)
        if self.row is not None:
            report = Report(self.row, note_in(self.row.entries), self._server)
            report.tell_of_stacks(self._stacks_fd, lambda: self._link.send("stacks"))
            self._server.on_tick.append(report.on_tick)
            self.row[Field.LOOKED_AT] = to_ms(time.monotonic())  # from now on it is judged by its row

    def run(self) -> NoReturn:
        """Serve until the master or a signal ends it, then leave the process."""
        name_process(worker_name(self._place))
        set_place(self._place, self._workers)
        for number in _MASTERS:
            if number in _NEVER_HEARD or not callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_IGN)
        self._link.send("born", pid=os.getpid())
        server = self._server
        end = ProcessEnd(lambda: server.drain_end, server.adjustments.shutdown_timeout, has_program=False)
        server.notifier = LinkNotifier(self._link, self._watchdog_seconds)
        server.on_stop = end.begin
        server.says_signals = False
        server.on_ready.append(self._listen_to_master)
        share_spools(self._share_spool)
        self._report()
        try:
            with end.bounded(), patient_signals(reopens=True), operator_log.running():
                processes.hear_signals()
                server.open(self._listeners)
                server.run()
        except SystemExit as error:  # a signal before the server heard it, or a handler of the application
            self._status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:  # border: plugins; whatever it is, the master tells that the worker has ended
            self._status = 1
            traceback.print_exc()
        leave_process(self._status)

    def _share_spool(self, fd: int, path: str, mode: int) -> bool:
        """Let the master have the lines that wait for a file, should this process be killed."""
        return self._link.send("spool", [fd], path=path, mode=mode)

    def _listen_to_master(self, _serving: str) -> None:
        threading.Thread(target=self._obey, name="waitressd-link", daemon=True).start()

    def _obey(self) -> None:
        self._link.socket.setblocking(True)
        while not self._link.is_over:
            try:
                messages = self._link.receive()
            except LinkError:
                break
            for message in messages:
                self._act(message)
        # The master is gone. Nobody would take this worker's place, and its address must be free for the next master.
        self._status = ORPHANED
        self._server.stop(ORPHAN_DRAIN_SECONDS, takes_backlog=False)
        time.sleep(ORPHAN_END_SECONDS)
        os._exit(ORPHANED)

    def _act(self, message: Message) -> None:
        match message.name:
            case "drain":
                fields: dict[str, Any] = message.fields
                for listener in self._listeners:  # whoever waits there is for the next start
                    listener.is_kept = bool(fields.get("leaves_backlog"))
                self._server.stop(float(fields["seconds"]), takes_backlog=bool(fields["is_last"]))
            case "set_aside":
                # Nothing of what it has ends, so nothing new must come to it; what it has may end as at any stop.
                self._server.stop(float(message.fields["seconds"]), takes_backlog=False)
            case "abort":
                self._server.abort()
            case "insight":
                self._server.adopt_admin(socket.socket(fileno=message.descriptors[0]))
            case "count":
                if (row := adopted_row()) is not None:
                    row.refresh()
            case "reopen":
                self._server.reopen_soon()
            case "mailboxes" if self._fellow is not None:
                self._fellow.learn(message, self._listeners)
            case _:
                message.close()


def run_worker_of(server: Server) -> RunWorker:
    """Return what a template calls in each process that it forks."""

    def run(link: Link, order: Message) -> NoReturn:
        WorkerProcess(server, link, order).run()

    return run


def sockets_from(order: Message) -> list[tuple[str, socket.socket]]:
    """Take the listening sockets that the master has passed, each with the address that it was opened for."""
    asked = order.fields["listeners"]
    descriptors = order.descriptors[len(order.descriptors) - len(asked) :]
    return [(str(address), socket.socket(fileno=fd)) for address, fd in zip(asked, descriptors, strict=True)]
