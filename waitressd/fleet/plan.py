"""What a fleet of worker processes does when: events in, actions out. No process, socket, thread or clock.

Each event has the time (`now`, monotonic seconds, never backwards) and returns the actions that follow, in their order.

An event only notes what has happened. What is to be done follows from a comparison of what there is with what there
should be (`_settle`): every place has a worker of the wanted generation, as many are born as may be, and what another
has replaced is drained. So a reload, a rolling back and the replacement of a dead worker are one thing, and it does not
matter in which order events come. A worker of the old code that dies during a reload is replaced by the new code: its
place would get that a moment later anyway, and without a template there is nothing else. If the new code is no good, it
is rolled back there as well.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from waitressd.fleet.actions import (
    Action,
    CodeFacts,
    End,
    KeepAddresses,
    Kill,
    Reloading,
    ReopenLogs,
    Serving,
    Spawn,
    Stopping,
    Upgrade,
)
from waitressd.fleet.crew import LIVE, Crew
from waitressd.fleet.judge import Judge
from waitressd.fleet.members import Worker
from waitressd.fleet.orders import Orders
from waitressd.fleet.states import (
    LIFE_TRANSITIONS,
    Life,
    LifeMove,
    TemplateMove,
    TemplateStage,
    WorkerMove,
    WorkerStage,
)
from waitressd.fleet.succession import DEATHS, Succession
from waitressd.fleet.verdicts import Verdict

BOOT_FAILURES: Final = 5  # in a row with nobody who serves, and the fleet gives up
SOLO_BOOTS: Final = 2  # workers that load the application at the same time
HURRY_SECONDS: Final = 1.0  # between Abort and Kill after a second signal
FINISHING: Final = (WorkerStage.ASIDE, WorkerStage.DRAINING, WorkerStage.LEAVING)


class Plan:
    """The plan of one fleet. One thread, the master's.

    What the master promises: actions are carried out in order before the next event is told. Everything that was read
    from a link is told before the death of its process. Each worker that was spawned gets exactly one `died`, also one
    that was never born, because its template died or the fork failed; each code that was loaded gets exactly one
    `template_died`, and the one of `start` too if it is preloaded. Events about those that are gone are ignored.
    When several things are there at once, its own signals are told first: a signal to the whole group makes workers
    leave and the fleet stop, and nobody should be born between the two.
    """

    def __init__(self) -> None:
        self.life = Life.STARTING
        self.orders = Orders()
        self.crew = Crew()
        self.succession = Succession(self.orders, self.crew)
        self.judge = Judge(self.orders, self.crew, self.succession)
        self._numbers = 0
        self._reload_wanted = False
        self._status = 0
        self._told: Action | None = None

    # -- events

    def start(self, now: float, facts: CodeFacts) -> list[Action]:
        """Code 1 is loaded and its addresses are bound: its template waits for orders, or it is solo."""
        self.orders.clock.hear(now)
        self.succession.begin(facts)
        return self._settle()

    def hello(self, now: float, code: int, facts: CodeFacts) -> list[Action]:
        """A new code is loaded. What follows: Bind, or nothing if it stands in for a lost template."""
        self.orders.clock.hear(now)
        candidate = self.succession.find_candidate(code, TemplateStage.LOADING)
        if candidate is not None:
            self.succession.greet(candidate, facts)
        return self._settle()

    def bound(self, now: float, code: int) -> list[Action]:
        """The addresses of a new code are open. It is accepted: workers move to it."""
        self.orders.clock.hear(now)
        candidate = self.succession.find_candidate(code, TemplateStage.BINDING)
        if candidate is not None:
            self.succession.accept(candidate)
        return self._settle()

    def failed(self, now: float, code: int, why: str) -> list[Action]:
        """A new code is refused: it speaks another protocol, or cannot bind. Its process may still be there."""
        self.orders.clock.hear(now)
        candidate = self.succession.candidate
        if candidate is not None and candidate.number == code:
            self.succession.refuse(why)
        return self._settle()

    def template_died(self, now: float, code: int, how: str) -> list[Action]:
        """The process of a code was reaped, whatever it was told; `how`: "status 1", its last words and the like."""
        self.orders.clock.hear(now)
        template = self.succession.codes.get(code)
        if template is not None and template.stage is not TemplateStage.GONE:
            before = template.stage
            template.move(TemplateMove.DIE)
            if template is self.succession.candidate:
                self.succession.refuse(how)
            elif before is TemplateStage.READY:
                self.succession.lose_template(template, how)
                is_needed = self.life is Life.STARTING or not template.facts.can_reload
                if is_needed and self._is_running:
                    self._give_up("without its template the fleet cannot go on")
        return self._settle()

    def born(self, now: float, worker: int, pid: int) -> list[Action]:
        """The process of a worker exists."""
        self.orders.clock.hear(now)
        newborn = self.crew.workers.get(worker)
        if newborn is not None:
            newborn.pid = pid
            if newborn.stage is WorkerStage.ENDING:
                self.orders.give(Kill(worker))  # it was not there yet at the first
        return self._settle()

    def ready(self, now: float, worker: int) -> list[Action]:
        """A worker accepts."""
        self.orders.clock.hear(now)
        newcomer = self.crew.workers.get(worker)
        if newcomer is not None:
            newcomer.move(WorkerMove.READY)
            if newcomer.stage is WorkerStage.SERVING:
                newcomer.served_from = self.orders.now
                self.crew.failed_boots = 0
                self.life = LIFE_TRANSITIONS[self.life, LifeMove.SERVE]
                # A start and a reload have one line for all; what replaces a dead worker has its own.
                is_expected = self.succession.is_moving or not self.crew.was_complete
                self.orders.say(logging.DEBUG if is_expected else logging.INFO, f"{newcomer.name} serves")
        return self._settle()

    def leaving(self, now: float, worker: int) -> list[Action]:
        """A worker was told to end by somebody else: it drains by itself, and is replaced at once."""
        self.orders.clock.hear(now)
        leaver = self.crew.workers.get(worker)
        if leaver is not None:
            if leaver.stage in LIVE:
                wait = self.crew.vacate(leaver, self.orders.now)
                leaver.move(WorkerMove.LEAVE, self.orders.now + leaver.code.facts.shutdown_timeout)
                self.orders.say(
                    logging.INFO, f"{leaver.name} was told to end; {self.succession.prospect(leaver, wait)}"
                )
            else:
                leaver.move(WorkerMove.LEAVE)
        return self._settle()

    def died(self, now: float, worker: int, how: str, *, is_clean: bool = False) -> list[Action]:
        """A worker was reaped, or was never born; `how` says what ended it, `is_clean`: with status 0."""
        self.orders.clock.hear(now)
        dead = self.crew.workers.pop(worker, None)
        if dead is not None:
            before = dead.stage
            dead.move(WorkerMove.DIE)
            if before is WorkerStage.BOOTING:
                self._boot_failed(dead, how)
            elif before is WorkerStage.SERVING:
                self._lose_worker(dead, how, logging.WARNING if is_clean else logging.ERROR)
            elif before in FINISHING and not is_clean:
                self.orders.say(logging.ERROR, f"{dead.name} died while it finished its requests: {how}")
            elif before is WorkerStage.ASIDE:
                self.orders.say(logging.INFO, f"{dead.name}, which was set aside, has finished its requests")
        return self._settle()

    def judged(self, now: float, worker: int, verdict: Verdict) -> list[Action]:
        """The master has looked at a worker and found something. It says so again as long as that holds."""
        self.orders.clock.hear(now)
        judged = self.crew.workers.get(worker)
        if judged is not None and self._is_running:
            self.judge.act(judged, verdict)
        return self._settle()

    def resize(self, now: float, change: int, name: str = "SIGTTIN") -> list[Action]:
        """SIGTTIN or SIGTTOU, whose name is said: one worker more or less, until the next reload."""
        self.orders.clock.hear(now)
        if self._is_running:
            current = self.succession.current
            is_done = current.resize(change)
            workers = f"{current.size} worker{'s' if current.size > 1 else ''}"
            text = f"{workers} from now on, until the next reload" if is_done else f"it stays at {workers}"
            self.orders.say(logging.INFO, f"{name}: {text}")
        return self._settle()

    def upgrade(self, now: float) -> list[Action]:
        """SIGUSR2: the master is to become another version of itself. What follows: Upgrade, or a word why not."""
        self.orders.clock.hear(now)
        actions = self._settle()
        why = self._why_no_upgrade()
        if not why:
            return [*actions, Upgrade()]
        self.orders.say(logging.WARNING, f"SIGUSR2: no upgrade: {why}")
        return [*actions, *self.orders.take()]

    def hup(self, now: float) -> list[Action]:
        """SIGHUP: reopen the logs, read everything anew. During a reload it is remembered, once."""
        self.orders.clock.hear(now)
        self.orders.give(ReopenLogs())
        if self._is_running and not (self.life is Life.SERVING and self.succession.may_reload):
            what = "another reload follows the one" if self.life is Life.SERVING else "a reload follows the start"
            self.orders.say(logging.INFO, f"SIGHUP: {what} that is on its way")
        self._reload_wanted = True
        return self._settle()

    def stop(self, now: float, name: str = "SIGTERM") -> list[Action]:
        """SIGTERM or SIGINT, whose name is said: drain and end; again: at once."""
        self.orders.clock.hear(now)
        if self.life is not Life.ENDED:
            was_running, was_aborting = self._is_running, self.life is Life.ABORTING
            self.life = LIFE_TRANSITIONS[self.life, LifeMove.STOP]
            if was_running:
                self.orders.say(logging.INFO, f"{name}: stopping; a second signal ends at once")
                self._wind_down("stopping")
            elif self.life is Life.ABORTING:
                if not was_aborting:
                    self.orders.say(logging.WARNING, f"{name} again: what is left is cut off")
                self._hurry()
        return self._settle()

    def tick(self, now: float) -> list[Action]:
        """Time has passed. May come at any time; should come at `due`."""
        self.orders.clock.hear(now)
        return self._settle()

    @property
    def due(self) -> float:
        """When `tick` is wanted next, in the time of `now`; inf: no need."""
        return self.orders.clock.due

    # -- the next master

    def carry(self, now: float) -> dict[str, Any]:
        """Write down what the plan of another program in this process must know. The fleet serves, without a reload."""
        self.orders.clock.hear(now)
        now = self.orders.now
        return {
            "succession": self.succession.carry(now),
            "crew": self.crew.carry(now),
            "judge": self.judge.carry(),
            "numbers": self._numbers,
        }

    def resume(self, now: float, fields: Mapping[str, Any]) -> None:
        """Go on from what `carry` has written, instead of `start`. Raises KeyError, TypeError: it cannot be read."""
        self.orders.clock.hear(now)
        self.life = Life.SERVING
        self.succession.resume(fields["succession"], now)
        self.crew.resume(fields["crew"], self.succession.codes, now)
        self.judge.resume(fields["judge"])
        self._numbers = fields["numbers"]

    def lose_templates(self, now: float) -> list[Action]:
        """After `resume`: the templates are of another version, and cannot be told to fork; they end."""
        self.orders.clock.hear(now)
        for code in self.succession.codes.values():
            if code.stage is TemplateStage.READY:
                self.orders.quit(code)
        return self._settle()

    # -- what follows from an event

    @property
    def _is_running(self) -> bool:
        return self.life in (Life.STARTING, Life.SERVING)

    def _settle(self) -> list[Action]:
        """Compare what there is with what there should be, and return what is to be done."""
        for worker in self.crew:
            if worker.deadline <= self.orders.now:
                self._expire(worker)
        self.succession.expire()
        reason = self._why_to_give_up() if self._is_running else ""
        if reason:
            self._give_up(reason)
        if self._is_running:
            self._look_after_places()
            if self._reload_wanted and self.life is Life.SERVING and self.succession.may_reload:
                self._tell()  # the reload before is over, also for those who waited for it
                self._reload_wanted = False
                self.succession.reload()
                self._look_after_places()
            worn = None if self._reload_wanted else self.judge.recycle()
            if worn is not None:
                self._spawn(worn.place)
            self.succession.replace_template()
            self.succession.retire()
        elif self._is_deserted and self.life is not Life.ENDED:
            self.life = LIFE_TRANSITIONS[self.life, LifeMove.END]
            self.orders.give(End(self._status))
        self._tell()
        self.orders.clock.expect(self._next_deadline())
        return self.orders.take()

    def _next_deadline(self) -> float:
        times = [worker.deadline for worker in self.crew]
        if self._is_running:
            times += self.crew.next_attempts(self.succession.current, self.orders.now)
        return min(self.succession.next_deadline, *times, math.inf)

    def _expire(self, worker: Worker) -> None:
        """Act on the deadline of a worker, which has passed."""
        if worker.stage is WorkerStage.BOOTING:
            self.orders.kill(worker, with_stacks=True)
            self._boot_failed(
                worker, f"not ready after {worker.code.facts.worker_boot_timeout:g} s (worker_boot_timeout)"
            )
        elif worker.stage in FINISHING:
            self.orders.say(logging.WARNING, f"{worker.name} has not finished in time: what is left is cut off")
            self.orders.abort(worker)
        elif worker.stage is WorkerStage.ABORTING:
            self.orders.say(logging.ERROR, f"{worker.name} does not end: it is killed")
            self.orders.kill(worker, with_stacks=self.life is not Life.ABORTING)
        else:
            self.orders.say(logging.ERROR, f"{worker.name} was killed and is still there: it is left alone")
            del self.crew.workers[worker.number]

    def _look_after_places(self) -> None:
        self._fill_places()
        self._renew_workers()

    def _fill_places(self) -> None:
        """Have a worker born wherever there is none."""
        current = self.succession.current
        for worker in self.crew.superfluous_boots(current):
            self.orders.kill(worker)
        if not current.can_spawn:
            return
        limit = current.size
        if not current.facts.is_preloaded:
            limit = 1 if self.life is Life.STARTING else SOLO_BOOTS
        for place in self.crew.empty_places(current.size, self.orders.now):
            if self.crew.count(WorkerStage.BOOTING) < limit:
                self._spawn(place)

    def _renew_workers(self) -> None:
        """Replace workers of other generations one by one, and see whether that is done."""
        succession = self.succession
        worker = self.crew.worker_to_drain(succession.current, succession.former)
        if worker is not None:
            self.orders.drain(worker, worker.code.facts.shutdown_timeout, is_last=False)
        place = self.crew.place_to_renew(succession.current, self.orders.now)
        if place is not None and succession.current.can_spawn:
            self._spawn(place)
        for worker in self.crew:
            if worker.stage is WorkerStage.ASIDE and worker.generation != succession.current.generation:
                self._drain_aside(worker, worker.code.facts.shutdown_timeout)
        if succession.is_moving and self.crew.is_renewed(succession.current):
            succession.end_roll()

    def _drain_aside(self, worker: Worker, seconds: float) -> None:
        """Nobody waits longer for one that was set aside than for others."""
        self.orders.drain(worker, min(seconds, max(0.0, worker.deadline - self.orders.now)), is_last=False)

    def _spawn(self, place: int) -> None:
        self._numbers += 1
        code = self.succession.current
        worker = Worker(self._numbers, place, code, self.orders.now + code.facts.worker_boot_timeout)
        self.crew.workers[worker.number] = worker
        self.orders.give(Spawn(worker.number, place, code.number))

    # -- deaths

    def _boot_failed(self, worker: Worker, how: str) -> None:
        """A worker has ended, or is being killed, before it was ready."""
        wait = self.crew.vacate(worker, self.orders.now)
        self.crew.failed_boots += 1
        prospect = "" if self.life is Life.STARTING else f"; {self.succession.prospect(worker, wait)}"
        self.orders.say(logging.ERROR, f"{worker.name} did not start: {how}{prospect}")
        self.succession.blame(worker, DEATHS, f"{worker.name} did not start")

    def _lose_worker(self, worker: Worker, how: str, level: int) -> None:
        """A worker that served has died."""
        service = worker.service(self.orders.now)
        wait = self.crew.vacate(worker, self.orders.now)
        self.orders.say(
            level, f"{worker.name} died after {service:.1f} s: {how}; {self.succession.prospect(worker, wait)}"
        )
        self.succession.blame(worker, 1, f"{DEATHS} of its workers died")

    def _why_no_upgrade(self) -> str:
        """Say what keeps the master from an upgrade now: what could not be handed over."""
        succession = self.succession
        if not self._is_running:
            return "the fleet stops"
        if not succession.current.facts.can_reload:
            return "serve() cannot run its command again"
        if self.life is Life.STARTING:
            return "the fleet has not started yet"
        if self._reload_wanted or succession.candidate is not None or succession.is_moving:
            return "a reload is on its way"
        if any(worker.stage not in (WorkerStage.SERVING, WorkerStage.ASIDE) for worker in self.crew):
            return "a worker is being replaced"
        return ""

    # -- the end

    @property
    def _is_deserted(self) -> bool:
        codes = self.succession.codes.values()
        return not self.crew.workers and all(code.stage is TemplateStage.GONE for code in codes)

    def _why_to_give_up(self) -> str:
        """Say so if the first start has failed, or too many attempts in a row while nobody serves.

        A reload on its way may be what mends it.
        """
        if self.life is Life.STARTING:
            return "the first start has failed" if self.crew.failed_boots else ""
        if self.crew.failed_boots < BOOT_FAILURES or self.crew.count(WorkerStage.SERVING) or self.succession.is_loading:
            return ""
        return f"nobody serves, and {self.crew.failed_boots} attempts in a row have failed"

    def _give_up(self, text: str) -> None:
        self.orders.say(logging.CRITICAL, f"giving up: {text}")
        self._status = 1
        self.life = LIFE_TRANSITIONS[self.life, LifeMove.GIVE_UP]
        self._wind_down("giving up")

    def _wind_down(self, why: str) -> None:
        """One deadline for all; what is not ready yet is killed, and nobody is born any more."""
        seconds = self.succession.current.facts.shutdown_timeout
        self.orders.give(Stopping(why))
        self.orders.give(KeepAddresses(()))  # first of all: what has come by then is what the workers serve
        for worker in self.crew:
            if worker.stage is WorkerStage.BOOTING:
                self.orders.kill(worker)
            elif worker.stage is WorkerStage.SERVING:
                self.orders.drain(worker, seconds, is_last=True)
            elif worker.stage is WorkerStage.ASIDE:
                self._drain_aside(worker, seconds)
            else:
                worker.deadline = min(worker.deadline, self.orders.now + seconds)
        self.succession.wind_down()

    def _hurry(self) -> None:
        """What is left is cut off now, and has a moment to end."""
        for worker in self.crew:
            if worker.stage in (WorkerStage.DRAINING, WorkerStage.LEAVING):
                self.orders.abort(worker, HURRY_SECONDS)
            elif worker.stage is WorkerStage.ABORTING:
                worker.deadline = min(worker.deadline, self.orders.now + HURRY_SECONDS)
        self.succession.hurry(HURRY_SECONDS)

    def _tell(self) -> None:
        """Say the status, where it has changed."""
        if self.life is not Life.SERVING:
            return
        succession = self.succession
        size = succession.current.size
        served = self.crew.served_places(size)
        if served == size and not self.crew.was_complete:
            self.crew.was_complete = True
            self.orders.say(logging.INFO, f"{size} worker{'s serve' if size > 1 else ' serves'}")
        status = f"with {served} of {size} worker{'s' if size > 1 else ''}"
        status += f" ({succession.current.facts.workers} configured)" if succession.current.more else ""
        status += f", generation {succession.current.generation}"
        status += f"; {succession.note}" if succession.note else ""
        is_reloading = succession.is_loading or succession.is_moving
        told: Action = Reloading(status) if is_reloading else Serving(status)
        if told != self._told:
            self._told = told
            self.orders.give(told)
