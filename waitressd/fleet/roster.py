"""Every process of a fleet as the master knows it: who it is, how it is talked to, how it is started and ended."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.codes import Loading, run_command
from waitressd.fleet.guard import Guard
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Keep, Link, LinkError, Message
from waitressd.fleet.processes import Death
from waitressd.metrics.fleet import FleetMetrics
from waitressd.net.listener import Listener

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


_OF_WORKER: Final = ("number", "place", "code", "is_ready", "row")


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
    _unknown: dict[int, Death] = field(default_factory=dict)
    codes: dict[int, Code] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)
    _later: list[tuple[float, int, int]] = field(default_factory=list)  # signals: when, to which process, which

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
                worker.carry(keep) | {name: getattr(worker, name) for name in _OF_WORKER}
                for worker in self.workers.values()
            ],
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
        for each in fields["workers"]:
            worker = Worker(*_resumed(each), **{name: each[name] for name in _OF_WORKER})
            self.workers[worker.number] = worker
        self.guard = Guard.resume(fields["guard"])
        self._unknown = {pid: Death(pid, status) for pid, status in fields["unknown"]}
        self._later = [(at, pid, number) for at, pid, number in fields["later"]]

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
        whom.tell(
            name,
            [*descriptors, *(listener.fd for listener in code.listeners)],
            worker=worker.number,
            place=worker.place,
            workers=code.hello.workers,
            listeners=[listener.asked for listener in code.listeners],
            watchdog_seconds=self.watchdog_seconds,
            counts=len(descriptors) > 1,
            row=worker.row,
        )

    def retire(self, worker: Worker) -> None:
        """It has ended: what it has counted stays."""
        if self.metrics is not None and worker.row is not None:
            self.metrics.retire(worker.row)

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
        """Close every listener that none of these codes wants, and forget the others, if their processes are gone."""
        kept = {id(listener) for number in codes for listener in self.codes[number].listeners}
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
            processes.kill(process.pid, signal.SIGQUIT)
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
            processes.kill(pid, number)

    def next_signal(self) -> float:
        """When `signal_due` is wanted next, monotonic seconds."""
        return min((at for at, _, _ in self._later), default=float("inf"))

    def forget_signals(self, pid: int) -> None:
        """It has ended: its number may soon be another's."""
        self._later = [entry for entry in self._later if entry[1] != pid]
