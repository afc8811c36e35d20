"""Who looks after the time limits of requests: finds those that are over, and keeps count of what becomes of them.

Nothing is armed for a request. The watcher looks at the tasks that run, often enough for the shortest limit, and
compares numbers; the limit of a request is worked out only when it is older than that. What it finds is left to the
holder of the role, who alone may end connections. A thread that hangs is never ended: its task stays *late* until it
returns by itself, and is counted, shown and, if the operator wants it, replaced meanwhile.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from waitressd.dispatch.reports import DispatcherLogs, is_busy
from waitressd.dispatch.role import Role, Worker
from waitressd.http.errors import HttpError
from waitressd.net import stacks
from waitressd.net.eventloop import Job, Settlement
from waitressd.net.exchange import Exchange
from waitressd.net.logs import say
from waitressd.net.stacks import Stack
from waitressd.net.timelimit import NO_LIMIT, NO_LIMITS, TIMEOUT_STATUS, Late, TimeLimits, Timing, end_in_time

LOOK_SECONDS: Final = 1.0  # between two looks at the tasks that run, at most
SHORTEST_LOOK_SECONDS: Final = 0.05
OUTCOME_SECONDS: Final = 10.0  # after which a late task counts as one that goes on
_LATE: Final = "The application did not answer request {} in time."
_CANCELLED: Final = "The operator of this server has ended request {}."


def look_seconds(limit_seconds: float) -> float:
    """Return how often tasks must be looked at for a limit: a quarter of it, within bounds."""
    return max(SHORTEST_LOOK_SECONDS, min(LOOK_SECONDS, limit_seconds / 4))


@dataclass(slots=True)
class Timeouts:
    """How often what became of late requests. Each number has one writer; any thread may read."""

    answered: int = 0
    """The server has answered 504 in place of the task."""
    cut: int = 0
    """The response had begun, and was cut off."""
    interrupted: int = 0
    """The task has ended within ten seconds after RequestTimeout was raised in it."""
    still_running: int = 0
    """The task was still running after ten seconds."""


@dataclass(slots=True, eq=False)
class LateTask:
    """A task that is over its time, or that the operator has ended, until it returns."""

    worker: Worker
    exchange: Exchange
    late: Late
    limit_seconds: float
    """NO_LIMIT for one that the operator has ended."""
    started: float
    """Monotonic seconds."""
    stack: Stack
    """Where it was when it was noticed."""
    was_interrupted: bool = False
    is_counted: bool = False

    @property
    def ended(self) -> float:
        """When it returned, 0.0 if that is not known."""
        timing = self.exchange.timing
        return timing.ended if timing is not None and timing.ended > self.started else 0.0

    @property
    def is_over(self) -> bool:
        """Whether it has returned."""
        return self.worker.job is not self.exchange or self.exchange.number != self.late.number or self.ended > 0


class Ending:
    """What the watcher leaves to the holder of the role: a late request is to be taken from its task."""

    def __init__(self, keeper: "Timekeeper", task: LateTask) -> None:
        self._keeper = keeper
        self._task = task

    def settle(self) -> None:
        """Do it, if it still has to be done."""
        self._keeper.end(self._task)

    def close(self) -> None:
        """That failed: end the connection."""
        self._task.exchange.line.close(reset=True)


class Refusal:
    """A request that waits for a thread is to be refused instead."""

    def __init__(self, role: Role, job: Job, text: str) -> None:
        self._role = role
        self._job = job
        self._text = text

    def settle(self) -> None:
        """Do it, unless a thread has taken it meanwhile."""
        if self._role.withdraw(self._job):
            self._job.refuse(HttpError(TIMEOUT_STATUS, self._text))

    def close(self) -> None:
        """That failed: end the connection."""
        self._job.close()


class Timekeeper:
    """The time limits of one lane."""

    def __init__(self, role: Role, logs: DispatcherLogs, clock: Callable[[], float]) -> None:
        self.limits: TimeLimits = NO_LIMITS  # set before the first thread starts
        self.timeouts = Timeouts()
        self.look_seconds = LOOK_SECONDS  # from the last look to the next one
        self.is_hurried = False  # a request has set a limit of its own for which that is too long
        self.ring: Callable[[], object] = bool  # wakes the watcher
        self._role = role
        self._logs = logs
        self._clock = clock
        self._late: dict[LateTask, None] = {}  # a set; each step is one of the interpreter

    # -- any thread

    @property
    def late_tasks(self) -> list[LateTask]:
        """The tasks that are over their time and had not returned at the last look."""
        return list(self._late)

    def limit_seconds(self, exchange: Exchange) -> float | None:
        """Return how long a request that runs may take; None without a limit."""
        timing = exchange.timing
        seconds = timing.limit(self.limits) if timing is not None else NO_LIMIT
        return None if seconds == NO_LIMIT else seconds

    @staticmethod
    def late_of(exchange: Exchange) -> Late | None:
        """Return what became of a request that runs and is over its time; None for any other."""
        late = exchange.timing.late if exchange.timing is not None else None
        return late if late is not None and late.number == exchange.number else None

    def note_limit(self, seconds: float) -> float:
        """A request has set a limit of its own, 0 for none; return when it began. The thread of its task."""
        if seconds and look_seconds(seconds) < self.look_seconds:
            self.is_hurried = True
            self.ring()
        me = threading.get_ident()
        return next((worker.started for worker in self._logs.workers if worker.thread_id == me), self._clock())

    def cancel(self, name: str) -> Settlement | None:
        """Return what ends a request by its name, which waits for a thread or has one; None if there is none."""
        for worker in list(self._logs.workers):
            job = worker.job
            if isinstance(job, Exchange) and is_busy(worker) and self._logs.name(job) == name:
                return self._ending(worker, job, NO_LIMIT, 0.0) if self.late_of(job) is None else None
        for job in self._role.queue.copy():
            if isinstance(job, Exchange) and self._logs.name(job) == name:
                return Refusal(self._role, job, _CANCELLED.format(name))
        return None

    # -- the watcher

    def look(self, now: float) -> list[Ending]:
        """Return what the holder of the role has to settle, and follow those that are late already."""
        self.is_hurried = False  # first: a limit that is set from here on is seen now, or asks for one more look
        found: list[Ending] = []
        least = self.limits.least_seconds
        for worker in list(self._logs.workers):
            exchange = worker.job
            if isinstance(exchange, Exchange) and exchange.timing is not None and is_busy(worker):
                least = min(least, exchange.timing.own_limit)
                ending = self._judge(worker, exchange, exchange.timing, now)
                found += [ending] if ending is not None else []
        self.look_seconds = look_seconds(least)
        for task in self.late_tasks:
            self._follow(task, now)
        return found

    def _judge(self, worker: Worker, exchange: Exchange, timing: Timing, now: float) -> Ending | None:
        """Return the end of a request if it is over its time."""
        # The number first: what is read afterwards is of that request, or of a later one, which is younger.
        number = timing.number
        seconds = now - timing.started
        if seconds < min(self.limits.least_seconds, timing.own_limit):
            return None
        limit = timing.limit(self.limits)
        if seconds < limit or number != exchange.number or self.late_of(exchange) is not None:
            return None
        return self._ending(worker, exchange, limit, now - timing.started)

    def _ending(self, worker: Worker, exchange: Exchange, limit: float, seconds: float) -> Ending:
        """Make the end of a request that has taken so long; `limit` is NO_LIMIT where the operator wants it."""
        name = self._logs.name(exchange)
        is_cancelled = limit == NO_LIMIT
        late = Late(
            name=name,
            number=exchange.number,
            text=(_CANCELLED if is_cancelled else _LATE).format(name),
            since=self._clock(),
            over_seconds=NO_LIMIT if is_cancelled else seconds - limit,
        )
        return Ending(self, LateTask(worker, exchange, late, limit, worker.started, stacks.take_one(worker.thread_id)))

    def _follow(self, task: LateTask, now: float) -> None:
        """Count and say what becomes of a late task."""
        is_over = task.is_over
        if not task.is_counted and (is_over or now - task.late.since >= OUTCOME_SECONDS):
            task.is_counted = True
            if not is_over:
                self.timeouts.still_running += 1
            elif task.was_interrupted:
                self.timeouts.interrupted += 1
        if is_over:
            self._late.pop(task, None)
            seconds = (task.ended or now) - task.started
            say(logging.INFO, "%s, which was over its time, has returned after %.1f s", task.late.name, seconds)

    # -- the holder of the role

    def end(self, task: LateTask) -> None:
        """Take a request from its task."""
        late, exchange = task.late, task.exchange
        if not end_in_time(exchange, late):
            return
        self._late[task] = None
        if task.limit_seconds < NO_LIMIT:
            self.timeouts.answered += late.answered_status is not None
            self.timeouts.cut += late.was_cut
        timing = exchange.timing
        if timing is not None and timing.interruption is not None:
            task.was_interrupted = timing.interruption.send()
        _report(task)


def _report(task: LateTask) -> None:
    late, exchange = task.late, task.exchange
    if late.answered_status is not None:
        told = f"its client was answered {late.answered_status}"
    elif late.was_cut:
        told = "its response had begun, and was cut off"
    else:
        told = "its client has left, or has the whole response"
    is_cancelled = task.limit_seconds == NO_LIMIT
    why = "was ended by the operator" if is_cancelled else f"is over its time limit of {task.limit_seconds:g} s"
    still = "RequestTimeout was raised in its thread" if task.was_interrupted else "its thread still runs"
    text = "%s of %s (%s) %s: %s; %s\n%s"
    say(logging.WARNING, text, exchange.describe(), exchange.whose(), late.name, why, told, still, task.stack)
