"""The role protocol keeps its invariants in every interleaving, and the model would notice if it did not.

Each trap that the prototypes fell into (and some more) is a mutant here: the same model with one mend taken out.
"""

from collections.abc import Generator

import pytest

from tests.model.connection import ModelConnection
from tests.model.rolemodel import (
    BELL,
    FREE,
    LOCKED,
    Leading,
    ModelWorker,
    RoleModel,
    Steps,
    ViolationError,
    WatchedClaim,
    explore,
    replay,
)
from waitressd.dispatch.role import Assignment, Role, Worker
from waitressd.net.eventloop import Job
from waitressd.net.poller import ONCE, PARKED, READ

RUNS = 10_000
CHUNKS = 10
MUTANT_RUNS = 4_000

RARE_THINGS = {
    "taken over", "handed over", "queued job taken", "passed back", "job given away", "read beside others",
    "given away while others are read", "taken over between tasks", "watcher overtaken",
    "watcher slept", "watcher rung", "client died", "withdrawn", "left to the holder", "one is hung", "all is hung",
    "aborted", "resigned", "taken from its task", "replaced",
}  # fmt: skip


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_invariants_hold_in_every_interleaving(chunk: int) -> None:
    sometimes = explore(range(chunk * RUNS, (chunk + 1) * RUNS))
    assert sometimes.keys() >= RARE_THINGS


def test_a_seed_replays_exactly() -> None:
    for seed in range(50):
        assert replay(seed) == replay(seed)


class TakesWithoutLock(Role):
    """Takes the claim first and the lock afterwards."""

    def look(self) -> bool:
        holder = self.holder
        if holder is None or not self.keep(holder):
            return False
        with self.lock:
            self._pass_on(holder)
            return True


class OffersBlindly(Role):
    """Queues without a second look under the lock."""

    def offer(self, job: Job) -> bool:
        with self.lock:
            self.queue.append(job)
            return True


class QueuesBackwards(Role):
    """Serves who came last."""

    def offer(self, job: Job) -> bool:
        with self.lock:
            if not self.waiting:
                self.queue.appendleft(job)
                return True
        return super().offer(job)


class ForgetsTheQueue(Role):
    """A worker that ends a task goes to sleep although a job waits."""

    def finish(self, worker: Worker) -> Assignment:
        with self.lock:
            self.running -= 1
            queue, self.queue = self.queue, type(self.queue)()
            try:
                return self._assign(worker)
            finally:
                self.queue = queue


class CallsTheReserveFirst(Role):
    """The reserve gets the role although a task worker could have it."""

    def _rest(self, worker: Worker) -> None:
        super()._rest(worker)
        self.waiting.sort(key=lambda each: each.is_reserve)


class ReplacesBlindly(Role):
    """Has another worker enter in place of one that may have returned."""

    def replace(self, worker: Worker, job: Job) -> bool:
        with self.lock:
            worker.is_replaced = True
            self.task_limit += 1
            return True


class KeepsTheReplaced(Role):
    """Gives a worker that returns late something to do again."""

    def finish(self, worker: Worker) -> Assignment:
        worker.is_replaced = False
        return super().finish(worker)


class PassesBackAlone(Role):
    """The reserve gives the role back, and the worker that gets it is not woken."""

    def pass_back(self) -> bool:
        with self.lock:
            if self.waiting:
                self.holder = self.waiting.pop()
                self.holder.assignment = Assignment.LEAD
            return self.holder is not None and not self.holder.is_reserve


class LosesTheWakeUp(Role):
    """Gives the role to a sleeper and does not wake it."""

    def _give(self, worker: Worker, assignment: Assignment) -> None:
        worker.assignment = assignment
        if assignment is not Assignment.LEAD:
            self._wake(worker)


class StopsWithoutWaking(Role):
    """Leaves the sleepers asleep at the end."""

    def stop(self) -> None:
        with self.lock:
            self.stopping = True


class CountsTooLate(Role):
    """Gives the role away before the task is counted."""

    def _pass_on(self, holder: Worker) -> None:
        super()._pass_on(holder)
        self.running -= 1


class SharedClaim(RoleModel):
    """Trap 1: one claim slot for all, so that the old leader can take the new leader's claim."""

    def new_worker(self, name: str, *, is_reserve: bool) -> ModelWorker:
        if not hasattr(self, "claim"):
            self.claim = WatchedClaim(self)
        return ModelWorker(name, self.claim, is_reserve=is_reserve)


