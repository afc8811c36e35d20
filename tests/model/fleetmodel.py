"""The real Plan in a world of mishaps: one seed, one story; after every event its promises are checked.

A story has a time of trouble, then (mostly) a time of calm with good code on the disk, after which all must be well
again, then a stop.
"""

from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple, Self

from tests.model.fleetworld import WEAR, ModelWorker, Quality, World
from waitressd.fleet import actions as do
from waitressd.fleet.judge import ASIDE_TIMES
from waitressd.fleet.members import CREDIT_DEATHS, CREDIT_SECONDS, YOUNG_SECONDS, Code
from waitressd.fleet.orders import ABORT_SECONDS, REAP_SECONDS
from waitressd.fleet.plan import BOOT_FAILURES, HURRY_SECONDS, Plan
from waitressd.fleet.states import Life, RollStage, WorkerStage
from waitressd.fleet.succession import DEATHS, PROVING_SECONDS
from waitressd.fleet.verdicts import Kind, Verdict

CALM_SECONDS: Final = 200.0
STEP_LIMIT: Final = 6000
SLACK_SECONDS: Final = 3.0  # ticks that come late, stacks that take a second
WINDOW_SECONDS: Final = 120.0
# Of a place: one each ten seconds if they live so long, the quick ones of a back-off, and those on credit.
BIRTHS_IN_WINDOW: Final = 22 + CREDIT_DEATHS + int(WINDOW_SECONDS / CREDIT_SECONDS)
TRIAL: Final = (RollStage.ROLLING, RollStage.PROVING)


class ViolationError(AssertionError):
    """A promise of the plan is broken."""


class Before(NamedTuple):
    """Where things were before an event."""

    roll: RollStage
    current: Code
    has_way_back: bool
    size: int
    aside: int


