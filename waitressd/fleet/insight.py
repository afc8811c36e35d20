"""The admin addresses of a fleet: the master owns them, and answers there by a thread of its own.

Imported where there is such an address alone.
"""

import contextlib
import socket
import time
from collections import deque
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, Final

from waitressd.config.adjustments import Adjustments
from waitressd.fleet import processes
from waitressd.fleet.board import MS_PER_SECOND, Field, Row
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster, Worker
from waitressd.fleet.states import Life, WorkerStage
from waitressd.insight.addresses import AdminAddresses
from waitressd.insight.crowd import Member
from waitressd.insight.documents import place_of
from waitressd.insight.fleet import FleetEndpoints
from waitressd.insight.fleetview import FleetState
from waitressd.insight.page import page_endpoint
from waitressd.insight.prometheus import metrics_endpoints
from waitressd.insight.silent import Held
from waitressd.listeners import open_admin_listeners
from waitressd.net.listener import ADMIN, Listener
from waitressd.wsgi.clock import http_date

LIFE_WORDS: Final = {
    Life.STARTING: "starting",
    Life.SERVING: "serving",
    Life.FAILING: "draining",
    Life.STOPPING: "draining",
    Life.ABORTING: "draining",
    Life.ENDED: "stopped",
}
LEAVING: Final = "leaving"

_SINCE: Final = {
    "age_seconds": Field.BORN_AT,
    "looked_seconds": Field.LOOKED_AT,
    "turned_seconds": Field.TURNED_AT,
    "moved_seconds": Field.ENDED_AT,
}
_COUNTS: Final = {
    "connections": Field.CONNECTIONS,
    "idle_connections": Field.IDLE,
    "busy_threads": Field.BUSY,
    "threads_limit": Field.THREADS,
    "queue_depth": Field.QUEUED,
    "requests": Field.REQUESTS,
    "accepted": Field.ACCEPTED,
    "passed_on": Field.PASSED_ON,
    "taken_over": Field.TAKEN_OVER,
    "rebalanced": Field.REBALANCED,
}


