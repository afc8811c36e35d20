"""The workers of a fleet and their places: who is there, and who should be born or drained next.

Answers questions and says nothing; what follows from the answers is the plan's business.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from waitressd.fleet.members import YOUNG_SECONDS, Code, Credit, Place, Worker
from waitressd.fleet.states import WorkerStage

LIVE = (WorkerStage.BOOTING, WorkerStage.SERVING)


class Crew:
    """All workers, by number, until they are gone."""

    def __init__(self) -> None:
        self.workers: dict[int, Worker] = {}
        self.failed_boots = 0  # in a row, of the whole fleet
        self.was_complete = False  # all places have once been served at the same time
        self._places: dict[int, Place] = {}
        self._credit = Credit()

    def __iter__(self) -> Iterator[Worker]:
        """Yield the workers; some may go meanwhile."""
        return iter(tuple(self.workers.values()))

    def carry(self, now: float) -> dict[str, Any]:
        """Write down for the plan of another program in this process who is there, and what has failed before."""
        return {
            "workers": [worker.carry(now) for worker in self],
            "failed_boots": self.failed_boots,
            "was_complete": self.was_complete,
            "places": [[number, place.carry(now)] for number, place in self._places.items()],
            "credit": self._credit.carry(now),
        }

    def resume(self, fields: Mapping[str, Any], codes: Mapping[int, Code], now: float) -> None:
        """Go on from what `carry` has written. Raises KeyError, TypeError: another version writes it in another way."""
        for each in fields["workers"]:
            self.workers[each["number"]] = Worker.resume(each, codes, now)
        self.failed_boots, self.was_complete = fields["failed_boots"], fields["was_complete"]
        for number, place in fields["places"]:
            self.place(number).resume(place, now)
        self._credit.resume(fields["credit"], now)

    def place(self, number: int) -> Place:
        """Return the place with this number."""
        return self._places.setdefault(number, Place())

    def places(self, size: int) -> Iterator[tuple[int, Place]]:
        """Yield the places 1 to `size`."""
        return ((number, self.place(number)) for number in range(1, size + 1))

    def forgive(self) -> None:
        """Forget all failures: what comes next is another code."""
        self.failed_boots = 0
        for place in self._places.values():
            place.forgive()

    def vacate(self, worker: Worker, now: float) -> float:
        """Note that the place of a worker has become empty; return how long it stays so."""
        place, service = self.place(worker.place), worker.service(now)
        has_served = worker.served_from is not None and worker.code.facts.is_preloaded
        if has_served and service < YOUNG_SECONDS and self._credit.take(now):
            return place.vacate(now, YOUNG_SECONDS)
        return place.vacate(now, service)

    def count(self, stage: WorkerStage) -> int:
        """Say how many are in this stage."""
        return sum(worker.stage is stage for worker in self.workers.values())

    def at(self, place: int) -> list[Worker]:
        """Return those of a place that boot or serve."""
        return [worker for worker in self.workers.values() if worker.place == place and worker.stage in LIVE]

    def served_places(self, size: int, generation: int | None = None) -> int:
        """Say how many of the places 1 to `size` have a worker that serves, of this generation if one is given."""
        return len({
            worker.place
            for worker in self.workers.values()
            if worker.stage is WorkerStage.SERVING
            and worker.place <= size
            and generation in (None, worker.generation)
        })  # fmt: skip

    def empty_places(self, size: int, now: float) -> Iterator[int]:
        """Yield the places where nobody boots or serves, and whose back-off is over."""
        return (number for number, place in self.places(size) if place.not_before <= now and not self.at(number))

    def superfluous_boots(self, current: Code) -> Iterator[Worker]:
        """Yield those that boot for a place or a generation that is not wanted any more."""
        for worker in self:
            if worker.stage is WorkerStage.BOOTING and (
                worker.generation != current.generation or worker.place > current.size
            ):
                yield worker

    def place_to_renew(self, current: Code, now: float) -> int | None:
        """Name the place whose worker of another generation gets a successor next; one at a time.

        Nobody boots then, and no place has two that serve. So there is at most one more than places. Nor does any
        place wait after a failure: what has failed there would fail elsewhere.
        """
        if not self._may_renew(current, now):
            return None
        old = {each.place for each in self if each.stage in LIVE and each.generation != current.generation}
        return min((number for number in old if number <= current.size), default=None)

    def worker_to_recycle(self, current: Code, now: float) -> Worker | None:
        """Name the worker of this generation that is worn and gets a successor next, in the order of their verdicts.

        As above; and none drains either, so that there is no more than one process more than places.
        """
        if not self._may_renew(current, now) or self.count(WorkerStage.DRAINING):
            return None
        worn = [each for each in self if each.worn and each.stage is WorkerStage.SERVING]
        worn = [each for each in worn if each.place <= current.size and each.generation == current.generation]
        return min(worn, key=lambda each: each.worn, default=None)

    def _may_renew(self, current: Code, now: float) -> bool:
        """Whether one more may be born although every place has its worker."""
        if self.count(WorkerStage.BOOTING) or next(self.next_attempts(current, now), None) is not None:
            return False
        taken = [each.place for each in self if each.stage in LIVE]
        return len(set(taken)) == len(taken)

    def worker_to_drain(self, current: Code, former: Code | None) -> Worker | None:
        """Name the worker that another has replaced; one drains at a time.

        Of two in one place, the one of the wanted generation stays, or else the one of the generation before. A worker
        whose place is to go serves until every other place has its new worker.
        """
        if self.count(WorkerStage.DRAINING):
            return None
        wanted = (current.generation, former.generation if former else current.generation)
        size = current.size
        is_complete = self.served_places(size, current.generation) == size
        for worker in self:
            if worker.stage is WorkerStage.SERVING:
                is_left_over = worker.place > size and is_complete
                if is_left_over or any(_is_better(other, worker, wanted) for other in self.at(worker.place)):
                    return worker
        return None

    def is_renewed(self, current: Code) -> bool:
        """Whether every place has its worker of this generation, and every other worker is gone."""
        size = current.size
        return self.served_places(size, current.generation) == size and all(
            worker.generation == current.generation for worker in self.workers.values()
        )

    def next_attempts(self, current: Code, now: float) -> Iterator[float]:
        """Yield when the back-off of a place will be over that waits for a worker."""
        for number, place in self.places(current.size):
            if place.not_before > now and not any(each.is_wanted(current) for each in self.at(number)):
                yield place.not_before


def _is_better(one: Worker, other: Worker, wanted: tuple[int, int]) -> bool:
    """Whether `one` serves, too, and is rather to stay."""
    if one is other or one.stage is not WorkerStage.SERVING:
        return False
    ranks = [(worker.generation == wanted[0], worker.generation == wanted[1], worker.number) for worker in (one, other)]
    return ranks[0] > ranks[1]