class FleetModel(World):
    """One run. `sometimes` counts how often each rare thing happened; a subclass may plan wrongly."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        super().__init__(seed, self.new_plan())
        self.trace: list[str] | None = [] if trace else None
        self.births: dict[int, list[float]] = defaultdict(list)  # of each place, since the code has changed
        self.loads: list[float] = []  # of templates in the place of lost ones
        self.deaths: Counter[int] = Counter()  # of workers on trial, by generation
        self.lost_templates: set[int] = set()  # generations whose template has died
        self.hup_at = self.load_at = -1.0
        self.told: do.Action | None = None
        self.loading: tuple[int, Any] | None = None  # the code being loaded, and the plan before that
        self.births_of_codes: dict[int, float] = {1: 0.0}
        self.newest = 1  # generation
        self.hups = 0
        self.brought: set[str] = set()  # what the present event has brought
        self.stopping_since: float | None = None
        self.sizes = {1: self.size}  # of generations
        self.aside: dict[int, float] = {}  # workers that were set aside, and since when
        self.worn: dict[int, float] = {}  # workers that are to be renewed, and since when
        self.resting: set[int] = set()  # generations that have too much memory as they begin
        self.verdict: tuple[int, Kind] | None = None  # that the present event brings

    def new_plan(self) -> Plan:
        """Build the plan that is put to the test."""
        return Plan()

    # -- the story

    def run(self) -> Self:
        """Let everything happen that the seed wants. Raises ViolationError."""
        rng = self.random
        self.start()
        for _ in range(rng.randint(0, 10)):
            self.later(rng.random() * self.horizon, self.trouble)
        if rng.random() < 0.3:
            self.later(rng.random() * self.horizon, self.stop)
        else:
            self.later(self.horizon, self.become_calm)
        for _ in range(STEP_LIMIT):
            if self.ended is not None:
                self._check_end()
                return self
            if not self.step():
                raise ViolationError("the plan waits for ever")
            self._check()
        raise ViolationError("the steps do not come to an end")

    def become_calm(self) -> None:
        """From now on everything can be mended."""
        if self.ended is None:
            self.is_calm = True
            self.quality = Quality.GOOD
            if not self.can_reload:
                self.codes[1].quality = Quality.GOOD  # no reload would mend it
            self.hup()
            self.later(CALM_SECONDS, self.check_peace)
            for _ in range(self.random.randint(0, 3)):
                self.later(60 + self.random.random() * 60, self.small_trouble)

    def small_trouble(self) -> None:
        """What a fleet that is well copes with."""
        serving = [worker for worker in self.workers.values() if worker.is_serving]
        kind = self.random.random()
        if not self.is_running:
            return
        if kind < 0.3:
            self.resize()
        elif serving:
            self.see(self.random.choice(serving), self.random.choice((Kind.STALLED, Kind.STUCK, *WEAR)))

    def stop(self) -> None:
        if self.plan.succession.roll is not RollStage.QUIET:
            self.sometimes["stopped during a reload"] += 1
        if not self.stops and self.random.random() < 0.3:
            self.later(self.random.random() * 3, self.stop)
        elif self.stops:
            self.sometimes["stopped twice"] += 1
        super().stop()

    # -- what the plan is told

    def tell(self, event: str, *arguments: Any, **keywords: Any) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now:8.3f} {event} {', '.join(map(str, arguments))}")
        succession = self.plan.succession
        aside = self._count_aside() if event == "judged" else 0
        current = succession.current
        before = self.before = Before(succession.roll, current, self._has_way_back(), current.size, aside)
        fingerprint = self._fingerprint() if event == "upgrade" else None
        if event in ("died", "template_died") and before.roll in TRIAL and self.is_running:
            self._count_deaths(event, arguments[0])
        is_about_code = event in ("hello", "bound", "failed", "template_died")
        if self.loading is not None and event != "tick" and not (is_about_code and arguments[0] == self.loading[0]):
            self.loading = None  # something else has happened since
        self.brought.clear()
        self.verdict = None
        was_serving = event == "judged" and self.workers[arguments[0]].is_serving
        if event == "judged":
            self.verdict = arguments[0], arguments[1].kind
            self._note_verdict(*arguments)
        super().tell(event, *arguments, **keywords)
        if self.is_running:
            self._check_size(event, before, arguments)
            if was_serving:
                self._check_verdict(before, *arguments)
            if event == "upgrade":
                self._check_upgrade(fingerprint)
            self._check_trial(before)
            self._check_reload(before)
            self._check_replaced(event, before, arguments)
        if event == "stop" and self.plan.life is Life.ABORTING:
            self._check_hurry()
        if event == "born" and "kill" in self.workers[arguments[0]].words and "kill" not in self.brought:
            raise ViolationError("one that was killed before its birth lives on")

    def _check_hurry(self) -> None:
        if any(each.is_alive and not each.words & {"abort", "kill"} for each in self.workers.values()):
            raise ViolationError("a second signal does not hurry")

    def _has_way_back(self) -> bool:
        former = self.plan.succession.former
        code = self.codes[former.number] if former is not None and former.facts.is_preloaded else None
        return code is not None and code.is_alive and not code.is_told

    def _check_trial(self, before: "Before") -> None:
        """Two deaths of new workers, or one boot that fails, and nothing less, bring the old code back."""
        succession, generation = self.plan.succession, before.current.generation
        if before.roll not in TRIAL:
            return
        is_condemned = self.deaths[generation] >= DEATHS
        if succession.roll is RollStage.BACK:
            self.sometimes["rolled back"] += 1
            self._forget_births()
            if not is_condemned and generation not in self.lost_templates:
                raise ViolationError(f"generation {generation} is rolled back without a reason")
        elif is_condemned and before.has_way_back and succession.current.generation == generation:
            raise ViolationError(f"generation {generation} is not rolled back")

    def _check_reload(self, before: "Before") -> None:
        """A refusal changes nothing; a new generation needs a signal, and what boots for another one ends."""
        succession = self.plan.succession
        if before.roll is RollStage.PROVING and succession.roll is RollStage.QUIET:
            self.loading = None  # the new code is trusted meanwhile
        if "refusal" in self.brought and self.loading is not None and self.loading[1] != self._fingerprint():
            raise ViolationError("a refusal has changed something")
        if succession.current.generation > self.newest:
            self.newest = succession.current.generation
            self._forget_births()
            if self.newest - 1 > self.hups:
                raise ViolationError("a reload without being asked for")
            if any(each.is_booting and each.generation != self.newest for each in self.workers.values()):
                raise ViolationError("one boots whom nobody wants")

    def _check_replaced(self, event: str, before: "Before", arguments: tuple[Any, ...]) -> None:
        """Who has served long enough is replaced in the same moment, and so is a template."""
        current = self.plan.succession.current
        if event == "template_died" and arguments[0] == before.current.number == current.number:
            is_old = self.counted - self.births_of_codes[current.number] > 11 + self.pauses
            if is_old and current.facts.is_preloaded and self.plan.succession.candidate is None:
                raise ViolationError("a lost template is not replaced at once")
        if event not in ("died", "leaving", "judged") or not current.facts.is_preloaded:
            return
        worker, code = self.workers[arguments[0]], self.codes[current.number]
        if event == "judged" and "condemned" not in self.brought:
            return
        if (event == "died" and worker.words) or code.is_told or not code.is_alive:
            return
        is_old = worker.served is not None and self.counted - worker.served > 11 + self.pauses
        if is_old and worker.place <= current.size and not self._at(worker.place):
            raise ViolationError(f"place {worker.place} is not filled at once")

    def _count_deaths(self, event: str, number: int) -> None:
        current = self.plan.succession.current
        if event == "template_died":
            if number == current.number:
                self.lost_templates.add(current.generation)
            return
        worker = self.workers[number]
        if worker.generation == current.generation and not worker.words:
            self.deaths[worker.generation] += DEATHS if worker.served is None else 1

    # -- verdicts, sizes, upgrades

    def _note_verdict(self, number: int, verdict: Verdict) -> None:
        worker, generation = self.workers[number], self.plan.succession.current.generation
        if verdict.kind is Kind.BORN_TOO_BIG and worker.is_serving and worker.generation == generation:
            self.resting.add(generation)
        elif verdict.kind in WEAR and worker.is_serving and worker.generation == generation:
            is_resting = verdict.kind is Kind.TOO_BIG and generation in self.resting
            if not is_resting and self.now - worker.served_at >= YOUNG_SECONDS - 1e-6:
                self.worn.setdefault(number, self.counted)
        elif verdict.kind in (Kind.STALLED, Kind.STUCK) and worker.is_serving:
            is_condemned = verdict.kind is Kind.STALLED or self._count_aside() < self.plan.succession.current.size
            if is_condemned and worker.generation == generation and self.plan.succession.roll in TRIAL:
                self.deaths[generation] += 1

    def _count_aside(self) -> int:
        return sum(worker.stage is WorkerStage.ASIDE for worker in self.plan.crew)

    def _check_verdict(self, before: "Before", number: int, verdict: Verdict) -> None:
        """A hang is acted on at once, and once; wear never costs a worker that serves."""
        worker = self.workers[number]
        if verdict.kind is Kind.STALLED:
            if worker.words != {"kill"}:
                raise ViolationError("a stalled worker is not killed")
            self.sometimes["stalled"] += 1
        elif verdict.kind is Kind.STUCK:
            if ("aside" in worker.words) is not (before.aside < before.size):
                raise ViolationError("a stuck worker is not set aside, or too many are")
            self.sometimes["set aside" if worker.words else "too many were aside"] += 1
        elif worker.words - {"drain"}:
            raise ViolationError("a worker goes without a reason")
        if worker.words & {"kill", "aside"}:
            self.brought.add("condemned")

    def _check_size(self, event: str, before: "Before", arguments: tuple[Any, ...]) -> None:
        """The number of workers is that of the code, and what signals have made of it since."""
        current = self.plan.succession.current
        generation = current.generation
        if event == "resize" and current is before.current:
            expected = max(1, before.size + arguments[0])
            if current.size > before.size:
                self.sometimes["more by a signal"] += 1
            elif current.size < before.size:
                self.sometimes["fewer by a signal"] += 1
        else:
            expected = self.sizes.get(generation, current.facts.workers)
        if current.size != expected:
            raise ViolationError(f"{current.size} workers are wanted, and should be {expected}")
        self.sizes[generation] = current.size

    def _check_upgrade(self, fingerprint: Any) -> None:
        """It needs rest, and changes nothing."""
        if "upgrade" not in self.brought:
            self.sometimes["upgrade refused"] += 1
            if not any(isinstance(word, do.Say) for word in self.actions):
                raise ViolationError("an upgrade is refused without a word")
            return
        self.sometimes["upgraded"] += 1
        succession = self.plan.succession
        if fingerprint != self._fingerprint():
            raise ViolationError("an upgrade has changed something")
        if not isinstance(self.actions[-1], do.Upgrade):
            raise ViolationError("something follows an upgrade")
        is_quiet = not succession.is_moving and succession.candidate is None and self.can_reload
        told = [each for each in self.workers.values() if each.is_alive and "left alone" not in each.words]
        if not is_quiet or self.plan.life is not Life.SERVING:
            raise ViolationError("an upgrade at the wrong time")
        if any(not each.is_serving and "aside" not in each.words for each in told):
            raise ViolationError("an upgrade while a process is on its way")

    def watch_upgrade(self, action: do.Upgrade) -> None:
        """See an upgrade begin."""
        self.brought.add("upgrade")

    def watch_setaside(self, action: do.SetAside) -> None:
        """See a worker set aside."""
        if not self.workers[action.worker].is_serving or not self.is_running:
            raise ViolationError("one that does not serve is set aside")
        self.aside[action.worker] = self.counted

    def _check_renewal(self, action: do.Spawn) -> None:
        """A worker of the wanted generation gets a successor: for a reason, alone, when nothing else is to be done."""
        succession = self.plan.succession
        generation = succession.current.generation
        living = [each for each in self.workers.values() if each.is_alive and "left alone" not in each.words]
        old = [each for each in self._at(action.place) if each.generation == generation]
        if not old:
            return
        self.sometimes["renewed"] += 1
        if not any(each.number in self.worn for each in old):
            raise ViolationError("a worker is renewed without a reason")
        if succession.roll is not RollStage.QUIET or succession.is_loading:
            raise ViolationError("a worker is renewed during a reload")
        if any(each.is_booting or (each.words & {"drain"} and not each.words & {"aside", "abort"}) for each in living):
            raise ViolationError("a worker is renewed while another is")
        if set(range(1, succession.current.size + 1)) - {each.place for each in living if each.is_serving}:
            raise ViolationError("a worker is renewed although a place is empty")

    def _forget_births(self) -> None:
        self.births.clear()
        self.loads.clear()

    def _at(self, place: int) -> list[ModelWorker]:
        return [each for each in self.workers.values() if each.place == place and (each.is_serving or each.is_booting)]

    @property
    def is_running(self) -> bool:
        """Whether nobody has stopped the fleet, neither a signal nor itself."""
        return self.stopping_since is None

    # -- what the plan does

    def watch(self, action: do.Action) -> None:
        if self.trace is not None:
            self.trace.append(f"             {action}")
        if self.ended is not None:
            raise ViolationError("something is asked for after the end")
        if isinstance(action, do.Spawn | do.Drain | do.Abort | do.Kill):
            self.loading = None
        handler = getattr(self, f"watch_{type(action).__name__.lower()}", None)
        if handler is not None:
            handler(action)

    def watch_spawn(self, action: do.Spawn) -> None:
        """See a birth asked for."""
        if not self.is_running:
            raise ViolationError("a worker is born after the stop")
        succession = self.plan.succession
        if action.code != succession.current.number:
            raise ViolationError("a worker is born of a code that is not wanted")
        if any(each.is_booting for each in self._at(action.place)):
            raise ViolationError("two boot in one place")
        self._check_renewal(action)
        facts = succession.current.facts
        booting = sum(each.is_booting for each in self.workers.values())
        if not facts.is_preloaded and booting >= 2:
            raise ViolationError("three load the application at the same time")
        self._count_window(self.births[action.place], BIRTHS_IN_WINDOW, "a crash loop")

    def _count_window(self, times: list[float], most: int, what: str) -> None:
        times.append(self.counted)
        while times[0] < self.counted - WINDOW_SECONDS:
            times.pop(0)
        if len(times) > most:
            raise ViolationError(f"{what}: {len(times)} in {WINDOW_SECONDS:g} s")

    def watch_loadcode(self, action: do.LoadCode) -> None:
        """See a code loaded."""
        self.births_of_codes[action.code] = self.counted
        if not self.is_running:
            raise ViolationError("a code is loaded after the stop")
        if action.stands_in_for is None:
            if self.hup_at > self.load_at + 1e-6 and self.now > self.hup_at:
                self.sometimes["a reload waited for its turn"] += 1
            self.load_at = self.now
            self.loading = (action.code, self._fingerprint())
        else:
            self.sometimes["a template was replaced"] += 1
            self._count_window(self.loads, 12, "template after template")

    def watch_drain(self, action: do.Drain) -> None:
        """See a worker drained."""
        worker = self.workers[action.worker]
        if "aside" in worker.words:
            if worker.words & {"drain", "abort", "kill"} or action.is_last:
                raise ViolationError("one that was set aside is drained twice, or as if it served")
        elif not worker.is_serving:
            raise ViolationError("one that does not serve is drained")
        elif action.is_last is self.is_running:
            raise ViolationError("a worker empties the backlog of its siblings, or a stop forgets it")
        elif self.is_running:
            self._check_drain(worker)

    def _check_drain(self, worker: ModelWorker) -> None:
        """A worker is drained by choice: alone, and when another has its place."""
        if any(
            "drain" in each.words and not each.words & {"abort", "aside"} and each.is_alive
            for each in self.workers.values()
        ):
            raise ViolationError("two drain by choice")
        size = min(self.before.size, self.plan.succession.current.size)  # serve() may begin to reload after it
        others = [each for each in self.workers.values() if each.is_serving and each is not worker]
        if any(each.place == worker.place for each in others):
            return
        if worker.place <= size:
            raise ViolationError("a worker is drained and none has its place")
        if len({each.place for each in others if each.place <= size}) < size:
            raise ViolationError("a place goes before the others serve")
        self.sometimes["shrank"] += 1

    def watch_kill(self, action: do.Kill) -> None:
        """See a worker killed."""
        worker = self.workers[action.worker]
        self.brought.add("kill")
        if action.with_stacks and worker.served is None and "abort" not in worker.words:
            self.sometimes["a boot took too long"] += 1
            if self.counted - worker.spawned < self.boot_timeout - self.pauses - 0.01:
                raise ViolationError("a worker is killed that had no time to boot")
            self.deaths[worker.generation] += DEATHS
        if "kill" in worker.words and worker.is_born and "kill before birth" not in worker.words:
            raise ViolationError("a worker is killed twice")
        if not worker.is_born:
            worker.words.add("kill before birth")
        is_stalled = self.verdict == (worker.number, Kind.STALLED)
        if self.is_running and (worker.is_serving or worker.words == {"aside"}) and not is_stalled:
            raise ViolationError("a worker is killed while it serves")

    def watch_say(self, action: do.Say) -> None:
        """Hear what the operator is told."""
        what = action.text.split(":")[0]
        if what in ("reload done", "rolled back"):
            self.sometimes[what] += 1
            generation, count = (int(word) for word in action.text.split() if word.isdigit())
            living = [each for each in self.workers.values() if each.is_alive and "left alone" not in each.words]
            if any(each.generation != generation for each in living):
                raise ViolationError(f"{what} although a worker of another generation lives")
            if sum(each.is_serving for each in living) != count:
                raise ViolationError(f"{what} although not every place has a worker")
        elif what == "reload refused":
            self.sometimes[what] += 1
            self.brought.add("refusal")
        elif "no way back to" in action.text:
            self.sometimes["no way back"] += 1
        elif "left alone" in action.text:
            for worker in self.workers.values():
                if f"pid {1000 + worker.number}," in action.text:
                    worker.words.add("left alone")

    def _fingerprint(self) -> Any:
        """What a refusal must leave as it was."""
        plan, succession = self.plan, self.plan.succession
        return (
            plan.life, succession.roll, succession.current.number, succession.former and succession.former.number,
            succession.current.generation, plan.crew.failed_boots,
            [(each.number, each.place, each.stage) for each in plan.crew],
            [(number, place.failures, place.not_before) for number, place in plan.crew.places(4)],
        )  # fmt: skip

    def watch_serving(self, action: do.Serving) -> None:
        """Hear what systemd is told."""
        if action == self.told:
            raise ViolationError("the same status twice")
        self.told = action

    def watch_reloading(self, action: do.Reloading) -> None:
        """Hear what systemd is told."""
        if action == self.told:
            raise ViolationError("the same status twice")
        self.told = action

    def watch_stopping(self, action: do.Stopping) -> None:
        """See the end begin."""
        if self.stopping_since is not None:
            raise ViolationError("stopped twice over")
        self.stopping_since = self.counted
        if action.status == "giving up":
            self._check_giving_up()

    def _check_giving_up(self) -> None:
        self.sometimes["gave up"] += 1
        if self.plan.succession.current.facts.is_preloaded and not self.can_reload and self._template_is_lost():
            return
        if any(each.is_serving for each in self.workers.values()):
            raise ViolationError("gives up although a worker serves")
        has_served = any(each.served is not None for each in self.workers.values())
        if has_served and self.plan.crew.failed_boots < BOOT_FAILURES:
            raise ViolationError("gives up too early")

    def _template_is_lost(self) -> bool:
        return not self.codes[self.plan.succession.current.number].is_alive

    def watch_keepaddresses(self, action: do.KeepAddresses) -> None:
        """See listeners closed."""
        if self.is_running:
            wanted = {worker.code.number for worker in self.workers.values() if worker.is_alive and not worker.words}
            wanted.add(self.plan.succession.current.number)
            if not wanted <= set(action.codes):
                raise ViolationError("an address is closed that somebody listens at")

    def hup(self) -> None:
        self.hups += 1
        if self.is_running and self.can_reload:
            self.hup_at = self.now
        super().hup()

    # -- what must hold after every event

    def _check(self) -> None:
        counted = self.counted
        serving = 0
        for worker in self.workers.values():
            if worker.is_serving:
                serving += 1
            elif worker.is_booting and counted - worker.spawned > self.boot_timeout + SLACK_SECONDS + self.pauses:
                raise ViolationError("a boot never ends")
            elif worker.number in self.aside and worker.is_alive:
                self._check_aside(worker)
        sizes = [worker.size for worker in self.workers.values() if worker.is_alive]
        sizes.append(self.plan.succession.current.size)
        if serving > max(sizes) + 1:
            raise ViolationError(f"{serving} serve")
        if self.stopping_since is not None and self.ended is None:
            self._check_stop(counted - self.stopping_since)

    def _check_aside(self, worker: ModelWorker) -> None:
        seconds = ASIDE_TIMES * worker.code.facts.worker_stuck_timeout + ABORT_SECONDS + 2 * SLACK_SECONDS
        seconds += self.shutdown_timeout if not self.is_running else 0.0
        if self.counted - self.aside[worker.number] > seconds + self.pauses and "kill" not in worker.words:
            raise ViolationError("one that was set aside is forgotten")

    def _check_stop(self, seconds: float) -> None:
        limit = self.shutdown_timeout + ABORT_SECONDS + REAP_SECONDS + 2 * SLACK_SECONDS + self.pauses
        if seconds > limit:
            raise ViolationError("the stop does not end")
        is_hurried = self.plan.life is Life.ABORTING and len(self.stops) > 1
        if is_hurried and self.counted - self.stops[1] > HURRY_SECONDS + SLACK_SECONDS + self.pauses:
            stuck = [each for each in self.workers.values() if each.is_alive and "kill" not in each.words]
            if stuck:
                raise ViolationError("a second signal does not hurry")

    def check_peace(self) -> None:
        """Check that everything is well after the calm."""
        if not self.is_running:
            return
        succession = self.plan.succession
        serving = [worker for worker in self.workers.values() if worker.is_serving]
        if sorted(worker.place for worker in serving) != list(range(1, succession.current.size + 1)):
            raise ViolationError("not every place has its worker after the calm")
        if {worker.generation for worker in serving} != {succession.current.generation}:
            raise ViolationError("two generations serve after the calm")
        if self.can_reload and self.hup_at > self.load_at:
            raise ViolationError("a reload was forgotten")
        if not isinstance(self.told, do.Serving):
            raise ViolationError("the fleet seems to reload for ever")
        if self.can_reload:
            self._check_templates()
        if any(
            worker.number in self.worn for worker in serving if self.worn.get(worker.number, 1e9) < self.counted - 60
        ):
            raise ViolationError("a worn worker is never renewed")
        self.sometimes["peace"] += 1
        if succession.roll is not RollStage.QUIET:
            raise ViolationError(f"nothing is settled: {succession.roll.name}")
        self.stop()

    def _check_templates(self) -> None:
        living = [code.number for code in self.codes.values() if code.is_alive and not code.is_told]
        current = self.plan.succession.current
        if living != ([current.number] if current.facts.is_preloaded else []):
            raise ViolationError(f"templates {living} live, and {current.number} is wanted")

    def _check_end(self) -> None:
        gave_up = self.ended == 1
        if gave_up != (self.sometimes["gave up"] > 0):
            raise ViolationError(f"the wrong status: {self.ended}")
        for worker in self.workers.values():
            if worker.is_alive and "left alone" not in worker.words and "kill" not in worker.words:
                raise ViolationError("a worker is forgotten at the end")
        if any(code.is_alive and not code.is_told for code in self.codes.values()):
            raise ViolationError("a template is forgotten at the end")
        if self.counted > PROVING_SECONDS and self.sometimes["peace"]:
            self.sometimes["stopped in peace"] += 1


def explore_fleet(seeds: range, model: type[FleetModel] = FleetModel) -> "Counter[str]":
    """Run the model once for each seed; return the sum of `sometimes`. Raises ViolationError naming the seed."""
    sometimes: Counter[str] = Counter()
    for seed in seeds:
        try:
            sometimes.update(model(seed).run().sometimes)
        except (ViolationError, KeyError, AssertionError) as violation:
            steps = "\n".join(replay_fleet(seed, model)[-60:])
            raise ViolationError(f"seed {seed}: {violation!r}\n{steps}") from None
    return sometimes


def replay_fleet(seed: int, model: type[FleetModel] = FleetModel) -> list[str]:
    """Return the events and actions of one run, with the violation that ended it as the last line."""
    run = model(seed, trace=True)
    assert run.trace is not None
    try:
        run.run()
    except (ViolationError, KeyError, AssertionError) as violation:
        run.trace.append(repr(violation))
    return run.trace
