"""What the master says of its workers in the metrics."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster
from waitressd.fleet.states import WorkerStage
from waitressd.fleet.verdicts import Kind
from waitressd.metrics.shown import FleetState

_TOLD: Final = (WorkerStage.ASIDE, WorkerStage.DRAINING, WorkerStage.LEAVING, WorkerStage.ABORTING, WorkerStage.ENDING)


class Figures:
    """A picture of the plan, made anew after each event by the master's thread; `state` is for any thread."""

    def __init__(self, plan: Plan, roster: Roster) -> None:
        self._plan = plan
        self._roster = roster
        self._exits: Counter[str] = Counter(
            {"finished": 0, "killed": 0, "failed": 0, Kind.STALLED.value: 0, Kind.STUCK.value: 0}
        )
        self._born_at: dict[int, float] = {}  # of workers
        self._born: dict[int, float] = {}  # of the youngest in each place
        self._state = FleetState({}, {}, {}, {}, 0)

    def state(self) -> FleetState:
        """Return the last picture."""
        now = time.monotonic()
        ages = {place: now - born for place, born in self._born.items()}
        processes = list(self._roster.workers.values())
        private_bytes = {each.place: each.private_bytes for each in processes if each.private_bytes is not None}
        moved = self._roster.moved_connections()
        return replace(self._state, ages=ages, moved=moved, private_bytes=private_bytes)

    def carry(self) -> dict[str, Any]:
        """Write down what the next master counts on from."""
        return {"exits": dict(self._exits), "born_at": sorted(self._born_at.items())}

    def resume(self, fields: Mapping[str, Any]) -> None:
        """Count on from what `carry` has written down."""
        self._exits.update(fields["exits"])
        self._born_at.update(fields["born_at"])

    def count_exit(self, worker: int, how: str) -> None:
        """A worker has ended, and the plan has not been told yet."""
        known = self._plan.crew.workers.get(worker)
        verdict = known.verdict.kind if known is not None and known.verdict is not None else None
        if known is not None and known.stage in _TOLD and verdict in (Kind.STALLED, Kind.STUCK):
            self._exits[verdict.value] += 1
        elif known is not None and known.stage in _TOLD:
            self._exits["finished"] += 1
        else:
            self._exits["killed" if how.startswith("signal") else "failed"] += 1

    def renew(self, now: float) -> None:
        """Look at the plan again."""
        workers = self._plan.crew.workers
        self._born_at = {number: self._born_at.get(number, now) for number in workers}
        self._born = {worker.place: self._born_at[number] for number, worker in workers.items()}
        for number, worker in workers.items():
            self._roster.note_stage(number, worker.stage)
        stages = Counter(worker.stage.name.lower() for worker in workers.values())
        self._state = FleetState(
            workers={stage.name.lower(): stages[stage.name.lower()] for stage in WorkerStage if stage.name != "GONE"},
            exits=dict(self._exits),
            ages={},
            reloads=dict(self._plan.succession.results),
            generation=self._plan.succession.current.generation,
            wanted=self._plan.succession.current.size,
        )
