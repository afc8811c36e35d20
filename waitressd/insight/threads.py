"""All threads of the process, those of the application too: what each is for, where it is, how much it computes.

Any thread, without a lock.
"""

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from waitressd.dispatch.lane import Lane
from waitressd.dispatch.reports import is_busy
from waitressd.dispatch.role import Worker
from waitressd.insight.cpushares import CpuShares, python_threads
from waitressd.insight.documents import text
from waitressd.insight.looks import LOOK_THREADS, Look, look_at
from waitressd.insight.slices import Steps
from waitressd.net import stacks
from waitressd.net.exchange import Exchange
from waitressd.net.stacks import Stack

ROLES: Final = ("dispatcher", "task", "waiting", "watcher", "insight", "log", "other")
"""What a thread may be for."""

# Threads of ours that are no workers, by the beginning of their names.
_OURS: Final = {"waitressd-insight": "insight", "waitressd-log": "log", "request-log-": "log"}


class ThreadView(NamedTuple):
    """One thread at one moment. Times in seconds; None is unknown."""

    name: str
    role: str
    """One of ROLES. The holder of the dispatcher role is a `task` while it runs a request itself."""
    native_id: int | None
    """What the system calls it, as in `top -H`."""
    busy_seconds: float | None
    """How long it has been running what it runs; None for one that runs nothing of the server's."""
    request: str | None
    """The id of the request that it runs."""
    cpu_share: float | None
    """Of one processor: 0 for one that waits, 1 for one that computes."""
    place: str | None
    """Where it is: "file:line function"."""
    stack: Stack


class Threads:
    """The threads of a process in which these lanes are; `watcher_id` is the one that looks after them."""

    def __init__(self, lanes: Sequence[Lane], watcher_id: int, worker_number: int, shares: CpuShares) -> None:
        self._lanes = lanes
        self._watcher_id = watcher_id
        self._worker_number = worker_number
        self._shares = shares
        self._workers = {worker.thread_id: worker for lane in lanes for worker in lane.workers}

    def views(self, now: float) -> Steps[list[ThreadView]]:
        """Return every thread as it is at this moment; `now` is the monotonic time. Pauses between slices."""
        known = python_threads()
        # Threads that Python did not start are known by their frames alone.
        ids = [*known, *(thread_id for thread_id in stacks.known_threads() if thread_id not in known)]
        found: list[ThreadView] = []
        for first in range(0, len(ids), LOOK_THREADS):
            looks = look_at(ids[first : first + LOOK_THREADS], self._workers)
            found += [self._view(look, known.get(look.thread_id), now) for look in looks]
            yield
        return sorted(found, key=lambda view: (ROLES.index(view.role), -(view.busy_seconds or 0.0), view.name))

    def _view(self, look: Look, thread: threading.Thread | None, now: float) -> ThreadView:
        worker = self._workers.get(look.thread_id)
        is_at_work = worker is not None and is_busy(worker)
        native_id = thread.native_id if thread is not None else None
        exchange = look.exchange
        return ThreadView(
            name=text(thread.name if thread is not None else None) or f"thread {look.thread_id}",
            role=self._role_of(worker) if worker is not None else self._role_beside(look.thread_id, thread),
            native_id=native_id,
            busy_seconds=round(max(0.0, now - look.started), 4) if is_at_work and look.started else None,
            request=exchange_id(self._worker_number, exchange, look.number) if exchange is not None else None,
            cpu_share=self._shares.share(native_id),
            place=look.stack.place or None,
            stack=look.stack,
        )

    def _role_of(self, worker: Worker) -> str:
        if is_busy(worker):
            return "task"
        return "dispatcher" if any(lane.dispatcher.role.holder is worker for lane in self._lanes) else "waiting"

    def _role_beside(self, thread_id: int, thread: threading.Thread | None) -> str:
        if thread_id == self._watcher_id:
            return "watcher"
        name = thread.name if thread is not None else ""
        return next((role for start, role in _OURS.items() if name.startswith(start)), "other")


def exchange_id(worker_number: int, exchange: Exchange, number: int) -> str:
    """Return the id of one request of an exchange: WORKER-CONNECTION-REQUEST."""
    return f"{worker_number}-{exchange.line.number}-{number}"
