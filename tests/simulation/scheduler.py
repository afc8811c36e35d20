"""Threads of which exactly one runs at a time, chosen by a seed, on a clock that only moves when the seed says so.

Each actor is a real thread, for its stack, that runs only while it holds the baton. At every sync point (a lock, a
sleep, a wait, whatever calls `switch`) the running one decides by the seed who goes on, and hands the baton over.
"""

import heapq
import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn, Self

from waitressd.machine import Machine

STEP_SECONDS: Final = 5e-6  # what one step costs on the clock
STEP_LIMIT: Final = 400_000
FREE_CHANCE: Final = 0.5  # of a sync point at which nobody else is considered

_CLOCK_BEGIN: Final = 1000.0


class SimulationError(AssertionError):
    """Something that must never happen happened."""


class SimulationOver(BaseException):
    """Raised in every thread that is left when a run has failed."""


class Actor:
    """One simulated thread."""

    def __init__(self, name: str, target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.baton = threading.Lock()
        self.baton.acquire()
        self.is_blocked = False
        self.is_done = False
        self.was_woken = False
        self.generation = 0  # counts its waits, so that an old timer does not end a new one
        self.joiners: list[Actor] = []
        self.cpu_seconds = 1.0
        self._target = target
        self._arguments = arguments
        self.thread = threading.Thread(target=self._run, name=f"simulated {name}", daemon=True)
        self.scheduler: Scheduler

    def _run(self) -> None:
        self.baton.acquire()
        scheduler = self.scheduler
        try:
            if scheduler.failure is None:
                self._target(*self._arguments)
        except SimulationOver:
            pass
        except BaseException as error:  # border: a thread of the server ended by an exception is what we look for
            scheduler.fail(error)
        scheduler.leave(self)


class Scheduler:
    """Who runs, what time it is, and what happens at which time."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.random = random.Random(seed)
        self.now = _CLOCK_BEGIN
        self.current: Actor | None = None
        self.failure: BaseException | None = None
        self.sometimes: Counter[str] = Counter()
        self.trace: list[str] | None = [] if trace else None
        self.on_step: Callable[[], None] = lambda: None  # the invariants
        self.steps = 0
        self._runnable: list[Actor] = []
        self._all: list[Actor] = []
        self._timers: list[tuple[float, int, Actor | None, int, Callable[[], None] | None]] = []
        self._number = 0
        self._finished = threading.Lock()
        self._finished.acquire()

    # -- what the world is built with

    def add(self, actor: Actor) -> None:
        """Let a thread take part."""
        actor.scheduler = self
        self._all.append(actor)
        self._runnable.append(actor)
        actor.thread.start()

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Have something happen at a time: a client acts, a fault ends."""
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, None, 0, call))

    def run(self) -> None:
        """Run until every actor is done. Raises what went wrong first."""
        first = self._next()
        if first is not None:
            self.current = first
            first.baton.release()
            self._finished.acquire()
        for actor in self._all:
            actor.thread.join(10)
        if self.failure is not None:
            raise self.failure

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            name = self.current.name if self.current is not None else "-"
            self.trace.append(f"{self.now:.6f} {name}: {text}")

    def machine(self) -> Machine:
        """Build what the server takes its time, locks and threads from."""
        # mypy knows the real classes; the simulation's have what is used of them.
        build_thread: Any = partial(SimThread, self)
        build_lock: Any = partial(SimLock, self)
        build_condition: Any = SimCondition
        return Machine(
            monotonic=lambda: self.now,
            thread_time=lambda: self.current.cpu_seconds if self.current is not None else 0.0,
            thread_pauses=lambda: -1,
            sleep=self.sleep,
            new_lock=build_lock,
            new_condition=build_condition,
            new_thread=build_thread,
        )

    # -- what actors call

    def switch(self, *, always: bool = False) -> None:
        """A sync point: perhaps somebody else goes on."""
        if self.failure is not None:
            raise SimulationOver
        if not always and self.random.random() < FREE_CHANCE:
            return
        self._hand_over()

    def block(self, timeout_seconds: float | None) -> bool:
        """Wait until `wake` or the timeout; True when woken."""
        if self.failure is not None:
            raise SimulationOver
        actor = self.current
        assert actor is not None
        actor.is_blocked = True
        actor.was_woken = False
        actor.generation += 1
        self._runnable.remove(actor)
        if timeout_seconds is not None:
            self._number += 1
            when = self.now + max(0.0, timeout_seconds)
            heapq.heappush(self._timers, (when, self._number, actor, actor.generation, None))
        self._hand_over()
        return actor.was_woken

    def wake(self, actor: Actor) -> None:
        """End an actor's wait."""
        if actor.is_blocked:
            actor.is_blocked = False
            actor.was_woken = True
            self._runnable.append(actor)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.block(seconds)

    def violate(self, text: str) -> NoReturn:
        """Note that something happened that must not, whoever catches what is raised here."""
        error = SimulationError(text)
        self.fail(error)
        raise error

    def burn(self, seconds: float) -> None:
        """Let the running thread compute."""
        self.now += seconds
        if self.current is not None:
            self.current.cpu_seconds += seconds

    def fail(self, error: BaseException) -> None:
        """Remember the first thing that went wrong; the run ends."""
        if self.failure is None:
            self.failure = error

    def leave(self, actor: Actor) -> None:
        """An actor's thread ends: somebody else goes on."""
        actor.is_done = True
        if actor in self._runnable:
            self._runnable.remove(actor)
        for joiner in actor.joiners:
            self.wake(joiner)
        following = self._next()
        if following is None:
            self._finished.release()
        else:
            self.current = following
            following.baton.release()

    # -- the choice

    def _hand_over(self) -> None:
        actor = self.current
        assert actor is not None
        following = self._next()
        if following is not None and following is not actor:
            self.current = following
            following.baton.release()
            actor.baton.acquire()
        if self.failure is not None:
            raise SimulationOver

    def _next(self) -> Actor | None:
        """Choose who goes on; None when all are done."""
        if self.failure is None:
            try:
                return self._choose()
            except BaseException as error:  # border: invariants and clients are checked in here; the run ends
                self.fail(error)
        # Everybody has to unwind, one after the other.
        for actor in self._all:
            if not actor.is_done:
                return actor
        return None

    def _choose(self) -> Actor | None:
        self.steps += 1
        self.now += STEP_SECONDS
        if self.steps > STEP_LIMIT:
            raise SimulationError("the run does not come to an end")
        self._fire()
        self.on_step()
        while not self._runnable:
            if not self._timers:
                if all(actor.is_done for actor in self._all):
                    return None
                waiting = ", ".join(actor.name for actor in self._all if not actor.is_done)
                raise SimulationError(f"{waiting} would wait for ever")
            if all(actor.is_done for actor in self._all):
                return None
            self.now = max(self.now, self._timers[0][0])
            self._fire()
            self.on_step()
        return self._runnable[int(self.random.random() * len(self._runnable))]

    def _fire(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self.now:
            _, _, actor, generation, call = heapq.heappop(timers)
            if call is not None:
                call()
            elif actor is not None and actor.is_blocked and actor.generation == generation:
                actor.is_blocked = False
                self._runnable.append(actor)


class SimLock:
    """`threading.Lock` of the simulation."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_held = False
        self._waiters: list[Actor] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's own names
        """Take it, or wait for it."""
        scheduler = self._scheduler
        if scheduler.current is None:  # the world is being built
            self._is_held = True
            return True
        scheduler.switch()
        end = None if timeout < 0 else scheduler.now + timeout
        while self._is_held:
            if not blocking or (end is not None and scheduler.now >= end):
                return False
            actor = scheduler.current
            self._waiters.append(actor)
            scheduler.block(None if end is None else end - scheduler.now)
            if actor in self._waiters:
                self._waiters.remove(actor)
        self._is_held = True
        return True

    def release(self) -> None:
        """Give it back. Raises RuntimeError when nobody holds it."""
        if not self._is_held:
            raise RuntimeError("release unlocked lock")
        self._is_held = False
        if self._waiters:
            self._scheduler.wake(self._waiters.pop(0))

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()


class SimCondition:
    """`threading.Condition` of the simulation, as far as it is used."""

    def __init__(self, lock: SimLock) -> None:
        self._lock = lock
        self._scheduler = lock._scheduler
        self._waiters: list[Actor] = []

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until the predicate holds or the time is over."""
        scheduler = self._scheduler
        end = None if timeout is None else scheduler.now + timeout
        while not (result := predicate()):
            if end is not None and scheduler.now >= end:
                scheduler.sometimes["a producer waited in vain"] += 1
                break
            scheduler.sometimes["a producer waits"] += 1
            actor = scheduler.current
            assert actor is not None
            self._waiters.append(actor)
            self._lock.release()
            scheduler.block(None if end is None else end - scheduler.now)
            if actor in self._waiters:
                self._waiters.remove(actor)
            self._lock.acquire()
        return result

    def notify_all(self) -> None:
        """Wake all who wait."""
        waiters, self._waiters = self._waiters, []
        for actor in waiters:
            self._scheduler.wake(actor)


class SimThread:
    """`threading.Thread` of the simulation, as far as it is used."""

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        target: Callable[..., object],
        args: tuple[Any, ...],
        *,
        daemon: bool = False,
    ) -> None:
        self.name = name
        self.ident: int | None = None
        self._scheduler = scheduler
        self._actor = Actor(name, target, args)

    def start(self) -> None:
        """Begin to take part."""
        self.ident = id(self)
        self._scheduler.add(self._actor)

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        if not self._actor.is_done:
            current = self._scheduler.current
            assert current is not None
            self._actor.joiners.append(current)
            self._scheduler.block(timeout)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not self._actor.is_done
