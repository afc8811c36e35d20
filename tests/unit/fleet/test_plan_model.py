"""The plan of a fleet keeps its promises in every story of mishaps, and the model would notice if it did not.

Each mutant here is the same plan with one small thing wrong.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.model.fleetmodel import FleetModel, ViolationError, explore_fleet, replay_fleet
from waitressd.fleet.actions import Action, CodeFacts, Drain, KeepAddresses, Kill, Say
from waitressd.fleet.crew import Crew
from waitressd.fleet.judge import Judge
from waitressd.fleet.members import Code, Worker
from waitressd.fleet.orders import Clock, Orders
from waitressd.fleet.plan import Plan
from waitressd.fleet.states import Life, RollStage, TemplateStage, WorkerMove, WorkerStage
from waitressd.fleet.succession import Succession
from waitressd.fleet.verdicts import Kind, Verdict

RUNS = 1_000
CHUNKS = 10
MUTANT_RUNS = 2_000

RARE_THINGS = {
    "reload done", "peace", "stood still", "left by itself", "rolled back", "reload refused", "shrank", "gave up",
    "a reload waited for its turn", "a template was replaced", "aborted", "a boot took too long", "no way back",
    "stopped during a reload", "stopped twice", "killed before it was born", "stalled", "set aside",
    "too many were aside", "renewed", "more by a signal", "fewer by a signal", "upgraded", "upgrade refused",
}  # fmt: skip


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_promises_hold_in_every_story(chunk: int) -> None:
    sometimes = explore_fleet(range(chunk * RUNS, (chunk + 1) * RUNS))
    assert sometimes.keys() >= RARE_THINGS


def test_a_seed_replays_exactly() -> None:
    for seed in range(30):
        assert replay_fleet(seed) == replay_fleet(seed)


class DrainsFirst(Crew):
    """The old worker goes before its successor serves."""

    def worker_to_drain(self, current: Code, former: Code | None) -> Worker | None:
        if not self.count(WorkerStage.DRAINING):
            for worker in self:
                if worker.stage is WorkerStage.SERVING and worker.generation != current.generation:
                    return worker
        return super().worker_to_drain(current, former)


class DrainsAll(Crew):
    """The next one drains before the last one has ended."""

    def count(self, stage: WorkerStage) -> int:
        return 0 if stage is WorkerStage.DRAINING else super().count(stage)


class DrainsTheBest(Crew):
    """Of two in one place, either may go."""

    def worker_to_drain(self, current: Code, former: Code | None) -> Worker | None:
        for worker in self:
            if worker.stage is WorkerStage.SERVING and not self.count(WorkerStage.DRAINING):
                others = [each for each in self.at(worker.place) if each.stage is WorkerStage.SERVING]
                if len(others) > 1:
                    return max(others, key=lambda each: each.number)
        return super().worker_to_drain(current, former)


class ShrinksFirst(Crew):
    """Places that are not wanted any more go before the others are renewed."""

    def worker_to_drain(self, current: Code, former: Code | None) -> Worker | None:
        for worker in self:
            if worker.stage is WorkerStage.SERVING and worker.place > current.size:
                return None if self.count(WorkerStage.DRAINING) else worker
        return super().worker_to_drain(current, former)


class RenewsAll(Crew):
    """The next successor is born while old and new serve in another place."""

    def place_to_renew(self, current: Code, now: float) -> int | None:
        for number, _ in self.places(current.size):
            there = self.at(number)
            if there and all(worker.generation != current.generation for worker in there):
                return number
        return None


class NeverWaits(Crew):
    """A place is filled at once, whatever has happened there."""

    def vacate(self, worker: Worker, now: float) -> float:
        self.place(worker.place).forgive()
        return 0.0


class WaitsForTheLeaver(Crew):
    """A worker that leaves by itself has its place until it is gone."""

    def at(self, place: int) -> list[Worker]:
        leaving = [each for each in self if each.place == place and each.stage is WorkerStage.LEAVING]
        return super().at(place) + leaving


class ReportsTooEarly(Crew):
    """A reload is over when the last new one serves."""

    def is_renewed(self, current: Code) -> bool:
        return self.served_places(current.size, current.generation) == current.size


class KeepsOldBoots(Crew):
    """What boots for the code before may go on."""

    def superfluous_boots(self, current: Code) -> Iterator[Worker]:
        return iter(())


class CountsPauses(Clock):
    """Time in which everything stood still counts."""

    def hear(self, now: float) -> None:
        self.expect(math.inf)
        super().hear(now)


class BootsForEver(Plan):
    """A boot has no deadline."""

    def _spawn(self, place: int) -> None:
        super()._spawn(place)
        self.crew.workers[self._numbers].deadline = math.inf


class NeverStops(Plan):
    """Places are filled after the stop, too."""

    def _wind_down(self, why: str) -> None:
        super()._wind_down(why)
        self._fill_places()


class StopsSoftly(Plan):
    """A stop has no deadline."""

    def _wind_down(self, why: str) -> None:
        super()._wind_down(why)
        for worker in self.crew:
            worker.deadline = math.inf


class IgnoresTheSecondSignal(Plan):
    """A second signal changes nothing."""

    def _hurry(self) -> None:
        pass


class EndsAtOnce(Plan):
    """The end does not wait for those who finish."""

    @property
    def _is_deserted(self) -> bool:
        return True


class ForgetsTheUnborn(Plan):
    """A worker that is killed before it is born lives on."""

    def born(self, now: float, worker: int, pid: int) -> list[Action]:
        return [action for action in super().born(now, worker, pid) if isinstance(action, Say)]


class ForgetsTheSecondReload(Plan):
    """A HUP during a reload is lost."""

    def hup(self, now: float) -> list[Action]:
        if self.life is Life.SERVING and not self.succession.may_reload:
            return []
        return super().hup(now)


class LoadsAllAtOnce(Plan):
    """Without a template every worker loads the application at the same time."""

    def _fill_places(self) -> None:
        for place in list(self.crew.empty_places(self.succession.current.size, self.orders.now)):
            self._spawn(place)


class TakesTheBacklog(Plan):
    """A worker that drains by choice empties the backlog that its siblings could serve."""

    def _renew_workers(self) -> None:
        worker = self.crew.worker_to_drain(self.succession.current, self.succession.former)
        if worker is not None:
            self.orders.drain(worker, 1.0, is_last=True)
        super()._renew_workers()


class GivesUpEarly(Plan):
    """One failure is enough."""

    def _why_to_give_up(self) -> str:
        return "failed" if self.crew.failed_boots else ""


class NeverGivesUp(Plan):
    """A first start that fails is tried again and again."""

    def _why_to_give_up(self) -> str:
        return ""


class SaysItTwice(Plan):
    """The status is said at every event."""

    def _tell(self) -> None:
        self._told = None
        super()._tell()


class ForgetsTheGrace(Orders):
    """Who is told to abort has all the time."""

    def abort(self, worker: Worker, grace: float = 0.0) -> None:
        super().abort(worker, math.inf)


class DrainsForEver(Orders):
    """A drain has no deadline."""

    def drain(self, worker: Worker, seconds: float, *, is_last: bool) -> None:
        worker.move(WorkerMove.DRAIN, math.inf)
        self.give(Drain(worker.number, seconds, is_last))


class NeverRollsBack(Succession):
    """New code stays, however many of its workers die."""

    def _roll_back(self, why: str) -> None:
        pass


class RollsBackAtOnce(Succession):
    """One death is enough."""

    def blame(self, worker: Worker, deaths: int, why: str) -> None:
        super().blame(worker, deaths + 1, why)


class BlamesEverybody(Succession):
    """Deaths of old workers are held against the new code."""

    def blame(self, worker: Worker, deaths: int, why: str) -> None:
        worker.generation, before = self.current.generation, worker.generation
        super().blame(worker, deaths, why)
        worker.generation = before


class ForgivesAtARefusal(Succession):
    """A refused reload resets the back-off."""

    def refuse(self, why: str, *, with_stacks: bool = False) -> None:
        super().refuse(why, with_stacks=with_stacks)
        self._start_afresh()


class LosesTheWayBack(Succession):
    """A refused reload leaves no way back from the one before."""

    def refuse(self, why: str, *, with_stacks: bool = False) -> None:
        super().refuse(why, with_stacks=with_stacks)
        self.former = None


class KeepsTemplates(Succession):
    """Templates that nobody wants live on."""

    def retire(self) -> None:
        wanted = (self.current, self.former, self.candidate)
        for number, code in tuple(self.codes.items()):
            if code not in wanted and code.stage is TemplateStage.GONE:
                del self.codes[number]


class ClosesTooEarly(Succession):
    """Addresses that only the old workers have are closed at once."""

    def accept(self, code: Code) -> None:
        super().accept(code)
        self._orders.give(KeepAddresses((code.number,)))


class ForgetsTheTemplate(Succession):
    """A template that has died is not replaced."""

    def replace_template(self) -> None:
        pass


class LoadsAgainAtOnce(Succession):
    """A template that cannot be loaded is tried again without a pause."""

    def replace_template(self) -> None:
        self._template_place.forgive()
        super().replace_template()


class LoadsForEver(Succession):
    """The next code has all the time to load."""

    def reload(self) -> None:
        super().reload()
        if self.candidate is not None:
            self.candidate.deadline = math.inf


class NeverProven(Succession):
    """New code is on trial for ever."""

    def end_roll(self) -> None:
        super().end_roll()
        self._proved = math.inf


class LearnsFromTheStandIn(Succession):
    """The template in the place of a lost one counts as a reload."""

    def greet(self, code: Code, facts: CodeFacts) -> None:
        code.stands_in_for = None
        super().greet(code, facts)


class RenewsBesideADrain(Crew):
    """A worn worker gets its successor while another still drains."""

    def worker_to_recycle(self, current: Code, now: float) -> Worker | None:
        drains = [each for each in self if each.stage is WorkerStage.DRAINING]
        for each in drains:
            each.stage = WorkerStage.LEAVING
        found = super().worker_to_recycle(current, now)
        for each in drains:
            each.stage = WorkerStage.DRAINING
        return found


class DrainsTheWorn(Crew):
    """A worn worker goes before its successor serves."""

    def worker_to_drain(self, current: Code, former: Code | None) -> Worker | None:
        worn = [each for each in self if each.worn and each.stage is WorkerStage.SERVING]
        return worn[0] if worn else super().worker_to_drain(current, former)


class KeepsTheAside(Crew):
    """A worker that was set aside has its place until it is gone."""

    def at(self, place: int) -> list[Worker]:
        aside = [each for each in self if each.place == place and each.stage is WorkerStage.ASIDE]
        return super().at(place) + aside


class RenewsWithoutAPause(Crew):
    """A renewal that fails is tried again at once."""

    def next_attempts(self, current: Code, now: float) -> Iterator[float]:
        waiting = [place for number, place in self.places(current.size) if place.not_before > now and self.at(number)]
        return iter(()) if waiting else super().next_attempts(current, now)


class RenewsTheYoung(Judge):
    """A worker may be renewed as soon as it serves."""

    def _note_wear(self, worker: Worker, verdict: Verdict) -> None:
        before, worker.served_from = worker.served_from, -math.inf
        super()._note_wear(worker, verdict)
        worker.served_from = before


class RenewsAtAnyTime(Judge):
    """A renewal does not wait for a reload."""

    def recycle(self) -> Worker | None:
        return self._crew.worker_to_recycle(self._succession.current, self._orders.now)


class NeverRenews(Judge):
    """A worn worker serves on."""

    def recycle(self) -> Worker | None:
        return None


class IgnoresTheBirthWeight(Judge):
    """Workers that cannot fit into the limit are renewed for ever."""

    def _let_memory_rest(self, worker: Worker, verdict: Verdict) -> None:
        pass


class SparesTheStalled(Judge):
    """A worker that has stalled stays."""

    def _end(self, worker: Worker, verdict: Verdict) -> None:
        pass


class KillsTheStuck(Judge):
    """A worker that is stuck is killed with what it has."""

    def _set_aside(self, worker: Worker, verdict: Verdict) -> None:
        self._end(worker, verdict)


class SetsAllAside(Judge):
    """As many as are stuck are set aside."""

    def _set_aside(self, worker: Worker, verdict: Verdict) -> None:
        self._condemn(worker, verdict, "", partial(self._orders.set_aside, worker, 1.0))


class HoldsNothingAgainstTheCode(Judge):
    """New code whose workers hang stays."""

    def _condemn(self, worker: Worker, verdict: Verdict, text: str, order: Callable[[], None]) -> None:
        roll, self._succession.roll = self._succession.roll, RollStage.QUIET
        super()._condemn(worker, verdict, text, order)
        self._succession.roll = roll


class ActsTwice(Judge):
    """A verdict that is said again is acted on again."""

    def act(self, worker: Worker, verdict: Verdict) -> None:
        if worker.stage is WorkerStage.ENDING and verdict.kind is Kind.STALLED:
            self._orders.give(Kill(worker.number))
        super().act(worker, verdict)


class AsideForEver(Orders):
    """A worker that was set aside has all the time."""

    def set_aside(self, worker: Worker, seconds: float) -> None:
        super().set_aside(worker, math.inf)


class UpgradesAtAnyTime(Plan):
    """An upgrade waits for nothing."""

    def _why_no_upgrade(self) -> str:
        return "" if self.life is Life.SERVING else super()._why_no_upgrade()


class KeepsTheSize(Succession):
    """What signals have made of the number of workers holds after a reload, too."""

    def _begin_roll(self, code: Code, former: Code | None) -> None:
        code.more = self.current.more
        super()._begin_roll(code, former)


class ForgetsTheSize(Succession):
    """A template in the place of a lost one brings the configured number of workers back."""

    def accept(self, code: Code) -> None:
        super().accept(code)
        code.more = 0


MUTANTS: list[tuple[type, str]] = [
    (RenewsBesideADrain, "while another is"),
    (DrainsTheWorn, "none has its place|two drain by choice|a worker of another"),
    (KeepsTheAside, "not filled at once|without a reason"),
    (RenewsWithoutAPause, "while another is|a crash loop|although a place is empty|two boot|seems to reload"),
    (RenewsTheYoung, "renewed without a reason"),
    (RenewsAtAnyTime, "during a reload|code that is not wanted"),
    (NeverRenews, "never renewed"),
    (IgnoresTheBirthWeight, "renewed without a reason"),
    (SparesTheStalled, "a stalled worker is not killed"),
    (KillsTheStuck, "killed while it serves"),
    (SetsAllAside, "or too many are"),
    (HoldsNothingAgainstTheCode, "is not rolled back"),
    (ActsTwice, "killed twice"),
    (AsideForEver, "set aside is forgotten|waits for ever"),
    (UpgradesAtAnyTime, "wrong time|on its way"),
    (KeepsTheSize, "are wanted, and should be"),
    (ForgetsTheSize, "are wanted, and should be"),
    (DrainsFirst, "none has its place|before the others serve"),
    (DrainsAll, "two drain by choice"),
    (DrainsTheBest, "waits for ever|does not come to an end|crash loop|after the calm|do not come"),
    (ShrinksFirst, "before the others serve"),
    (RenewsAll, r"\d serve|two boot"),
    (NeverWaits, "a crash loop|do not come to an end"),
    (WaitsForTheLeaver, "not filled at once"),
    (ReportsTooEarly, "a worker of another generation lives"),
    (KeepsOldBoots, "one boots whom nobody wants"),
    (CountsPauses, "no time to boot"),
    (BootsForEver, "a boot never ends|not every place has its worker"),
    (NeverStops, "born after the stop"),
    (StopsSoftly, "the stop does not end|waits for ever"),
    (IgnoresTheSecondSignal, "does not hurry"),
    (EndsAtOnce, "forgotten at the end"),
    (ForgetsTheUnborn, "lives on"),
    (ForgetsTheSecondReload, "a reload was forgotten"),
    (LoadsAllAtOnce, "three load"),
    (TakesTheBacklog, "the backlog of its siblings"),
    (GivesUpEarly, "gives up"),
    (NeverGivesUp, "wrong status|crash loop|do not come to an end|waits for ever|after the calm"),
    (SaysItTwice, "the same status twice"),
    (ForgetsTheGrace, "set aside is forgotten|the stop does not end|waits for ever|after the calm|nothing is settled"),
    (DrainsForEver, "the stop does not end|waits for ever|after the calm"),
    (NeverRollsBack, "is not rolled back"),
    (RollsBackAtOnce, "without a reason"),
    (BlamesEverybody, "without a reason"),
    (ForgivesAtARefusal, "a refusal has changed something"),
    (LosesTheWayBack, "a refusal has changed something"),
    (KeepsTemplates, "a template is forgotten|templates .* live"),
    (ClosesTooEarly, "an address is closed"),
    (ForgetsTheTemplate, "a lost template is not replaced"),
    (LoadsAgainAtOnce, "template after template"),
    (LoadsForEver, "seems to reload for ever|a reload was forgotten|waits for ever"),
    (NeverProven, "nothing is settled|templates .* live"),
    (LearnsFromTheStandIn, "without being asked for"),
]


def planning(part: type) -> type[FleetModel]:
    """Build the model of a fleet whose plan has one wrong part."""

    class Mutant(FleetModel):
        def new_plan(self) -> Plan:
            plan = part() if issubclass(part, Plan) else Plan()
            if issubclass(part, Orders):
                plan.orders = part()
            elif issubclass(part, Clock):
                plan.orders.clock = part()
            elif issubclass(part, Crew):
                plan.crew = part()
            succession = part if issubclass(part, Succession) else Succession
            plan.succession = succession(plan.orders, plan.crew)
            judge = part if issubclass(part, Judge) else Judge
            plan.judge = judge(plan.orders, plan.crew, plan.succession)
            return plan

    return Mutant


@pytest.mark.parametrize(("part", "complaint"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_model_notices(part: type, complaint: str) -> None:
    with pytest.raises(ViolationError, match=rf"^seed \d+: .*({complaint})"):
        explore_fleet(range(MUTANT_RUNS), planning(part))
