"""Which code every place should have, which comes next, and which one there is a way back to.

Loading the next code and replacing the workers of the last one are two things: a code may be loaded while the one
before still proves itself. What is refused leaves everything as it was.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from waitressd.fleet.actions import Bind, CodeFacts, KeepAddresses, LoadCode
from waitressd.fleet.crew import Crew
from waitressd.fleet.members import Code, Place, Worker, attempt
from waitressd.fleet.orders import Orders
from waitressd.fleet.states import ROLL_TRANSITIONS, RollMove, RollStage, TemplateMove, TemplateStage

PROVING_SECONDS: Final = 30.0  # that new workers must live before their code is trusted
DEATHS: Final = 2  # of new workers, and the code is rolled back


class Succession:
    """The codes of one fleet, from their loading until nothing of them is left."""

    def __init__(self, orders: Orders, crew: Crew) -> None:
        self._orders = orders
        self._crew = crew
        self.codes: dict[int, Code] = {}
        self.current = Code(1, CodeFacts(1, is_preloaded=False))  # what every place should have
        self.former: Code | None = None  # the way back
        self.candidate: Code | None = None  # what is being loaded
        self.roll = RollStage.QUIET
        self.results: Counter[str] = Counter({"done": 0, "refused": 0, "rolled_back": 0})  # of reloads
        self.note = ""  # what became of the last reload, for the status
        self._proved = math.inf  # when the new code will be trusted
        self._new_deaths = 0  # of workers of the generation that rolls or proves itself
        self._template_place = Place()
        self._numbers = self._generations = 0

    # -- questions

    @property
    def is_loading(self) -> bool:
        """Whether a reload's code is being loaded."""
        return self.candidate is not None and self.candidate.stands_in_for is None

    @property
    def is_moving(self) -> bool:
        """Whether workers are being replaced by those of another code."""
        return self.roll in (RollStage.ROLLING, RollStage.BACK)

    @property
    def is_on_trial(self) -> bool:
        """Whether deaths of workers are held against their code."""
        return self.roll in (RollStage.ROLLING, RollStage.PROVING)

    @property
    def may_reload(self) -> bool:
        """Whether the next reload may begin; what cannot be rolled back need not be waited for."""
        if self.is_loading:
            return False
        return self.roll is not RollStage.ROLLING or (self.former is None and self.current.facts.can_reload)

    @property
    def next_deadline(self) -> float:
        """The next deadline of a template, of the proving, or of an attempt to replace a template."""
        times = [code.deadline for code in self.codes.values()]
        if self._is_template_lost and self._template_place.not_before > self._orders.now:
            times.append(self._template_place.not_before)
        return min(self._proved, *times, math.inf)

    @property
    def _is_template_lost(self) -> bool:
        current = self.current
        return current.facts.is_preloaded and current.stage is TemplateStage.GONE and self.candidate is None

    def prospect(self, worker: Worker, wait: float) -> str:
        """Say what becomes of the place of a worker that has gone, and that stays empty for so long."""
        if worker.place > self.current.size:
            return "its place is not filled again"
        if others := self._crew.at(worker.place):
            if any(other.is_wanted(self.current) for other in others):
                return "another has its place"
            return f"an older one keeps its place{self._next_try(wait)}"
        if not self.current.can_spawn:
            return "its place waits for the template"
        return attempt(wait)

    def _next_try(self, wait: float) -> str:
        """Say when a place is tried again whose old worker serves; where there is a way back, that is next."""
        if self.former is not None:
            return ""
        return f", and is tried again {f'in {wait:g} s' if wait else 'at once'}"

    def find_candidate(self, number: int, stage: TemplateStage) -> Code | None:
        """Return the candidate if it has this number and has come so far."""
        code = self.candidate
        return code if code is not None and code.number == number and code.stage is stage else None

    # -- loading

    def begin(self, facts: CodeFacts) -> None:
        """Take the first code, which is loaded."""
        code = self.current = self._new_code(facts)
        self._generations = code.generation = 1
        code.move(TemplateMove.HELLO)
        code.move(TemplateMove.ACCEPT)
        code.accepted = self._orders.now
        if not facts.is_preloaded:
            code.move(TemplateMove.DIE)  # there is no such process
        self._tell_hazards("")

    def reload(self) -> None:
        """Load the next code; if the command cannot be run again, replace the workers alone."""
        self.note = ""
        if self.current.facts.can_reload:
            self._orders.say(logging.INFO, "reload: the configuration and the application are loaded anew")
            self._abandon_candidate()  # it stands in for a template; the next code brings its own
            self._load(None)
            return
        text = "reload: serve() cannot load new code; workers are replaced from the same template"
        self._orders.say(logging.INFO, text)
        self.current.more = 0
        self._begin_roll(self.current, None)

    def replace_template(self) -> None:
        """Load the template of the current code again if it has died."""
        if self._is_template_lost and self._template_place.not_before <= self._orders.now:
            self._load(self.current)

    def _load(self, stands_in_for: Code | None) -> None:
        code = self.candidate = self._new_code(self.current.facts, stands_in_for)
        code.deadline = self._orders.now + self.current.facts.worker_boot_timeout
        self._orders.give(LoadCode(code.number, stands_in_for.number if stands_in_for else None))

    def _new_code(self, facts: CodeFacts, stands_in_for: Code | None = None) -> Code:
        self._numbers += 1
        code = self.codes[self._numbers] = Code(self._numbers, facts, stands_in_for)
        return code

    def greet(self, code: Code, facts: CodeFacts) -> None:
        """The candidate is loaded: bind its addresses; one that stands in for another has those of the other."""
        code.move(TemplateMove.HELLO, code.deadline)
        lost = code.stands_in_for
        if lost is None:
            code.facts = facts
            self._orders.give(Bind(code.number))
        else:
            code.facts = replace(lost.facts, is_preloaded=facts.is_preloaded, hazards=facts.hazards)
            self.accept(code)

    def accept(self, code: Code) -> None:
        """The candidate becomes the code that every place should have."""
        before = self.current
        self.candidate = None
        code.move(TemplateMove.ACCEPT)
        code.accepted = self._orders.now
        if not code.facts.is_preloaded:
            self._orders.quit(code)  # it has shown that the code loads
        if code.stands_in_for is None:
            self._begin_roll(code, before)
        else:
            code.generation, code.more, code.stands_in_for = before.generation, before.more, None
            self.current = code
            self._orders.say(logging.INFO, f"the template of generation {code.generation} is there again")
        self._tell_hazards(before.facts.hazards)

    def refuse(self, why: str, *, with_stacks: bool = False) -> None:
        """The candidate is not taken; everything is as it was."""
        code = self.candidate
        assert code is not None
        self.candidate = None
        if code.stage is not TemplateStage.GONE:
            self._orders.kill_code(code, with_stacks=with_stacks)
        generation = self.current.generation
        if code.stands_in_for is None:
            self.results["refused"] += 1
            self.note = f"the last reload was refused: {why}"
            self._orders.say(logging.ERROR, f"reload refused: {why}; generation {generation} goes on")
            return
        wait = self._template_place.vacate(self._orders.now, 0.0)
        self._crew.failed_boots += 1
        text = f"the template of generation {generation} could not be loaded again: {why}; {attempt(wait)}"
        self._orders.say(logging.ERROR, text)

    def _abandon_candidate(self) -> None:
        if self.candidate is not None:
            self._orders.kill_code(self.candidate)
            self.candidate = None

    # -- moving to another code, and back

    def _begin_roll(self, code: Code, former: Code | None) -> None:
        self._generations += 1
        code.generation = self._generations
        self.current, self.former = code, former
        self._move_roll(RollMove.BEGIN)
        self._start_afresh()

    def end_roll(self) -> None:
        """Say that every place has its new worker; the code must prove itself while there is a way back."""
        what = "reload done" if self.roll is RollStage.ROLLING else "rolled back"
        self.results["done" if self.roll is RollStage.ROLLING else "rolled_back"] += 1
        count = self.current.size
        text = f"{what}: generation {self.current.generation} serves with {count} worker{'s' if count > 1 else ''}"
        # What the new code has no more must not take connections that nobody accepts. The way back opens it again.
        # A generation whose template was replaced has several codes.
        kept = {self.current.number, *(worker.code.number for worker in self._crew)}
        self._orders.give(KeepAddresses(tuple(sorted(kept))))
        self._orders.say(logging.INFO, text)  # now it is true of the addresses, too
        if self.former is None:
            self._move_roll(RollMove.SETTLE)
        else:
            self._move_roll(RollMove.MOVED, self._orders.now + PROVING_SECONDS)

    def blame(self, worker: Worker, deaths: int, why: str) -> None:
        """Hold the death of a worker against its code, if that is on trial."""
        if self.is_on_trial and worker.generation == self.current.generation:
            self._new_deaths += deaths
            if self._new_deaths >= DEATHS:
                self._roll_back(why)

    def _roll_back(self, why: str) -> None:
        """Return to the code before, if its template is still there."""
        former, bad = self.former, self.current
        if former is None:
            return
        self.former = None
        text = f"generation {bad.generation} has failed: {why}"
        if former.stage is not TemplateStage.READY:
            gone = "its template is gone" if former.facts.is_preloaded else "preload is off"
            self._orders.say(logging.ERROR, f"{text}; no way back to generation {former.generation}: {gone}")
            return
        if not self.is_loading:
            self._abandon_candidate()
        self.current = former
        self._move_roll(RollMove.ROLL_BACK)
        self._start_afresh()
        self.note = f"generation {bad.generation} was rolled back: {why}"
        self._orders.say(logging.ERROR, f"{text}; rolling back to generation {former.generation}")

    def _start_afresh(self) -> None:
        """Failures of another code do not count."""
        self._new_deaths = 0
        self._crew.forgive()
        self._template_place.forgive()

    def _move_roll(self, move: RollMove, proved: float = math.inf) -> None:
        self.roll = ROLL_TRANSITIONS[self.roll, move]
        self._proved = proved

    # -- the next master

    def carry(self, now: float) -> dict[str, Any]:
        """Write down what the plan of another program in this process must know. Nothing is being loaded or moved."""
        return {
            "codes": [code.carry(now) for code in self.codes.values()],
            "current": self.current.number,
            "former": None if self.former is None else self.former.number,
            "roll": self.roll.name,
            "left": None if self._proved == math.inf else self._proved - now,
            "deaths": self._new_deaths,
            "results": dict(self.results),
            "note": self.note,
            "place": self._template_place.carry(now),
            "numbers": [self._numbers, self._generations],
        }

    def resume(self, fields: Mapping[str, Any], now: float) -> None:
        """Go on from what `carry` has written. Raises KeyError, TypeError: another version writes it in another way."""
        self.codes = {each["number"]: Code.resume(each, now) for each in fields["codes"]}
        self.current = self.codes[fields["current"]]
        self.former = None if fields["former"] is None else self.codes[fields["former"]]
        self.roll = RollStage[fields["roll"]]
        self._proved = math.inf if fields["left"] is None else now + fields["left"]
        self._new_deaths = fields["deaths"]
        self.results = Counter(fields["results"])
        self.note = fields["note"]
        self._template_place.resume(fields["place"], now)
        self._numbers, self._generations = fields["numbers"]

    # -- templates

    def lose_template(self, code: Code, how: str) -> None:
        """A template has died that was not told to."""
        text = f"the template of generation {code.generation} died: {how}"
        if code is self.former:
            self._orders.say(logging.WARNING, f"{text}; there is no way back")
        elif code is self.current:
            self._orders.say(logging.ERROR, f"{text}; its workers go on")
            self._template_place.vacate(self._orders.now, self._orders.now - code.accepted)
            if self.roll is RollStage.ROLLING:  # later its workers have proved something, and a template can be loaded
                self._roll_back("its template died")

    def expire(self) -> None:
        """Act on the deadlines that have passed."""
        now = self._orders.now
        for code in tuple(self.codes.values()):
            if code.deadline > now:
                continue
            if code is self.candidate:
                timeout = self.current.facts.worker_boot_timeout
                self.refuse(f"it was not loaded after {timeout:g} s (worker_boot_timeout)", with_stacks=True)
            elif code.stage is TemplateStage.QUITTING:
                self._orders.kill_code(code)
            else:
                self._orders.say(logging.ERROR, f"the template of code {code.number} was killed and is still there")
                code.move(TemplateMove.DIE)
        if self._proved <= now:
            self._move_roll(RollMove.PROVED)
            self.former = None

    def retire(self) -> None:
        """End templates that nobody wants; forget codes without any process, and close what only they listened at."""
        wanted = (self.current, self.former, self.candidate)
        size = len(self.codes)
        for code in tuple(self.codes.values()):
            if code in wanted:
                continue
            if code.stage is TemplateStage.READY:
                self._orders.quit(code)
            elif code.stage is TemplateStage.GONE and all(worker.code is not code for worker in self._crew):
                del self.codes[code.number]
        if len(self.codes) < size:
            self._orders.give(KeepAddresses(tuple(self.codes)))

    def wind_down(self) -> None:
        """End every template; nothing is loaded any more."""
        self.candidate = self.former = None
        self._proved = math.inf
        for code in self.codes.values():
            if code.stage is TemplateStage.READY:
                self._orders.quit(code)
            elif code.stage in (TemplateStage.LOADING, TemplateStage.BINDING):
                self._orders.kill_code(code)

    def hurry(self, seconds: float) -> None:
        """Give templates that quit no more time than that."""
        for code in self.codes.values():
            if code.stage is TemplateStage.QUITTING:
                code.deadline = min(code.deadline, self._orders.now + seconds)

    def _tell_hazards(self, before: str) -> None:
        facts = self.current.facts
        if facts.hazards and facts.hazards != before:
            what = "workers are forked although" if facts.is_preloaded else "preload is off:"
            self._orders.say(logging.WARNING, f"{what} {facts.hazards}")