class FleetInsight:
    """What a master has of insight. The master's thread, but for what `FleetView` promises to any thread."""

    def __init__(self, plan: Plan, roster: Roster, longest_sleep_seconds: float) -> None:
        self._plan = plan
        self._roster = roster
        self.longest_sleep_seconds = longest_sleep_seconds
        self.live_timeout = 0.0
        now = time.monotonic()
        self.state = FleetState("starting", now, 0, now, now)
        self._addresses: AdminAddresses | None = None
        self._listeners: dict[str, list[Listener]] = {}
        self._shows_query = False
        self._wanted: deque[Worker] = deque()  # whose stacks somebody waits for
        # What the thread of the admin address has to say to the master's loop.
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that can be read when something was asked for."""
        return self._ours.fileno()

    def take_orders(self) -> bool:
        """Do what was asked for since the last time, all but a stop; whether that was asked for."""
        try:
            asked = self._ours.recv(4096)
        except BlockingIOError:
            return False
        while self._wanted:
            self._roster.ask_for_stacks(self._wanted.popleft())
        return b"\0" in asked

    def open(self, adjustments: Adjustments) -> None:
        """Answer where a configuration says, besides the addresses that there are. Raises OSError or ConfigError."""
        listeners = open_admin_listeners(adjustments, self._listeners)
        for listener in listeners:
            known = self._listeners.setdefault(listener.asked, [])
            if listener not in known:
                known.append(listener)
        self.live_timeout = adjustments.live_timeout
        self._shows_query = adjustments.admin_show_query
        every = [listener for held in self._listeners.values() for listener in held]
        if self._addresses is None:
            self._addresses = AdminAddresses(adjustments, http_date)
            self._addresses.open(every)
            endpoints = FleetEndpoints(self, place_of(adjustments))
            every_endpoint = [*endpoints.endpoints(), page_endpoint()]
            if self._roster.metrics is not None:
                view = self._roster.metrics.view
                view.refresh = self._refresh_rows
                view.not_ready = lambda: endpoints.not_ready()[0]
                every_endpoint += metrics_endpoints(view)
            self._addresses.start_with(every_endpoint)
            _ = endpoints.inquiry  # which may take its time from here on
        else:
            self._addresses.change(adjustments, every)

    def copies(self) -> list[Listener]:
        """Return copies of the listeners. Raises OSError: no descriptor is left."""
        copies: list[Listener] = []
        try:
            for held in self._listeners.values():
                copies.extend(listener.copy() for listener in held)
        except OSError:
            for copy in copies:
                copy.socket.close()
            raise
        return copies

    def leave_to_others(self) -> None:
        """Answer no more; at copies of the listeners others wait now."""
        for held in self._listeners.values():
            for listener in held:
                listener.is_kept = True
        self.close()

    def hold(self, listeners: Sequence[Listener]) -> None:
        """Use these, which are open already, at the addresses that they were opened for. Before `open`."""
        for listener in listeners:
            self._listeners.setdefault(listener.asked, []).append(listener)

    def keep(self, every: Sequence[Adjustments]) -> None:
        """Close what none of these configurations names, of which the last one holds."""
        if self._addresses is None or not every:
            return
        wanted = {f"{ADMIN} {address}" for adjustments in every for address in adjustments.admin_addresses}
        self._listeners = {asked: held for asked, held in self._listeners.items() if asked in wanted}
        self._addresses.change(every[-1], [listener for held in self._listeners.values() for listener in held])

    def reload(self) -> None:
        """Read the tokens again. A thread that may wait for a disk."""
        if self._addresses is not None:
            self._addresses.reload()

    def look(self, now: float, *, is_leaving: bool) -> None:
        """Note how the fleet is."""
        life = LIFE_WORDS[self._plan.life]
        if is_leaving and life == "serving":
            life = LEAVING
        workers = list(self._plan.crew.workers.values())
        serving = sum(worker.stage is WorkerStage.SERVING for worker in workers)
        before = self.state
        since = before.since if before.life == life else now
        deserted = before.deserted_since if not before.serving and not serving else now
        self.state = FleetState(life, since, serving, deserted, now)

    def close(self) -> None:
        """Answer no more."""
        if self._addresses is not None:
            self._addresses.close()
        self._ours.close()
        self._theirs.close()

    # -- for any thread: see FleetView

    def members(self) -> list[Member]:
        """Return the workers that can be asked, by their places."""
        known = self._plan.crew.workers
        found = [
            Member(
                worker.place,
                worker.pid,
                known[worker.number].generation,
                partial(_pass_on, worker),
                partial(self._held, worker),
                partial(self._stacks, worker),
            )
            for worker in list(self._roster.workers.values())
            if worker.is_ready and worker.number in known
        ]
        return sorted(found, key=lambda member: (member.worker, member.generation))

    def _refresh_rows(self, rows: Collection[int]) -> None:
        """Have workers write down what they have counted."""
        for worker in list(self._roster.workers.values()):
            if worker.row in rows and (link := worker.link) is not None:
                link.send("count")

    def drain(self) -> None:
        """Have the master's loop stop the fleet."""
        self._tell(b"\0")

    def _held(self, worker: Worker) -> Held | None:
        """Say what is known of a worker without asking it."""
        row, known = self._roster.row_of(worker), self._plan.crew.workers.get(worker.number)
        if row is None or known is None:
            return None
        requests = row.in_hand()
        return Held(
            # As they are at this moment, also where the worker has hung since it wrote its figures.
            figures_of(row, known.stage, time.monotonic())
            | {"busy_threads": len(requests), "private_bytes": worker.private_bytes},
            requests,
            is_stopped=processes.is_stopped(worker.pid),
            shows_query=self._shows_query,
        )

    def _stacks(self, worker: Worker, seconds: float) -> str:
        """Return the stacks of a worker. The master's loop alone may signal it: by then its number may be another's."""

        def request() -> None:
            self._wanted.append(worker)
            self._tell(b"\1")

        return self._roster.stacks_of(worker, request, seconds)

    def _tell(self, what: bytes) -> None:
        with contextlib.suppress(OSError):  # the loop was told already, or is at its end
            self._theirs.send(what)


def figures_of(row: Row, stage: WorkerStage, now: float) -> dict[str, Any]:
    """Return what a worker has written of itself, and its master of it. `now` is monotonic seconds."""
    since = {name: row[field] for name, field in _SINCE.items()}
    ages = {name: round(max(0.0, now - at / MS_PER_SECOND), 3) if at else None for name, at in since.items()}
    return {"stage": stage.name.lower(), **ages, **{name: row[field] for name, field in _COUNTS.items()}}


def _pass_on(worker: Worker, fd: int) -> bool:
    """Hand a worker a connection. Any thread: sending is one system call."""
    link = worker.link
    return link is not None and link.send("insight", [fd])
