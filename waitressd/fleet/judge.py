"""What follows from the verdicts on workers: one that hangs is replaced at once, one that is worn waits for its turn.

Each verdict is acted on once: the master says it again at each look, as long as it holds.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from waitressd.fleet.crew import Crew
from waitressd.fleet.members import YOUNG_SECONDS, Worker
from waitressd.fleet.orders import Orders
from waitressd.fleet.states import RollStage, WorkerStage
from waitressd.fleet.succession import DEATHS, Succession
from waitressd.fleet.verdicts import Kind, Verdict

ASIDE_TIMES: Final = 10  # worker_stuck_timeout, that a worker which was set aside may still take


class Judge:
    """Acts on verdicts. A part of the plan."""

    def __init__(self, orders: Orders, crew: Crew, succession: Succession) -> None:
        self._orders = orders
        self._crew = crew
        self._succession = succession
        self._turns = 0
        self._memory_rests_for = 0  # the generation that does not fit into worker_max_memory

    def carry(self) -> list[int]:
        """Write down what the plan of another program in this process must know."""
        return [self._turns, self._memory_rests_for]

    def resume(self, fields: Sequence[int]) -> None:
        """Go on from what `carry` has written."""
        self._turns, self._memory_rests_for = fields

    def act(self, worker: Worker, verdict: Verdict) -> None:
        """Act on a verdict, unless that was done or the worker is on its way out."""
        if verdict.kind is Kind.STALLED and worker.stage in (WorkerStage.SERVING, WorkerStage.ASIDE):
            self._end(worker, verdict)
        elif worker.stage is not WorkerStage.SERVING:
            return
        elif verdict.kind is Kind.STUCK:
            self._set_aside(worker, verdict)
        elif verdict.kind is Kind.BORN_TOO_BIG:
            self._let_memory_rest(worker, verdict)
        else:
            self._note_wear(worker, verdict)

    def recycle(self) -> Worker | None:
        """Return the worker whose successor is to be born now, if it is the turn of one.

        A place that is empty comes before, and so does a reload, from its signal until its code is trusted.
        """
        succession = self._succession
        if succession.is_loading or succession.roll is not RollStage.QUIET or not succession.current.can_spawn:
            return None
        worker = self._crew.worker_to_recycle(succession.current, self._orders.now)
        if worker is not None and worker.verdict is not None:
            self._orders.say(logging.INFO, f"{worker.name} is renewed: {worker.verdict.why}")
        return worker

    def _end(self, worker: Worker, verdict: Verdict) -> None:
        """It has stalled: nothing that it is told would reach it."""
        text = f"{worker.name} has stalled: {verdict.why}; it is killed, with its stacks in the log"
        self._condemn(worker, verdict, text, partial(self._orders.kill, worker, with_stacks=True))

    def _set_aside(self, worker: Worker, verdict: Verdict) -> None:
        """It is stuck: another takes its place, and what it has may still end. At most as many at once as places."""
        if self._crew.count(WorkerStage.ASIDE) >= self._succession.current.size:
            if worker.verdict is None or worker.verdict.kind is not Kind.STUCK:
                worker.verdict = verdict
                text = f"{worker.name} is stuck: {verdict.why}; too many have been set aside, so it keeps its place"
                self._orders.say(logging.ERROR, text)
            return
        seconds = ASIDE_TIMES * worker.code.facts.worker_stuck_timeout
        text = f"{worker.name} is stuck: {verdict.why}; it is set aside, and may finish within {seconds:g} s"
        self._condemn(worker, verdict, text, partial(self._orders.set_aside, worker, seconds))

    def _condemn(self, worker: Worker, verdict: Verdict, text: str, order: Callable[[], None]) -> None:
        """Take it out of service, give its place to another, and hold it against its code."""
        worker.verdict = verdict
        if worker.stage is not WorkerStage.SERVING:  # another has its place
            self._orders.say(logging.ERROR, text)
            order()
            return
        wait = self._crew.vacate(worker, self._orders.now)
        order()
        self._orders.say(logging.ERROR, f"{text}; {self._succession.prospect(worker, wait)}")
        self._succession.blame(worker, 1, f"{DEATHS} of its workers died or hung")

    def _let_memory_rest(self, worker: Worker, verdict: Verdict) -> None:
        generation = self._succession.current.generation
        if worker.generation == generation != self._memory_rests_for:
            self._memory_rests_for = generation
            text = f"{worker.name} has too much memory as it begins: {verdict.why}; a successor would be no better, so"
            self._orders.say(logging.ERROR, f"{text} memory is no reason to renew a worker until the next reload")

    def _note_wear(self, worker: Worker, verdict: Verdict) -> None:
        """It is worn: it serves until its turn has come, and a successor serves."""
        generation = self._succession.current.generation
        if worker.worn or worker.generation != generation or worker.service(self._orders.now) < YOUNG_SECONDS:
            return
        if verdict.kind is Kind.TOO_BIG and self._memory_rests_for == generation:
            return
        self._turns += 1
        worker.worn, worker.verdict = self._turns, verdict
