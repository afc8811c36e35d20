"""Every process of a fleet as the master knows it: who it is, how it is talked to, how it is started and ended."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.board import NAMED, Board, Field, Row, to_ms
from waitressd.fleet.codes import Loading, run_command
from waitressd.fleet.guard import Guard
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Keep, Link, LinkError, Message
from waitressd.fleet.mailboxes import Mailboxes
from waitressd.fleet.moved import Moved
from waitressd.fleet.processes import Death
from waitressd.fleet.stackfile import SETTLED_SECONDS, StackFile, with_requests
from waitressd.metrics.fleet import FleetMetrics
from waitressd.net.listener import Listener
from waitressd.net.logs import say

UNLINKED_SECONDS: Final = 5.0  # for the end of a process that has closed its link: hooks, threads, last words
STACKS_SECONDS: Final = 1.0  # between the wish for the stacks of a process and its end
STACKS_APART_SECONDS: Final = 0.1  # for each process to write what it has
_STANDARD_ERROR: Final = 2


@dataclass(slots=True, eq=False)
class Process:
    """One process below the master. Its link is None once the other end is closed."""

    pid: int
    link: Link | None
    loading: Loading | None = None  # while it runs the command

    def tell(self, name: str, descriptors: Sequence[int] = (), **fields: object) -> None:
        """Send it a message. One that does not take it any more will be ended at its deadline."""
        if self.link is not None:
            self.link.send(name, descriptors, **fields)

    def receive(self) -> list[Message]:
        """Take what it has said, and close the link at its end."""
        link, messages = self.link, []
        while link is not None:
            try:
                found = link.receive()
            except LinkError:
                found, link.is_over = [], True
            messages += found
            if link.is_over:
                link.close()
                self.link = None
            if link.is_over or not found:
                break
        return messages

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write down for another program in this process what leads to it."""
        return {
            "pid": self.pid,
            "link": self.link.carry(keep) if self.link is not None else None,
            "loading": self.loading.carry(keep) if self.loading is not None and self.loading.pipe >= 0 else None,
        }

    def close(self) -> None:
        """Let go of everything that leads to it."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.loading is not None:
            self.loading.close()
            self.loading = None


@dataclass(slots=True, eq=False)
class Code(Process):
    """A process that has loaded a code, or is about to, and the code itself, which outlives it."""

    number: int = 0
    hello: Hello | None = None
    listeners: Sequence[Listener] = ()


@dataclass(slots=True, eq=False)
class Worker(Process):
    """A worker; pid 0 until it is known."""

    number: int = 0
    place: int = 0
    code: int = 0
    is_ready: bool = False
    row: int | None = None  # of the metrics
    board_row: int | None = None  # None: it does without
    private_bytes: int | None = None  # of its memory, as it was measured last
    stacks: StackFile | None = None  # where it writes them, from the order to serve on


_OF_WORKER: Final = ("number", "place", "code", "is_ready", "row", "board_row")


def _resumed(fields: Mapping[str, Any]) -> tuple[int, Link | None, Loading | None]:
    """Read what `Process.carry` has written down. Raises OSError: a descriptor is not what it was."""
    link, loading = fields["link"], fields["loading"]
    return fields["pid"], link and Link.resume(link), loading and Loading.resume(loading)


@dataclass(slots=True)
class Roster:
    """All processes of one fleet. The master's thread."""

    command: StartCommand
    watchdog_seconds: float = 0.0
    metrics: FleetMetrics | None = None  # where there is a code that counts
    guard: Guard = field(default_factory=Guard)
    mailboxes: Mailboxes = field(default_factory=Mailboxes)
    board: Board | None = None  # from the first worker on, where there is memory for it
    _unknown: dict[int, Death] = field(default_factory=dict)
    codes: dict[int, Code] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)
    _later: list[tuple[float, int, int]] = field(default_factory=list)  # signals: when, to which process, which
    _moved: Moved = field(default_factory=Moved)
    _stacks_until: float = 0.0  # somebody was asked for stacks: until then they may come at any moment

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write them all down for another program in this process. Without the metrics."""
        listeners = self.listeners()
        return {
            "listeners": [listener.carry(keep) for listener in listeners],
            "codes": [
                {
                    **code.carry(keep),
                    "number": code.number,
                    "hello": code.hello.fields() if code.hello is not None else None,
                    "listeners": [listeners.index(listener) for listener in code.listeners],
                }
                for code in self.codes.values()
            ],
            "workers": [
                worker.carry(keep)
                | {name: getattr(worker, name) for name in _OF_WORKER}
                | {"stacks": worker.stacks.carry(keep) if worker.stacks is not None else None}
                for worker in self.workers.values()
            ],
            "mailboxes": self.mailboxes.carry(keep),
            "board": keep(self.board.fd) if self.board is not None else None,
            "guard": self.guard.carry(keep),
            "unknown": [[death.pid, death.status] for death in self._unknown.values()],
            "later": self._later,
        }

    def resume(self, fields: Mapping[str, Any]) -> None:
        """Go on with those that `carry` has written down. Raises OSError: a descriptor is not what it was."""
        listeners = [Listener.resume(each) for each in fields["listeners"]]
        for each in fields["codes"]:
            code = Code(*_resumed(each), number=each["number"])
            code.hello = Hello.carried(each["hello"]) if each["hello"] is not None else None
            code.listeners = [listeners[index] for index in each["listeners"]]
            self.codes[code.number] = code
        self.mailboxes.resume(fields["mailboxes"])
        self._resume_board(fields["board"])
        for each in fields["workers"]:
            worker = Worker(*_resumed(each), **{name: each[name] for name in _OF_WORKER})
            worker.stacks = StackFile.resume(each["stacks"]) if each["stacks"] is not None else None
            worker.board_row = worker.board_row if self.board is not None else None
            self.workers[worker.number] = worker
        self.guard = Guard.resume(fields["guard"])
        self._unknown = {pid: Death(pid, status) for pid, status in fields["unknown"]}
        self._later = [(at, pid, number) for at, pid, number in fields["later"]]

    def _resume_board(self, fd: int | None) -> None:
        if fd is not None:
            os.set_inheritable(fd, False)
            with contextlib.suppress(ValueError):  # its rows mean something else; the next workers have another one
                self.board = Board.attach(fd)

    def load(self, number: int) -> Code:
        """Run the command for a new code. Raises OSError."""
        pid, link, loading = run_command(self.command)
        self.codes[number] = code = Code(pid, link, loading, number)
        return code

    def spawn(self, number: int, place: int, code: int) -> Worker:
        """Have a worker born. Raises OSError; that a template cannot, the end of the link says."""
        of = self.codes[code]
        if of.hello is not None and not of.hello.is_preloaded:
            pid, link, loading = run_command(self.command)
            worker = Worker(pid, link, loading, number, place, code)
            self.guard.watch(pid)
        else:
            link, theirs = Link.pair()
            link.socket.setblocking(False)
            worker = Worker(0, link, None, number, place, code)
            self._order(worker, of, "fork", theirs.fileno())
            theirs.close()
        self.workers[number] = worker
        return worker

    def serve(self, worker: Worker) -> None:
        """Tell a worker that has loaded the application for itself to serve."""
        self._order(worker, worker, "serve", _STANDARD_ERROR)

    def be_template(self, code: Code) -> None:
        """Tell a process that has loaded a code to be its template."""
        code.tell("template", [_STANDARD_ERROR], code=code.number)

    def _order(self, worker: Worker, whom: Process, name: str, first: int) -> None:
        """Tell a process how a worker serves: itself, or one that it forks."""
        code = self.codes[worker.code]
        assert code.hello is not None
        descriptors = [first]
        if self.metrics is not None and code.hello.counts:
            worker.row = self.metrics.claim(worker.place)
            descriptors.append(self.metrics.fd)
        counts = len(descriptors) > 1
        self._claim_row(worker)
        if self.board is not None and worker.board_row is not None:
            descriptors.append(self.board.fd)
        with contextlib.suppress(OSError):  # no memory: they go to standard error
            worker.stacks = StackFile()
            descriptors.append(worker.stacks.fd)
        whom.tell(
            name,
            [*descriptors, *(listener.fd for listener in code.listeners)],
            worker=worker.number,
            place=worker.place,
            workers=code.hello.workers,
            listeners=[listener.asked for listener in code.listeners],
            watchdog_seconds=self.watchdog_seconds,
            counts=counts,
            row=worker.row,
            board_row=worker.board_row,
            has_stack_file=worker.stacks is not None,
        )

    def _claim_row(self, worker: Worker) -> None:
        """Give a worker a row of the board, where there is one."""
        if self.board is None:
            with contextlib.suppress(OSError):  # no memory: workers do without, and the next one tries again
                self.board = Board.create()
        if self.board is None:
            return
        worker.board_row = self.board.claim(worker.number)
        row = self.row_of(worker)
        if row is not None:
            row[Field.PLACE] = worker.place
            row[Field.PID] = worker.pid
            row[Field.BORN_AT] = to_ms(time.monotonic())

    def row_of(self, worker: Worker) -> Row | None:
        """Return the row of a worker on the board; None if it has none."""
        if self.board is None or worker.board_row is None:
            return None
        return self.board.row(worker.board_row)

    def name(self, worker: Worker, pid: int) -> None:
        """The pid of a worker is known now."""
        worker.pid = pid
        row = self.row_of(worker)
        if row is not None:
            row[Field.PID] = pid

    def note_stage(self, number: int, stage: int) -> None:
        """The plan has moved a worker, or has not."""
        worker = self.workers.get(number)
        row = self.row_of(worker) if worker is not None else None
        if row is not None:
            row[Field.STAGE] = stage

    def moved_connections(self) -> dict[str, int]:
        """Return how many connections workers have given to each other since the start, by why. Any thread."""
        return self._moved.look(self.board)

    def retire(self, worker: Worker) -> None:
        """It has ended: what it has counted stays, and its row of the board is the next one's. Twice is harmless."""
        if self.metrics is not None and worker.row is not None:
            self.metrics.retire(worker.row)
        if worker.stacks is not None:
            self._log_stacks(worker, worker.stacks.close(), time.monotonic())
        if self.board is not None and worker.board_row is not None:
            self._moved.look(self.board)
            self.board.free(worker.board_row)
            worker.board_row = None
            self._moved.bury(worker.number)  # last: a look in another thread would find it again

    def in_hand(self, worker: Worker, now: float) -> str:
        """Name the requests that a worker has in hand, in a part of a line; "" if there are none."""
        row = self.row_of(worker)
        found = row.in_hand() if row is not None else []
        named = [f"{request.describe()} ({max(0.0, now - request.since):.1f} s)" for request in found[:NAMED]]
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return f"; it had in hand {', '.join(named)}{more}" if found else ""

    def pass_on_stacks(self, now: float) -> None:
        """Log the stacks that workers have written and nobody has asked for but by a signal."""
        for worker in self.workers.values():
            if worker.stacks is not None:
                self._log_stacks(worker, worker.stacks.look(now), now)

    def _log_stacks(self, worker: Worker, stacks: str, now: float) -> None:
        if stacks:
            row = self.row_of(worker)
            pid = row[Field.PID] if row is not None else worker.pid
            stacks = with_requests(stacks, row.in_hand() if row is not None else (), now)
            say(logging.WARNING, "the stacks of worker %d (pid %d):\n%s", worker.place, pid, stacks)

    def stacks_of(self, worker: Worker, request: Callable[[], object], seconds: float) -> str:
        """Return the stacks of a worker with its requests; "" if it has not written any in this time.

        Any thread but the master's, which alone may signal: `request` has it call `ask_for_stacks`. A worker that hangs
        in C code answers, too; one that is stopped does when it goes on, and then it is logged.
        """
        if worker.stacks is None:
            return ""
        stacks = worker.stacks.ask(request, seconds)
        row = self.row_of(worker)
        return with_requests(stacks, row.in_hand() if row is not None else (), time.monotonic())

    def ask_for_stacks(self, process: Process) -> None:
        """Have a process write its stacks. A worker's are logged, unless `stacks_of` waits for them."""
        if process.pid:
            self._signal(process.pid, signal.SIGQUIT)

    def _signal(self, pid: int, number: int) -> None:
        processes.kill(pid, number)
        if number == signal.SIGQUIT:
            self._stacks_until = time.monotonic() + STACKS_SECONDS

    def close(self) -> None:
        """Let go of everything that belongs to the whole fleet; its processes have ended. Twice is harmless."""
        self.guard.close()
        self.mailboxes.close()
        for worker in self.workers.values():
            if worker.stacks is not None:
                worker.stacks.close()
        if self.board is not None:
            self.board.close()
            self.board = None

    def introduce(self, worker: Worker) -> None:
        """Let a worker that serves from now on, and its siblings, pass clients to each other."""
        if worker.board_row is not None:
            others = (other for other in self.workers.values() if other.is_ready and other is not worker)
            self.mailboxes.introduce(worker, others)

    def keep_unknown(self, death: Death) -> None:
        """Keep the death of nobody: perhaps of a worker that has ended before its template could tell its number."""
        if any(not worker.pid for worker in self.workers.values()):
            self._unknown[death.pid] = death

    def take_unknown(self, pid: int) -> Death | None:
        """Return the death of a worker whose number is known now; later such numbers may be others'."""
        death = self._unknown.pop(pid, None)
        if all(worker.pid for worker in self.workers.values()):
            self._unknown.clear()
        return death

    def everyone(self) -> Iterator[Process]:
        """Yield every process."""
        yield from self.codes.values()
        yield from self.workers.values()

    def listeners(self) -> list[Listener]:
        """Return the listeners of all codes."""
        return list(dict.fromkeys(listener for code in self.codes.values() for listener in code.listeners))

    def held(self) -> dict[str, list[Listener]]:
        """Return the listeners of all codes, by the addresses that were asked for."""
        found: dict[str, list[Listener]] = {}
        for code in self.codes.values():
            for listener in code.listeners:
                if listener not in found.setdefault(listener.asked, []):
                    found[listener.asked].append(listener)
        return found

    def keep_addresses(self, codes: Sequence[int]) -> None:
        """Close every listener that none of these codes wants, and forget the others, if their processes are gone.

        A code may be forgotten already that the plan still knows as the way back.
        """
        kept = {id(listener) for number in codes if number in self.codes for listener in self.codes[number].listeners}
        for code in self.codes.values():
            for listener in code.listeners:
                if id(listener) not in kept:
                    if not codes:  # the workers serve the backlog to its end
                        listener.seal()
                    listener.close()
        for code in self.codes.values():
            if code.number not in codes:
                code.listeners = ()
        if codes:  # else the fleet is at its end, and what is still there may say something
            self.codes = {number: code for number, code in self.codes.items() if number in codes or code.pid}

    def kill(self, process: Process, *, with_stacks: bool) -> None:
        """End a process, now or when it has had a moment to write its stacks.

        One that is not born yet says so when it is, and the plan asks again; or its link ends with its template.
        """
        if not process.pid:
            return
        if with_stacks:
            self.ask_for_stacks(process)
            self.kill_later(process, STACKS_SECONDS)
        else:
            processes.kill(process.pid)

    def kill_later(self, process: Process, seconds: float) -> None:
        """End a process that is still there in so many seconds."""
        self._later.append((time.monotonic() + seconds, process.pid, signal.SIGKILL))

    def show_stacks(self) -> None:
        """Have every process write its stacks, one after the other: they share one standard error."""
        now = time.monotonic()
        pids = [process.pid for process in self.everyone() if process.pid]
        self._later += [(now + turn * STACKS_APART_SECONDS, pid, signal.SIGQUIT) for turn, pid in enumerate(pids)]

    def signal_due(self, now: float) -> None:
        """Send the signals whose moment has come."""
        due = [entry for entry in self._later if entry[0] <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        for _, pid, number in due:
            self._signal(pid, number)

    def next_signal(self) -> float:
        """When `signal_due` or `pass_on_stacks` is wanted next, monotonic seconds."""
        now = time.monotonic()
        times = [at for at, _, _ in self._later]
        times += [worker.stacks.due for worker in self.workers.values() if worker.stacks is not None]
        if now < self._stacks_until:
            times.append(now + SETTLED_SECONDS)
        return min(times, default=float("inf"))

    def forget_signals(self, pid: int) -> None:
        """It has ended: its number may soon be another's."""
        self._later = [entry for entry in self._later if entry[1] != pid]
