"""The real Role, driven by simulated workers and a watcher in one thread, in an order of steps that a seed gives.

A step is one lock-free access or one locked method. Workers are generators that stop before each step. The watcher's
`look` is called whole, but its lock and the claims are instrumented: between its reads, and while it holds the lock,
the others take steps. After every step the invariants of the protocol are checked. No thread, no clock, no sleep.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Generator
from typing import Any, Final, Self, SupportsIndex

from tests.model.connection import CLOSED, COMPLETE, HANGS, IDLE, QUEUED, RUNNING, ModelConnection
from waitressd.dispatch.role import Assignment, Role, Worker

# What an actor does with its next step.
FREE: Final = 0  # something that takes no lock
LOCKED: Final = 1  # something under the role's lock
SLEEP: Final = 2  # nothing until its own lock is released
POLL: Final = 3  # nothing until an event is there
HUNG: Final = 4  # nothing until the application comes to its end
BELL: Final = 5  # nothing until the watcher is rung
KINDS: Final = ("FREE", "LOCKED", "SLEEP", "POLL", "HUNG", "BELL")

# Where a worker is, for the invariants.
OUTSIDE: Final = 0
LEADING: Final = 1
INLINE: Final = 2  # in a task, with its claim down or taken
ASIDE: Final = 3

STEP_LIMIT: Final = 4000  # a run of the largest plan takes a few hundred
SPIN_LIMIT: Final = 8  # turns in a row whose events change nothing
NAP_LOOKS: Final = 2  # without a task in sight, before the watcher sleeps

Steps = Generator[int, None, None]
Leading = Generator[int, None, Assignment]


class ViolationError(AssertionError):
    """An invariant of the protocol does not hold."""


class WatchedClaim(list[Callable[[], None]]):
    """A claim list between whose uses by the watcher the other actors may take steps."""

    def __init__(self, model: "RoleModel") -> None:
        super().__init__()
        self._model = model

    def __getitem__(self, index: Any) -> Any:
        self._model.pause()
        return super().__getitem__(index)

    def __len__(self) -> int:
        self._model.pause()
        return super().__len__()

    def pop(self, index: SupportsIndex = -1) -> Callable[[], None]:
        self._model.pause()
        return super().pop(index)


class SteppedLock:
    """The role's lock: the watcher may be overtaken before it has it."""

    def __init__(self, model: "RoleModel") -> None:
        self._model = model
        self.held = False

    def __enter__(self) -> Self:
        self._model.pause()
        if self.held:
            raise ViolationError("the lock was taken twice")
        self.held = True
        return self

    def __exit__(self, *_exc: object) -> None:
        self.held = False


class ModelWorker(Worker):
    """A worker with what the model wants to know of it."""

    def __init__(self, name: str, claim: WatchedClaim, *, is_reserve: bool) -> None:
        super().__init__(name, is_reserve=is_reserve)
        self.claim = claim
        self.place = OUTSIDE
        self.woken = False


class Actor:
    """One thread of the model."""

    __slots__ = ("kind", "name", "steps")

    def __init__(self, name: str, steps: Steps) -> None:
        self.name = name
        self.steps = steps
        self.kind = FREE


