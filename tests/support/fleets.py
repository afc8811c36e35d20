"""A fleet in processes of its own: start it in one of the ways, watch its log and its processes, and end it."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Address, Client
from tests.support.load import Books, Load, Loss
from tests.support.processes import HAS_PROC, Member, kill_session, living
from tests.support.servers import START_SECONDS, ServerProcess, spawn, wait_until_accepting
from tests.support.site import Site
from tests.support.waiting import wait_until

LATELY_SECONDS: Final = 0.5
"""A worker that serves under load has answered somebody in this time."""

needs_a_fleet: Final = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not HAS_PROC, reason="processes are forked and adopted on Linux alone"
)

SERVING: Final = re.compile(r"Serving on (?:http://)?(?:unix:(\S+)|([\w.]+):(\d+))")

# What the log says of the fleet.
RELOADED: Final = r"reload done: "
REFUSED: Final = r"reload refused: .*"
ROLLED_BACK: Final = r"rolled back: generation"
DIED: Final = r"worker (\d+) \(pid \d+, generation \d+\) died"


class Fleet(ServerProcess):
    """The master's process and what it has started."""

    @property
    def address(self) -> Address:
        """The first address that it serves on."""
        path, host, port = SERVING.search(self.output).groups()  # type: ignore[union-attr]  # the test has waited for it
        return path or (host, int(port))

    @property
    def metrics(self) -> tuple[str, int]:
        """Where the page of its metrics is."""
        return "127.0.0.1", int(self.wait_for(r"Metrics on http://127\.0\.0\.1:(\d+)/metrics")[1])

    def mark(self) -> int:
        """Return a place in the output, for `wait_for` to look behind it."""
        with self._changed:
            return len(self._lines)

    def since(self, mark: int) -> str:
        """Return the output behind a place."""
        with self._changed:
            return "".join(self._lines[mark:])

    def wait_for(self, pattern: str, mark: int = 0, seconds: float = START_SECONDS) -> "re.Match[str]":
        """Wait until the output behind `mark` has a match for `pattern`; fail if the process ends first."""

        def found() -> "re.Match[str] | None":
            return re.search(pattern, "".join(self._lines[mark:]))

        with self._changed:
            self._changed.wait_for(lambda: self._ended or found(), seconds)
            match = found()
        assert match, f"no {pattern!r} within {seconds} s:\n{self.since(mark)}\nafter this:\n{self.output[-4000:]}"
        return match

    def members(self) -> list[Member]:
        """Return what lives of the fleet: the master, its template, its workers."""
        return living(self.pid)

    def who(self) -> dict[str, Any]:
        """Ask whoever answers who it is."""
        with Client(self.address) as client:
            answer = client.get("/who", "Connection: close")
        assert answer.status == 200, answer
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def workers(self, count: int, seconds: float = START_SECONDS) -> dict[int, dict[str, Any]]:
        """Ask until `count` processes have answered at the same version; return each one's answer by its pid."""
        found: dict[int, dict[str, Any]] = {}

        def are_all_here() -> bool:
            # Several at once, so that one worker does not take them all.
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(Client(self.address)) for _ in range(4 * count)]
                for client in clients:
                    client.send(b"GET /sleep/0.02 HTTP/1.1\r\nHost: a\r\n\r\n")
                for client in [client for client in clients if not client.receive().closes]:
                    answer = json.loads(client.get("/who").body)
                    found[answer["pid"]] = answer
            gone = found.keys() - {member.pid for member in self.members()}
            for pid in gone:
                del found[pid]
            return len(found) >= count

        assert wait_until(are_all_here, seconds), f"{len(found)} workers instead of {count}: {found}\n{self.output}"
        return found

    def reload(self, outcome: str = RELOADED, seconds: float = START_SECONDS) -> str:
        """Send SIGHUP and wait for what the log says about its outcome; return the log since the signal."""
        mark = self.mark()
        self.signal(signal.SIGHUP)
        self.wait_for(outcome, mark, seconds)
        return self.since(mark)

    def cut_off(self) -> None:
        """Stop it without waiting for requests."""
        self.signal(signal.SIGTERM)
        self.wait_for("SIGTERM: stopping")  # two that come at once would be one
        self.signal(signal.SIGTERM)
        self.wait(20)

    def signal_group(self, number: signal.Signals) -> None:
        """Signal each process of the group, as a terminal and a service manager do."""
        os.killpg(self.pid, number)

    def is_gone_within(self, seconds: float) -> bool:
        """Whether no process of the fleet is left after at most so long."""
        return wait_until(lambda: not self.members(), seconds)

    def end(self) -> None:
        """Take away what is left of it."""
        kill_session(self.pid)
        self.kill()


@contextlib.contextmanager
def started(site: Site, way: str = "config", environment: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """Start the command, whatever becomes of it, and take its processes away when the block ends."""
    fleet = Fleet(spawn(site.command(way), site.folder, {**site.environment(), **(environment or {})}))
    try:
        yield fleet
    finally:
        fleet.end()


@contextlib.contextmanager
def serving(site: Site, way: str = "config", environment: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """Start a fleet and wait until all its workers serve."""
    with started(site, way, environment) as fleet:
        fleet.wait_for(r"Serving on \S+")
        wait_until_accepting(fleet.address)
        fleet.workers(int(str(site.settings["workers"])))
        yield fleet


@dataclass(frozen=True)
class Kill:
    """A worker that was killed under load: when, and which processes had answered shortly before."""

    victim: int
    moment: float
    living: frozenset[int]

    def seconds_to_replacement(self, books: Books) -> float:
        """Return after what time a process that was not there before has answered; infinity if none has yet."""
        return books.first_by_others(self.living, self.moment) - self.moment

    def explains(self, loss: Loss) -> bool:
        """Whether what a client has lost was in the hands of the worker that died."""
        if loss.pid:
            return loss.pid == self.victim and loss.noticed > self.moment
        return loss.sent < self.moment + 0.2 and loss.noticed > self.moment


MOVED_AT_MOST: Final = 12
"""Of 50 clients, by one look of a worker at who has how many."""


def unexplained(losses: Iterable[Loss], kills: Sequence[Kill]) -> list[Loss]:
    """Return what no kill explains.

    A connection that rests may have moved to the victim since the last answer on it, which was another's. Few do.
    """
    left = [loss for loss in losses if not any(kill.explains(loss) for kill in kills)]
    for kill in kills:
        moved = [loss for loss in left if loss.rested and 0 < loss.noticed - kill.moment < LATELY_SECONDS]
        if len(moved) <= MOVED_AT_MOST:
            left = [loss for loss in left if loss not in moved]
    return left


def kill_worker(load: Load, choose: Callable[[list[int]], int] = min, *, seconds: float = 20) -> Kill:
    """Kill one of the workers that answer, and wait until another has taken its place."""
    answered = load.books.pids(time.monotonic() - LATELY_SECONDS)
    living = frozenset(pid for pid in answered if Path(f"/proc/{pid}").exists())  # a reload may have replaced some
    victim = choose(sorted(living))
    kill = Kill(victim, time.monotonic(), living)
    os.kill(victim, signal.SIGKILL)
    assert wait_until(lambda: kill.seconds_to_replacement(load.books) < float("inf"), seconds), "not replaced"
    return kill
