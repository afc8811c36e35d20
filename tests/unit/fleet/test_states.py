"""The tables of a fleet's states: everything comes to an end, and nothing comes back from there."""

import pytest

from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.members import Code, Worker
from waitressd.fleet.states import (
    LIFE_TRANSITIONS,
    ROLL_TRANSITIONS,
    TEMPLATE_TRANSITIONS,
    WORKER_TRANSITIONS,
    Life,
    RollMove,
    RollStage,
    TemplateMove,
    TemplateStage,
    WorkerMove,
    WorkerStage,
)


def test_a_process_can_die_in_every_stage_and_once() -> None:
    for stage in WorkerStage:
        assert ((stage, WorkerMove.DIE) in WORKER_TRANSITIONS) == (stage is not WorkerStage.GONE)
    for phase in TemplateStage:
        assert ((phase, TemplateMove.DIE) in TEMPLATE_TRANSITIONS) == (phase is not TemplateStage.GONE)


def test_no_stage_leads_back() -> None:
    assert all(after >= before for (before, _), after in WORKER_TRANSITIONS.items())
    assert all(after >= before for (before, _), after in TEMPLATE_TRANSITIONS.items())
    assert all(after >= before for (before, _), after in LIFE_TRANSITIONS.items())


def test_nothing_follows_the_end() -> None:
    assert not any(before is Life.ENDED for before, _ in LIFE_TRANSITIONS)


def test_a_new_code_may_come_at_any_stage_of_a_roll() -> None:
    assert all(ROLL_TRANSITIONS[stage, RollMove.BEGIN] is RollStage.ROLLING for stage in RollStage)


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    code = Code(1, CodeFacts(1, is_preloaded=True))
    worker = Worker(1, 1, code, 60.0)
    for move in (WorkerMove.DRAIN, WorkerMove.ABORT):
        with pytest.raises(KeyError):
            worker.move(move)
    for order in (TemplateMove.ACCEPT, TemplateMove.QUIT):
        with pytest.raises(KeyError):
            code.move(order)