class RoleModel:
    """One run. `sometimes` counts how often each rare thing happened; a subclass may take a mend out."""

    role_class: type[Role] = Role

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.random = rng = random.Random(seed)
        self.seed = seed
        # By dice of its own, so that a run in which nobody is late is what it would be without time limits.
        self.dice = random.Random(seed)
        self.late_chance = self.dice.choice((0.0, 0.0, 0.1, 0.5))
        self.spares = self.dice.choice((0, 1, 3))
        self.task_limit = rng.choice((1, 1, 2, 2, 3))
        self.hand_over_chance = rng.choice((0.0, 0.0, 0.3, 1.0))
        self.role = self.role_class(self.task_limit, self.wake)
        self.lock = SteppedLock(self)
        self.role.lock = self.lock  # type: ignore[assignment]  # it is used as a context manager only
        self.sometimes: Counter[str] = Counter()
        self.trace: list[str] | None = [] if trace else None
        self.connections = [ModelConnection(number, self._plan()) for number in range(rng.randint(1, 4))]
        self.workers = [
            self.new_worker(f"worker {number}", is_reserve=number == self.task_limit)
            for number in range(self.task_limit + 1)
        ]
        self.tasks: deque[ModelConnection] = deque()  # complete requests that wait for their turn
        self.order: deque[ModelConnection] = deque()  # the order in which they were read, and must begin
        self.given: set[ModelConnection] = set()  # jobs that the reserve gave to a worker
        self.ready: deque[tuple[ModelConnection, int]] = deque()
        self.returned: deque[ModelConnection] = deque()
        self.queued: deque[ModelConnection] = deque()  # the order in which the queue must be served
        self.spins = 0
        self.is_dirty = False  # the poller has something to say
        self.is_releasing = False  # hung tasks end
        self.is_stopping = False  # nothing is left to do: the server ends
        self.is_aborting = False  # it ends although something is
        self.is_ended = False
        self.ring_wanted = False
        self.is_rung = False
        self._watcher_steps = False  # the watcher is inside `look`
        self.runnable: list[Actor] = []
        self._sleeping: dict[int, Actor] = {}  # by what they sleep on: id of a worker, or a kind
        self._hung: list[Actor] = []
        for worker in self.workers:
            self.runnable.append(Actor(worker.name, self.work(worker)))
        self._watcher = Actor("watcher", self.watch())
        self.runnable += [self._watcher, Actor("clients", self.send())]
        self._slow = rng.choice(self.runnable)  # one thread that is seldom given a turn

    def _plan(self) -> list[int]:
        choices = (0, 0, 1, 2, 5, HANGS) if self.random.random() < 0.5 else (0, 1, 1, 3)
        return [self.random.choice(choices) for _ in range(self.random.randint(1, 3))]

    def new_worker(self, name: str, *, is_reserve: bool) -> ModelWorker:
        """Build a worker; each has a claim list of its own."""
        return ModelWorker(name, WatchedClaim(self), is_reserve=is_reserve)

    # -- the schedule

    def run(self) -> Self:
        """Take steps until every actor has ended. Raises ViolationError."""
        rng, runnable = self.random.random, self.runnable
        for _ in range(STEP_LIMIT):
            if self.is_dirty:
                self._rouse(POLL)
            if not runnable:
                if not self._sleeping and not self._hung:
                    self._check_end()
                    return self
                self._come_to_rest()
                continue
            actor = runnable[int(rng() * len(runnable))]
            if actor is self._slow and rng() < 0.8:
                actor = runnable[int(rng() * len(runnable))]
            self._step(actor)
            self.check()
        raise ViolationError("somebody waits for ever: the steps do not come to an end")

    def _step(self, actor: Actor) -> None:
        if self.trace is not None:
            self.trace.append(f"{actor.name}: {KINDS[actor.kind]}")
        try:
            kind = actor.kind = next(actor.steps)
        except StopIteration:
            self.runnable.remove(actor)
            return
        if kind > LOCKED:
            self._suspend(actor, kind)

    def _suspend(self, actor: Actor, kind: int) -> None:
        if kind == HUNG:
            if not self.is_releasing:
                self.runnable.remove(actor)
                self._hung.append(actor)
            return
        if kind == SLEEP:
            worker = self.workers[int(actor.name[-1])]
            key: int = id(worker)
            goes_on, worker.woken = worker.woken, False
        elif kind == POLL:
            key = POLL
            goes_on, self.is_dirty = self.is_dirty or bool(self.ready), False
        else:
            key = BELL
            goes_on, self.is_rung = self.is_rung, False
        if not goes_on:
            self.runnable.remove(actor)
            self._sleeping[key] = actor

    def _rouse(self, key: int) -> bool:
        actor = self._sleeping.pop(key, None)
        if actor is None:
            return False
        self.runnable.append(actor)
        if key == POLL:
            self.is_dirty = False
        return True

    def _come_to_rest(self) -> None:
        """Nobody can take a step: all work must be begun or queued behind hung tasks, which now end."""
        for connection in self.connections:
            if connection.state == IDLE and (connection.arrived or connection.dead) and not self.is_ended:
                raise ViolationError(f"{connection.number} has something to say and nobody listens")
            if connection.state == COMPLETE and not self.is_ended:
                raise ViolationError(f"the request of {connection.number} was read and never begins")
        if self.is_releasing and not self._hung:
            if self.is_stopping or self.is_aborting:
                raise ViolationError("somebody waits for ever after the stop")
            if self.role.queue:
                raise ViolationError("a queued job is never taken")
            self.is_stopping = self.is_dirty = True
            return
        if self._hung:
            self.sometimes["all is hung" if len(self._hung) >= self.task_limit else "one is hung"] += 1
        self.is_releasing = True
        self.runnable += self._hung
        self._hung.clear()

    def pause(self) -> None:
        """Let others take steps, if it is the watcher that is in the middle of something."""
        if not self._watcher_steps:
            return
        self._watcher_steps = False
        held = self.lock.held
        for _ in range(int(self.random.random() * 5)):
            others = [
                actor
                for actor in self.runnable
                if actor is not self._watcher and not (held and actor.kind not in (FREE, POLL))
            ]
            if not others:
                break
            self._step(others[int(self.random.random() * len(others))])
            self.sometimes["watcher overtaken"] += 1
            if not held:
                self.check()
        self._watcher_steps = True

    # -- what must hold after every step

    def check(self) -> None:
        """Check the invariants. Raises ViolationError."""
        leaders = tasks = 0
        for worker in self.workers:
            place = worker.place
            if place == LEADING:
                leaders += 1
            elif place == INLINE:
                tasks += 1
                if list.__len__(worker.claim):
                    leaders += 1
            elif place == ASIDE:
                is_late = isinstance(worker.job, ModelConnection) and worker.job.was_late
                tasks += not (worker.is_replaced and is_late)
            if worker.is_reserve and place in (INLINE, ASIDE):
                raise ViolationError("the reserve runs a job")
        if leaders > 1:
            raise ViolationError("two workers believe to hold the role")
        if tasks > self.task_limit:
            raise ViolationError("more tasks run than may")
        self._check_role()

    def _check_role(self) -> None:
        role = self.role
        if not self.is_ended and role.holder is None and role.waiting:
            raise ViolationError("nobody holds the role and a worker sleeps")
        if role.queue and not all(worker.is_reserve for worker in role.waiting) and not self.is_ended:
            raise ViolationError("a job waits although a worker for it waits")
        if any(worker.is_replaced for worker in role.waiting):
            raise ViolationError("a worker waits that another one has replaced")
        if not 0 <= role.running <= role.task_limit:
            raise ViolationError(f"{role.running} tasks are counted as running")

    def _check_end(self) -> None:
        if self.role.task_limit != self.task_limit:
            raise ViolationError("who was replaced has not left")
        if sum(not worker.is_replaced and not worker.is_reserve for worker in self.workers) != self.task_limit:
            raise ViolationError("somebody who left has no successor")
        if self.is_aborting:
            if any(connection.runs for connection in self.connections):
                raise ViolationError("a task was left behind by the stop")
            return
        for connection in self.connections:
            if connection.runs or connection.state in (COMPLETE, QUEUED, RUNNING):
                raise ViolationError(f"{connection.number} was never given back")
            unserved = connection.plan or connection.arrived or connection.finished + connection.lost == 0
            if connection.state != CLOSED and unserved:
                raise ViolationError(f"requests of {connection.number} were never served")
        if self.role.queue or self.queued:
            raise ViolationError("a job was left in the queue")

    # -- the actors

    def send(self) -> Steps:
        """The clients: requests arrive, now and then a client dies, at last the server is told to stop."""
        rng = self.random
        waiting = [connection for connection in self.connections for _ in connection.plan]
        rng.shuffle(waiting)
        for connection in waiting:
            yield FREE
            if rng.random() < 0.01:
                self.sometimes["aborted"] += 1
                self.is_aborting = self.is_dirty = self.is_releasing = True
                return
            connection.arrived += 1
            self.is_dirty = True
            if rng.random() < 0.05:
                connection.dead = True
                self.sometimes["client died"] += 1

    def work(self, worker: ModelWorker) -> Steps:
        """One thread of the pool, as `TaskPool._work`."""
        yield LOCKED
        assignment = self.role.enter(worker)
        while assignment is not Assignment.STOP:
            if assignment is Assignment.LEAD:
                worker.place = LEADING
                assignment = yield from self.lead(worker)
            elif assignment is Assignment.RUN:
                worker.place = ASIDE
                job = worker.job
                assert isinstance(job, ModelConnection)
                if job in self.given:
                    self.given.remove(job)
                elif not self.queued or self.queued.popleft() is not job:
                    raise ViolationError("a job was taken out of its turn")
                else:
                    self.sometimes["queued job taken"] += 1
                yield from self.run_aside(worker, job)
                yield LOCKED
                assignment = self.role.finish(worker)
            else:
                worker.place = OUTSIDE
                yield SLEEP
                assignment = worker.assignment
        worker.place = OUTSIDE

    def lead(self, worker: ModelWorker) -> Leading:
        """Serve until the role is lost, as `Dispatcher.lead`."""
        while True:
            while self.returned:
                self.returned.popleft().settle()
            if self.dice.random() < self.late_chance:
                yield LOCKED
                self.end_late(worker)
            while self.tasks:
                if not (yield from self.start(worker, self.next_task())):
                    yield LOCKED
                    return self.role.finish(worker)
                if self.random.random() < 0.01:
                    return (yield from self.resign(worker))
            if self.is_aborting or (self.is_stopping and self.is_idle()):
                yield LOCKED
                self.is_ended = True
                self.role.stop()
                self.ring()
            if self.is_ended or self.random.random() < 0.01:
                return (yield from self.resign(worker))
            yield POLL
            self.poll()
            yield from self.read_ready(worker)

    def end_late(self, holder: ModelWorker) -> None:
        """The holder takes a request from its task, as at the end of its time."""
        jobs = [worker.job for worker in self.workers if worker is not holder and worker.place == ASIDE]
        for job in jobs:
            assert isinstance(job, ModelConnection)
            with self.lock:
                if job.runs and job.revoke():
                    self.sometimes["taken from its task"] += 1

    def replace_late(self) -> None:
        """The watcher has another worker enter in place of one whose request was taken from it."""
        for worker in list(self.workers):
            job = worker.job
            is_late = isinstance(job, ModelConnection) and job.was_late and not worker.is_replaced
            if job is not None and is_late and self.spares and self.role.replace(worker, job):
                self.spares -= 1
                self.sometimes["replaced"] += 1
                spare = self.new_worker(f"spare {len(self.workers)}", is_reserve=False)
                self.workers.append(spare)
                self.runnable.append(Actor(spare.name, self.work(spare)))

    def resign(self, worker: ModelWorker) -> Leading:
        """The service ends, or a defect was caught at the border."""
        worker.place = OUTSIDE
        self.sometimes["resigned"] += 1
        yield LOCKED
        return self.role.resign(worker)

    def next_task(self) -> ModelConnection:
        """Take the request whose turn it is."""
        job = self.take_task()
        if self.order.popleft() is not job:
            raise ViolationError("a request begins before one that was read earlier")
        return job

    def take_task(self) -> ModelConnection:
        """Take the request that was read first."""
        return self.tasks.popleft()

    def read_ready(self, worker: ModelWorker) -> Steps:
        """Read what is ready and run nothing, as `Dispatcher._read_ready`."""
        progress = not self.ready
        gives_away = worker.is_reserve and self.random.random() < self.hand_over_chance
        while self.ready:
            connection, _event = self.ready.popleft()
            before = connection.mask, connection.state
            ordinary = connection.state == IDLE or (yield from self.react(connection))
            if ordinary and connection.state == IDLE:
                yield FREE
                self.read(connection)
                if gives_away and self.tasks:
                    self.sometimes["given away while others are read"] += bool(self.ready)
                    yield from self.give_away(self.next_task())
            progress = progress or ordinary or before != (connection.mask, connection.state)
        self.spins = 0 if progress else self.spins + 1
        if self.spins > SPIN_LIMIT:
            raise ViolationError("the poller reports what nobody acts on, again and again")

    def is_idle(self) -> bool:
        """Whether no connection is at work."""
        return all(connection.state in (IDLE, CLOSED) for connection in self.connections)

    def poll(self) -> None:
        """Note what is ready, as a level-triggered poller reports it."""
        if self.tasks:
            raise ViolationError("requests wait for their turn, and the holder waits for events")
        for connection in self.connections:
            if found := connection.reported:
                connection.disarm()
                self.ready.append((connection, found))
                self.is_dirty = True  # level-triggered: it may be reported again

    def read(self, connection: ModelConnection) -> None:
        """Read a request; it waits for its turn."""
        if connection.dead:
            connection.close()
        elif connection.arrived:
            connection.arrived -= 1
            connection.state = COMPLETE
            self.tasks.append(connection)
            self.order.append(connection)
            self.sometimes["read beside others"] += len(self.tasks) > 1

    def react(self, connection: ModelConnection) -> Generator[int, None, bool]:
        """An event of a connection that was busy when it was looked at; True when it is so no more."""
        yield LOCKED
        with self.lock:
            is_busy = connection.state in (QUEUED, RUNNING)
            if is_busy:
                self.note(connection)
        if is_busy and connection.gone and connection.state == QUEUED:
            yield LOCKED
            if self.role.withdraw(connection):
                self.queued.remove(connection)
                connection.close()
                self.sometimes["withdrawn"] += 1
        return not is_busy

    def note(self, connection: ModelConnection) -> None:
        """An event of a busy connection: be silent from now on, or tell once when it dies."""
        if connection.dead:
            connection.gone = True
            connection.mask = 0
        else:
            connection.park()

    def start(self, worker: ModelWorker, job: ModelConnection) -> Generator[int, None, bool]:
        """Run a job or pass it on, as `Dispatcher._start`; False when the role is lost."""
        if worker.is_reserve:
            return (yield from self.pass_on(worker, job))
        job.begin()
        if self.random.random() < self.hand_over_chance:
            yield LOCKED
            worker.place = ASIDE
            self.role.hand_over(worker)
            self.sometimes["handed over"] += 1
            yield from self.run_aside(worker, job)
            return False
        worker.job = job
        yield FREE
        worker.place = INLINE
        worker.claim.append(job.run)
        yield FREE
        if self.ring_wanted:
            self.ring()
            self.sometimes["watcher rung"] += 1
        yield from self.run_task(job)
        yield FREE
        if not self.role.keep(worker):
            self.sometimes["taken over"] += 1
            self.sometimes["taken over between tasks"] += bool(self.tasks)
            worker.place = ASIDE
            yield from self.settle_aside(job)
            return False
        worker.place = LEADING
        self.finish(job)
        job.settle()
        self.is_dirty = True
        return True

    def pass_on(self, worker: ModelWorker, job: ModelConnection) -> Generator[int, None, bool]:
        """The reserve has a job, as `Passing.pass_on`; False when the role is lost."""
        yield FREE
        if self.role.waiting and self.random.random() >= self.hand_over_chance:
            self.tasks.appendleft(job)
            self.order.appendleft(job)
            yield LOCKED
            if self.role.pass_back():
                worker.place = OUTSIDE
                self.sometimes["passed back"] += 1
                return False
            self.next_task()
        yield from self.give_away(job)
        return True

    def give_away(self, job: ModelConnection) -> Steps:
        """The reserve gives a job to a worker that waits, or queues it, as `Passing.give_away`."""
        job.state = QUEUED
        yield LOCKED
        if self.role.offer(job):
            self.queued.append(job)
        else:
            self.given.add(job)
            self.sometimes["job given away"] += 1

    def run_aside(self, worker: ModelWorker, job: ModelConnection) -> Steps:
        """Run a job without the role and give it back."""
        worker.job = job
        yield from self.run_task(job)
        yield from self.settle_aside(job)

    def run_task(self, job: ModelConnection) -> Steps:
        """The application at work."""
        job.runs += 1
        if job.runs > 1:
            raise ViolationError("two workers run the same job")
        if job.state != RUNNING:
            raise ViolationError("a job runs that has not begun")
        if not job.gone:
            length = job.plan[0]
            if length == HANGS:
                yield HUNG
            for _ in range(length):
                yield FREE

    def settle_aside(self, job: ModelConnection) -> Steps:
        """Give a job back without the role, or leave it to the holder."""
        yield LOCKED
        self.finish(job)
        with self.lock:
            is_settled = job.settle_aside()
        if not is_settled:
            yield FREE
            self.returned.append(job)
            self.sometimes["left to the holder"] += 1
        self.is_dirty = True

    def finish(self, job: ModelConnection) -> None:
        """A task ended."""
        job.runs -= 1
        job.finished += 1
        if job.finished != job.began:
            raise ViolationError("a request ran twice, or two of one connection at once")
        if job.plan:
            job.plan.pop(0)

    def watch(self) -> Steps:
        """The watcher, as `TaskPool.watch`."""
        quiet = 0
        while not self.is_ended:
            self._watcher_steps = True
            self.replace_late()
            taken = self.role.look()
            busy = self.role.has_claim()
            self._watcher_steps = False
            quiet = 0 if taken or busy else quiet + 1
            yield FREE
            if quiet > NAP_LOOKS:
                yield from self.nap()
                quiet = 0

    def nap(self) -> Steps:
        """Sleep without a tick: first say that a ring is wanted, then look, then sleep."""
        self.ring_wanted = True
        yield FREE
        if not self.role.has_claim() and not self.is_ended:
            self.sometimes["watcher slept"] += 1
            yield BELL
        self.ring_wanted = False

    # -- wake-ups

    def ring(self) -> None:
        """Wake the watcher."""
        self.ring_wanted = False
        if not self._rouse(BELL):
            self.is_rung = True

    def wake(self, worker: Worker) -> None:
        """Wake a worker: what the pool does with the lock that it sleeps on."""
        assert isinstance(worker, ModelWorker)
        if worker.woken:
            raise ViolationError("a worker was woken twice")
        if worker.is_reserve and worker.assignment is Assignment.LEAD and self.role.waiting:
            raise ViolationError("the reserve leads although a task worker waits")
        if not self._rouse(id(worker)):
            worker.woken = True


def explore(seeds: range, model: type[RoleModel] = RoleModel) -> "Counter[str]":
    """Run the model once for each seed; return the sum of `sometimes`. Raises ViolationError naming the seed."""
    sometimes: Counter[str] = Counter()
    for seed in seeds:
        try:
            sometimes.update(model(seed).run().sometimes)
        except ViolationError as violation:
            raise ViolationError(f"seed {seed}: {violation}\n" + "\n".join(replay(seed, model)[-40:])) from None
    return sometimes


def replay(seed: int, model: type[RoleModel] = RoleModel) -> list[str]:
    """Return the steps of one run, with the violation that ended it as the last line."""
    run = model(seed, trace=True)
    assert run.trace is not None
    try:
        run.run()
    except ViolationError as violation:
        run.trace.append(str(violation))
    return run.trace
