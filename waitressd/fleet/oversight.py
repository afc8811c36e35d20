"""The master's look at its workers: it reads their rows and their memory, and says what is the matter with whom.

What follows from that is the plan's business; how it is found out, that of `verdicts`.
"""

import logging
from dataclasses import dataclass, field, replace
from typing import Final

from waitressd.config.adjustments import Adjustments
from waitressd.fleet import processes
from waitressd.fleet.board import MS_PER_SECOND, Field, Row
from waitressd.fleet.members import Worker
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster
from waitressd.fleet.states import WorkerStage
from waitressd.fleet.verdicts import LONGEST_LOOK_SECONDS, Case, Kind, Limits, Looks, Reading, Verdict
from waitressd.net.logs import say

MEMORY_SECONDS: Final = 10.0  # between two measurements: one of a large process takes milliseconds
WATCHED: Final = (WorkerStage.SERVING, WorkerStage.ASIDE)
Finding = tuple[int, Verdict]
"""The number of a worker, and what is the matter with it."""


def limits_of(adjustments: Adjustments) -> Limits:
    """Return what a configuration allows its workers."""
    return Limits(
        adjustments.worker_stall_timeout,
        adjustments.worker_stuck_timeout,
        adjustments.worker_max_requests,
        adjustments.worker_max_age,
        adjustments.worker_max_memory,
    )


@dataclass(slots=True)
class Watched:
    """One worker that is looked at."""

    limits: Limits
    ready_at: float
    case: Case = field(default_factory=Case)
    memory_due: float = 0.0


class Oversight:
    """The looks at one fleet. The master's thread."""

    def __init__(self, plan: Plan, roster: Roster) -> None:
        self._plan = plan
        self._roster = roster
        self._looks = Looks()
        self._watched: dict[int, Watched] = {}
        self._can_measure = True
        self.due = 0.0
        """When the next look should be, monotonic seconds."""

    def look(self, now: float) -> list[Finding]:
        """Look at all that serve, and at those that were set aside."""
        workers = [worker for worker in self._plan.crew if worker.stage in WATCHED]
        self._watched = {each.number: self._watched.get(each.number) or self._begin(each, now) for each in workers}
        limits = [watched.limits.look_seconds for watched in self._watched.values()]
        seconds = min(limits, default=LONGEST_LOOK_SECONDS)
        self._looks.look(now, seconds)
        self.due = now + seconds
        found = [(worker.number, self._judge(worker, now)) for worker in workers]
        return [(number, verdict) for number, verdict in found if verdict is not None]

    def measure(self, number: int, now: float) -> list[Finding]:
        """Look at the memory of a worker that is ready, before it has done anything."""
        worker = self._plan.crew.workers.get(number)
        if worker is None or worker.stage not in WATCHED:
            return []
        watched = self._watched[number] = self._begin(worker, now)
        self.due = min(self.due, now + watched.limits.look_seconds)
        if not watched.limits.max_memory_bytes:
            return []
        limits = Limits(max_memory_bytes=watched.limits.of_place(worker.place, worker.code.size).max_memory_bytes)
        reading = Reading(memory_bytes=self._memory(worker, watched, now), is_newborn=True)
        verdict = watched.case.look(self._looks, reading, limits)
        return [(number, verdict)] if verdict is not None else []

    def _begin(self, worker: Worker, now: float) -> Watched:
        code = self._roster.codes.get(worker.code.number)
        hello = code.hello if code is not None else None
        return Watched(limits_of(hello.adjustments) if hello is not None else Limits(), now)

    def _judge(self, worker: Worker, now: float) -> Verdict | None:
        watched = self._watched[worker.number]
        process = self._roster.workers.get(worker.number)
        row = self._roster.row_of(process) if process is not None else None
        reading = _read(row, now) if row is not None else Reading(age_seconds=now - watched.ready_at)
        reading = replace(reading, memory_bytes=self._memory(worker, watched, now))
        limits = watched.limits.of_place(worker.place, worker.code.size)
        verdict = watched.case.look(self._looks, reading, limits)
        if verdict is not None and verdict.kind in (Kind.STALLED, Kind.STUCK) and process is not None:
            return replace(verdict, why=verdict.why + self._roster.in_hand(process, now))
        return verdict

    def _memory(self, worker: Worker, watched: Watched, now: float) -> int | None:
        """Measure the memory of a worker, if it is limited or shown, and time."""
        is_limited = bool(watched.limits.max_memory_bytes)
        is_wanted = is_limited or self._roster.metrics is not None
        if not is_wanted or now < watched.memory_due or not worker.pid or not self._can_measure:
            return None
        watched.memory_due = now + MEMORY_SECONDS
        size = processes.private_memory(worker.pid)
        process = self._roster.workers.get(worker.number)
        if process is not None:
            process.private_bytes = size
        if size is None and not processes.can_measure_memory():
            self._can_measure = False
        if size is None and not self._can_measure and is_limited:
            text = "worker_max_memory has no effect: this system does not tell what memory a process has of its own"
            say(logging.WARNING, "%s", text)
        return size


def _read(row: Row, now: float) -> Reading:
    return Reading(
        age_seconds=now - row[Field.BORN_AT] / MS_PER_SECOND,
        # It may hang before its event loop has ever turned; one that writes nothing means something else by a row.
        turned_at=(row[Field.TURNED_AT] or row[Field.LOOKED_AT]) / MS_PER_SECOND,
        threads=row[Field.THREADS],
        busy=row[Field.BUSY],
        queued=row[Field.QUEUED],
        ended_at=row[Field.ENDED_AT] / MS_PER_SECOND,
        requests=row[Field.REQUESTS],
    )
