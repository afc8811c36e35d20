"""A world of processes that exists in virtual time: it carries out what the plan of a fleet asks for, with mishaps.

A seed gives everything: how long things take, which code lies on the disk, who dies, who hangs, who is killed by
others, when signals come, when the machine or the master stands still. Nothing here checks anything; `fleetmodel` does.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

from waitressd.fleet import actions as do
from waitressd.fleet.plan import Plan
from waitressd.fleet.verdicts import Kind, Verdict

WEAR = (Kind.TOO_MANY, Kind.TOO_OLD, Kind.TOO_BIG)


class Quality(Enum):
    """What the code on the disk is worth."""

    GOOD = "good"
    BROKEN = "does not load"
    SILENT = "never says hello"
    FOREIGN = "speaks another protocol"
    TAKEN = "its address is in use"
    STILLBORN = "its workers end before they are ready"
    STUCK = "its workers never are ready"
    MORTAL = "its workers die young"
    HUNG = "its workers hang young"
    HUGE = "its workers have more memory than they may as they begin"


class ModelCode:
    """A template process and what it is made of."""

    def __init__(self, number: int, quality: Quality, facts: do.CodeFacts) -> None:
        self.number = number
        self.quality = quality
        self.facts = facts
        self.is_alive = True
        self.is_told = False  # to quit, or killed


class ModelWorker:
    """A worker process. Times are of the counted kind: without pauses."""

    def __init__(self, action: do.Spawn, code: ModelCode, plan: Plan, now: float) -> None:
        self.number, self.place, self.code = action.worker, action.place, code
        self.generation = plan.succession.current.generation
        self.size = plan.succession.current.size  # how many there were to be
        self.spawned = now
        self.served: float | None = None
        self.served_at = 0.0  # the same with pauses
        self.words: set[str] = set()  # what it was told or has told: aside, drain, abort, kill, leave
        self.is_born = False
        self.is_alive = True  # or still to be born

    @property
    def is_serving(self) -> bool:
        """Whether it is known to accept."""
        return self.served is not None and self.is_alive and not self.words

    @property
    def is_booting(self) -> bool:
        """Whether it is known to boot."""
        return self.served is None and self.is_alive and not self.words


class World:
    """Processes, signals and time. A subclass watches what the plan does."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.random = rng = random.Random(seed)
        self.plan = plan
        self.now = 0.0
        self.excused = 0.0  # for how long the machine or the master stood still
        self.pauses = 0
        self.halted_until = 0.0  # the master does not run before
        self.codes: dict[int, ModelCode] = {}
        self.workers: dict[int, ModelWorker] = {}
        self.sometimes: Counter[str] = Counter()
        self.ended: int | None = None
        self.stops: list[float] = []
        self.actions: list[do.Action] = []  # that the last event has brought
        self.is_calm = False  # nothing goes wrong any more that has not begun to
        self.mishaps = rng.choice((0.0, 0.02, 0.1))
        self.late = rng.choice((0.0, 0.0, 0.5, 2.5))
        self.is_preloaded = rng.random() < 0.7
        self.can_reload = rng.random() < 0.9
        self.boot_timeout = rng.choice((3.0, 8.0))
        self.shutdown_timeout = rng.choice((2.0, 6.0))
        self.stuck_timeout = rng.choice((0.3, 1.0, 3.0))
        self.quality = Quality.GOOD if rng.random() < 0.9 else rng.choice(list(Quality))
        self.size = rng.randint(1, 4)
        self.horizon = rng.choice((3.0, 20.0, 60.0, 60.0))
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0

    @property
    def counted(self) -> float:
        """The time without pauses."""
        return self.now - self.excused

    def facts(self) -> do.CodeFacts:
        """What a code says of itself that is loaded now."""
        return do.CodeFacts(
            self.size, self.is_preloaded, self.boot_timeout, self.shutdown_timeout, self.can_reload,
            self.stuck_timeout, "a thread",
        )  # fmt: skip

    # -- time

    def later(self, delay: float, event: Callable[..., None], *arguments: Any) -> None:
        """Have something happen."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now + delay, self._sequence, event, arguments))

    def step(self) -> bool:
        """Let the next thing happen; False when there is nothing."""
        due = self.plan.due
        if due < float("inf"):
            due = max(due + self.late * self.random.random(), self.now) + 1e-9
        if self._heap and self._heap[0][0] <= due:
            time, _, event, arguments = heapq.heappop(self._heap)
            self.now = max(time, self.now, self.halted_until)
            event(*arguments)
            return True
        if due == float("inf"):
            return False
        self.now = max(due, self.halted_until)
        self.tell("tick")
        return True

    def pause(self) -> None:
        """The machine stands still, or the master alone."""
        seconds = self.random.choice((5.0, 20.0, 300.0))
        self.pauses += 1
        self.excused += seconds
        if self.random.random() < 0.5:
            self._heap = [(time + seconds, *rest) for time, *rest in self._heap]  # type: ignore[misc]  # the same tuple
            self.now += seconds
        else:
            self.halted_until = self.now + seconds
        self.sometimes["stood still"] += 1

    # -- the plan

    def tell(self, event: str, *arguments: Any, **keywords: Any) -> None:
        """Tell the plan of an event and do what it asks for."""
        self.actions = getattr(self.plan, event)(self.now, *arguments, **keywords)
        for action in self.actions:
            self.watch(action)
            handler: Callable[[Any], None] | None = getattr(self, f"do_{type(action).__name__.lower()}", None)
            if handler is not None:
                handler(action)

    def watch(self, action: do.Action) -> None:
        """See an action before it is carried out."""

    def start(self) -> None:
        """Begin with a code that has loaded."""
        self.codes[1] = code = ModelCode(1, self.quality, self.facts())
        code.is_alive = self.is_preloaded
        self.tell("start", code.facts)

    def do_loadcode(self, action: do.LoadCode) -> None:
        facts = self.facts()
        code = self.codes[action.code] = ModelCode(action.code, self.quality, facts)
        seconds = self._take(0.1, 1.0)
        if self._chance(self.mishaps) or code.quality is Quality.BROKEN:
            self.later(seconds, self.end_template, code)
        elif code.quality is Quality.FOREIGN:
            self.later(seconds, self.say_of, code, "failed", "it speaks another protocol")
        elif code.quality is not Quality.SILENT:
            self.later(seconds, self.say_of, code, "hello", facts)

    def do_bind(self, action: do.Bind) -> None:
        code = self.codes[action.code]
        if code.quality is Quality.TAKEN:
            self.later(0.001, self.tell, "failed", code.number, "address in use")
        else:
            self.later(self._take(0.0, 0.01), self.tell, "bound", code.number)

    def do_quitcode(self, action: do.QuitCode) -> None:
        code = self.codes[action.code]
        code.is_told = True
        if not self._chance(self.mishaps):
            self.later(self._take(0.01, 0.1), self.end_template, code)

    def do_killcode(self, action: do.KillCode) -> None:
        code = self.codes[action.code]
        code.is_told = True
        if not self._chance(self.mishaps / 10):
            self.later(1.0 if action.with_stacks else 0.01, self.end_template, code)

    def do_spawn(self, action: do.Spawn) -> None:
        code = self.codes[action.code]
        worker = self.workers[action.worker] = ModelWorker(action, code, self.plan, self.counted)
        is_forked = code.facts.is_preloaded
        if (is_forked and not code.is_alive) or self._chance(self.mishaps):
            self.later(0.01, self.end_worker, worker)
            return
        quality = code.quality if is_forked else self.quality
        born = self._take(0.002, 0.01)
        boot = born + (self._take(0.001, 0.05) if is_forked else self._take(0.1, 1.0))
        self.later(born, self.bear, worker)
        if quality in (Quality.STILLBORN, Quality.BROKEN):
            self.later(boot, self.end_worker, worker)
        elif quality not in (Quality.STUCK, Quality.SILENT):
            self.later(boot, self.make_ready, worker)
            if quality is Quality.MORTAL:
                self.later(boot + self._take(0.1, 7.0), self.end_worker, worker)
            elif quality is Quality.HUNG:
                self.later(
                    boot + self._take(0.1, 7.0), self.see, worker, self.random.choice((Kind.STALLED, Kind.STUCK))
                )
            elif quality is Quality.HUGE:
                self.later(boot, self.see, worker, Kind.BORN_TOO_BIG)
                self.later(boot + self._take(1.0, 15.0), self.see, worker, Kind.TOO_BIG)
            elif self._chance(self.mishaps):
                self.later(boot + self._take(0.1, 30.0), self.end_worker, worker)
            elif self._chance(self.mishaps):
                self.later(boot + self._take(0.1, 30.0), self.see, worker, self.random.choice(WEAR))

    def do_setaside(self, action: do.SetAside) -> None:
        worker = self.workers[action.worker]
        worker.words.add("aside")
        if self.random.random() < 0.3:
            self.later(self.random.random() * 12 * self.stuck_timeout, self.end_worker, worker, True)

    def do_drain(self, action: do.Drain) -> None:
        worker = self.workers[action.worker]
        worker.words.add("drain")
        self._finish(worker)

    def _finish(self, worker: ModelWorker) -> None:
        if self._chance(self.mishaps):
            return  # a request that does not end
        self.later(self._take(0.01, 1.0), self.end_worker, worker, True)

    def do_abort(self, action: do.Abort) -> None:
        worker = self.workers[action.worker]
        worker.words.add("abort")
        self.sometimes["aborted"] += 1
        if not self._chance(self.mishaps * 3):
            self.later(self._take(0.01, 0.5), self.end_worker, worker, True)

    def do_kill(self, action: do.Kill) -> None:
        worker = self.workers[action.worker]
        worker.words.add("kill")
        if not worker.is_born:
            self.sometimes["killed before it was born"] += 1
            return
        if self._chance(self.mishaps / 10):
            self.sometimes["could not be killed"] += 1
            return
        self.later(1.0 if action.with_stacks else 0.01, self.end_worker, worker)

    def do_end(self, action: do.End) -> None:
        self.ended = action.status

    # -- what happens to processes

    def say_of(self, code: ModelCode, event: str, argument: Any) -> None:
        """A template says a word, if it lives."""
        if code.is_alive:
            self.tell(event, code.number, argument)

    def end_template(self, code: ModelCode) -> None:
        """A template dies."""
        if code.is_alive:
            code.is_alive = False
            self.tell("template_died", code.number, "status 1")

    def bear(self, worker: ModelWorker) -> None:
        """A worker is born."""
        if worker.is_alive:
            worker.is_born = True
            self.tell("born", worker.number, 1000 + worker.number)

    def make_ready(self, worker: ModelWorker) -> None:
        """A worker says that it is ready."""
        if worker.is_alive:
            if not worker.words:
                worker.served, worker.served_at = self.counted, self.now
            self.tell("ready", worker.number)

    def end_worker(self, worker: ModelWorker, is_clean: bool = False) -> None:  # noqa: FBT001, FBT002 - from the heap
        """A worker dies."""
        if worker.is_alive:
            worker.is_alive = False
            self.tell("died", worker.number, "status 0" if is_clean else "SIGKILL", is_clean=is_clean)

    def see(self, worker: ModelWorker, kind: Kind) -> None:
        """The master finds that something is the matter with a worker, and finds it again at each look."""
        if worker.is_alive and worker.served is not None:
            self.tell("judged", worker.number, Verdict(kind, "for a reason"))
            if kind is not Kind.BORN_TOO_BIG:
                self.later(1.0, self.see, worker, kind)

    def leave(self, worker: ModelWorker) -> None:
        """Somebody sends a signal to a worker."""
        if worker.is_alive and worker.is_born:
            worker.words.add("leave")
            self.sometimes["left by itself"] += 1
            self.tell("leaving", worker.number)
            self._finish(worker)

    # -- what happens from outside

    def trouble(self) -> None:
        """One thing that happens to a fleet."""
        rng = self.random
        if self.is_calm:
            return
        troubles = {
            self.redeploy: 45, self.lose_worker: 10, self.call_worker_away: 5, self.lose_template: 7, self.pause: 7,
            self.find_fault: 14, self.resize: 6, self.upgrade: 3, self.hup: 3,
        }  # fmt: skip
        (trouble,) = rng.choices(list(troubles), list(troubles.values()))
        trouble()

    @property
    def living(self) -> list[ModelWorker]:
        """The workers that there are."""
        return [worker for worker in self.workers.values() if worker.is_alive]

    def redeploy(self) -> None:
        """Other code comes to the disk, and is mostly loaded."""
        self.deploy(self.random.choice(list(Quality)) if self.random.random() < 0.5 else Quality.GOOD)
        if self.random.random() < 0.8:
            self.hup()

    def lose_worker(self) -> None:
        """Somebody kills a worker."""
        if living := self.living:
            self.end_worker(self.random.choice(living))

    def call_worker_away(self) -> None:
        """Somebody tells a worker to end."""
        if living := self.living:
            self.leave(self.random.choice(living))

    def lose_template(self) -> None:
        """Somebody kills a template."""
        if templates := [code for code in self.codes.values() if code.is_alive]:
            self.end_template(self.random.choice(templates))

    def find_fault(self) -> None:
        """Something is the matter with a worker, or with all of them."""
        kind = self.random.choice((Kind.STALLED, Kind.STUCK, self.random.choice(WEAR)))
        living = self.living
        for worker in living if self.random.random() < 0.3 else living[-1:]:
            self.see(worker, kind)

    def upgrade(self) -> None:
        """Ask for another version of the master."""
        self.tell("upgrade")

    def deploy(self, quality: Quality) -> None:
        """Other code comes to the disk."""
        self.quality = quality
        if self.random.random() < 0.3:
            self.size = self.random.randint(1, 4)
        if self.random.random() < 0.1:
            self.is_preloaded = not self.is_preloaded

    def resize(self) -> None:
        """Ask for a worker more or less."""
        self.tell("resize", self.random.choice((1, 1, -1)))

    def hup(self) -> None:
        """Ask for a reload."""
        self.tell("hup")

    def stop(self) -> None:
        """Ask for the end."""
        if self.ended is None:
            self.stops.append(self.counted)
            self.tell("stop")

    def _take(self, least: float, most: float) -> float:
        return least + self.random.random() ** 2 * (most - least)

    def _chance(self, share: float) -> bool:
        return not self.is_calm and self.random.random() < share