class EverybodyRuns(RoleModel):
    """The reserve runs a job like any other worker."""

    def pass_on(self, worker: ModelWorker, job: ModelConnection) -> Generator[int, None, bool]:
        worker.is_reserve = False
        goes_on = yield from self.start(worker, job)
        worker.is_reserve = True
        return goes_on


class ForgetsTheRest(RoleModel):
    """Who gets the role does not look at the requests that the former holder had read."""

    def lead(self, worker: ModelWorker) -> Leading:
        self.tasks.clear()
        self.order.clear()
        return (yield from super().lead(worker))


class PollsBeforeTheRest(RoleModel):
    """Who gets the role waits for events first."""

    def lead(self, worker: ModelWorker) -> Leading:
        yield FREE
        self.poll()
        return (yield from super().lead(worker))


class RunsBackwards(RoleModel):
    """What was read last begins first."""

    def take_task(self) -> ModelConnection:
        return self.tasks.pop()


class ParksWithoutLook(RoleModel):
    """Trap 2: the channel is parked without a look under the lock whether its task is still running."""

    def react(self, connection: ModelConnection) -> Generator[int, None, bool]:
        yield FREE
        self.note(connection)
        return False


class ParksLoudly(RoleModel):
    """Trap 4: a busy connection whose client has died stays registered without ONCE."""

    def note(self, connection: ModelConnection) -> None:
        connection.mask = PARKED & ~ONCE


class StaysRegistered(RoleModel):
    """The other half of trap 4: a busy connection with more to read stays registered for reading."""

    def note(self, connection: ModelConnection) -> None:
        connection.mask = READ


class SleepsWithoutLook(RoleModel):
    """Trap 6: the watcher looks, then says that it wants to be rung, then sleeps."""

    def nap(self) -> Steps:
        if not self.role.has_claim() and not self.is_ended:
            yield FREE
            self.ring_wanted = True
            yield BELL
        self.ring_wanted = False


class NeverRung(RoleModel):
    """A task that begins does not ring the sleeping watcher."""

    def ring(self) -> None:
        if self.is_ended:
            super().ring()


class ForgetsToGiveBack(RoleModel):
    """A task that ends without the role leaves its connection parked."""

    def settle_aside(self, job: ModelConnection) -> Steps:
        yield LOCKED
        self.finish(job)


def with_role(role: type[Role]) -> type[RoleModel]:
    return type(role.__name__, (RoleModel,), {"role_class": role})


MUTANTS = [
    (SharedClaim, "two workers believe"),
    (ParksWithoutLook, "nobody listens|never given back|never served|waits for ever"),
    (with_role(TakesWithoutLock), "counted as running|two workers believe|more tasks"),
    (ParksLoudly, "again and again"),
    (StaysRegistered, "again and again"),
    (SleepsWithoutLook, "nobody listens|never begins|waits for ever|never taken"),
    (NeverRung, "nobody listens|never begins|waits for ever|never taken"),
    (ForgetsToGiveBack, "nobody listens|never begins|never given back|never served|waits for ever"),
    (EverybodyRuns, "the reserve runs a job|more tasks"),
    (ForgetsTheRest, "never given back|never served|never begins|waits for ever"),
    (PollsBeforeTheRest, "the holder waits for events"),
    (RunsBackwards, "begins before one"),
    (with_role(CallsTheReserveFirst), "the reserve leads although"),
    (with_role(ReplacesBlindly), "more tasks|waits that another one"),
    (with_role(KeepsTheReplaced), "more tasks|has not left|counted as running|no successor"),
    (with_role(PassesBackAlone), "nobody listens|never begins|waits for ever"),
    (with_role(OffersBlindly), "a job waits although"),
    (with_role(QueuesBackwards), "out of its turn"),
    (with_role(ForgetsTheQueue), "a job waits although"),
    (with_role(LosesTheWakeUp), "nobody listens|never begins|waits for ever"),
    (with_role(StopsWithoutWaking), "waits for ever after the stop"),
    (with_role(CountsTooLate), "counted as running|more tasks"),
]


@pytest.mark.parametrize(("mutant", "complaint"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_model_notices(mutant: type[RoleModel], complaint: str) -> None:
    with pytest.raises(ViolationError, match=rf"^seed \d+: .*({complaint})"):
        explore(range(MUTANT_RUNS), mutant)
