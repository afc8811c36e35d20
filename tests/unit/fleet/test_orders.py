"""Each order changes a stage and sets a deadline; the clock counts no pauses."""

import math

from waitressd.fleet import actions as do
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.members import Code, Worker
from waitressd.fleet.orders import LATE_SECONDS, PULSE_SECONDS, Clock, Orders
from waitressd.fleet.states import TemplateMove, TemplateStage, WorkerMove, WorkerStage


def test_a_worker_that_is_told_something_has_so_long_to_do_it() -> None:
    orders = Orders()
    orders.clock.hear(100.0)
    worker = Worker(3, 1, Code(1, CodeFacts(1, is_preloaded=True)), 60.0)
    worker.move(WorkerMove.READY)
    orders.drain(worker, 30.0, is_last=True)
    assert (worker.stage, worker.deadline) == (WorkerStage.DRAINING, 130.0)
    orders.abort(worker, 1.0)
    assert (worker.stage, worker.deadline) == (WorkerStage.ABORTING, 101.0)
    orders.kill(worker, with_stacks=True)
    assert (worker.stage, worker.deadline) == (WorkerStage.ENDING, 110.0)
    assert orders.take() == [do.Drain(3, 30.0, is_last=True), do.Abort(3), do.Kill(3, with_stacks=True)]
    assert orders.take() == []


def test_a_template_that_is_told_something_has_so_long_to_do_it() -> None:
    orders = Orders()
    orders.clock.hear(100.0)
    code = Code(2, CodeFacts(1, is_preloaded=True))
    code.move(TemplateMove.HELLO)
    code.move(TemplateMove.ACCEPT)
    orders.quit(code)
    assert (code.stage, code.deadline) == (TemplateStage.QUITTING, 105.0)
    orders.kill_code(code)
    assert (code.stage, code.deadline) == (TemplateStage.ENDING, 110.0)
    assert orders.take() == [do.QuitCode(2), do.KillCode(2)]


def test_the_clock_is_asked_once_a_second_while_a_deadline_runs() -> None:
    clock = Clock()
    clock.hear(100.0)
    assert clock.due == math.inf
    clock.expect(160.0)
    assert clock.due == 100.0 + PULSE_SECONDS
    clock.expect(100.3)
    assert clock.due == 100.3


def test_a_look_that_comes_much_too_late_does_not_count() -> None:
    clock = Clock()
    clock.hear(100.0)
    clock.expect(160.0)
    clock.hear(100.0 + PULSE_SECONDS + LATE_SECONDS)  # late, and no more than that
    assert clock.now == 104.0
    clock.hear(1104.0)
    assert clock.now == 105.0
    clock.expect(105.5)
    assert clock.due == 1104.5


def test_while_nothing_is_waited_for_time_is_time() -> None:
    clock = Clock()
    clock.hear(100.0)
    clock.hear(5000.0)
    assert clock.now == 5000.0
