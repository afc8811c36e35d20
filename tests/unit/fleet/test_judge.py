"""What follows from verdicts: who is replaced at once, who waits for a turn, and who is left alone."""

import logging

import pytest

from waitressd.fleet.actions import Action, CodeFacts, Drain, Kill, Say, SetAside, Spawn
from waitressd.fleet.plan import Plan
from waitressd.fleet.states import WorkerStage
from waitressd.fleet.verdicts import Kind, Verdict

OLD = 100.0  # when the workers of `fleet` have served for long


def fleet(workers: int = 2) -> Plan:
    """Return the plan of a fleet whose workers, 1 to n, have served since 0.0."""
    plan = Plan()
    plan.start(0.0, CodeFacts(workers, is_preloaded=True, worker_stuck_timeout=3.0))
    for worker in range(1, workers + 1):
        serve(plan, 0.0, worker)
    return plan


def serve(plan: Plan, now: float, worker: int) -> list[Action]:
    """Have a worker born and ready."""
    plan.born(now, worker, 100 + worker)
    return plan.ready(now, worker)


def judged(plan: Plan, now: float, worker: int, kind: Kind) -> list[Action]:
    """Tell the plan of a verdict."""
    return plan.judged(now, worker, Verdict(kind, "for a reason"))


def without_words(actions: list[Action]) -> list[Action]:
    """Return those that do something."""
    return [action for action in actions if isinstance(action, Spawn | Drain | Kill | SetAside)]


def words(actions: list[Action]) -> list[tuple[int, str]]:
    """Return what is said."""
    return [(action.level, action.text) for action in actions if isinstance(action, Say)]


def test_a_stalled_worker_is_killed_and_replaced_in_the_same_moment() -> None:
    plan = fleet()
    actions = judged(plan, OLD, 1, Kind.STALLED)
    assert without_words(actions) == [Kill(1, with_stacks=True), Spawn(3, 1, 1)]
    text = "worker 1 (pid 101, generation 1) has stalled: for a reason; it is killed, with its stacks in the log"
    assert words(actions) == [(logging.ERROR, f"{text}; it is replaced at once")]
    assert without_words(judged(plan, OLD + 1, 1, Kind.STALLED)) == []


def test_a_stuck_worker_is_set_aside_and_may_finish() -> None:
    plan = fleet()
    actions = judged(plan, OLD, 2, Kind.STUCK)
    assert without_words(actions) == [SetAside(2, 30.0), Spawn(3, 2, 1)]
    text = "worker 2 (pid 102, generation 1) is stuck: for a reason; it is set aside, and may finish within 30 s"
    assert words(actions) == [(logging.ERROR, f"{text}; it is replaced at once")]
    assert without_words(judged(plan, OLD + 1, 2, Kind.STUCK)) == []
    said = words(plan.died(OLD + 5, 2, "exit status 0", is_clean=True))
    assert said == [(logging.INFO, "worker 2 (pid 102, generation 1), which was set aside, has finished its requests")]


def test_one_that_does_not_finish_is_ended() -> None:
    plan = fleet()
    judged(plan, OLD, 2, Kind.STUCK)
    serve(plan, OLD + 0.1, 3)
    for second in range(1, 31):
        plan.tick(OLD + second)
    assert plan.crew.workers[2].stage is WorkerStage.ABORTING


def test_one_that_was_set_aside_and_stalls_is_killed_and_nobody_is_born_for_it() -> None:
    plan = fleet()
    judged(plan, OLD, 2, Kind.STUCK)
    serve(plan, OLD + 0.1, 3)
    assert without_words(judged(plan, OLD + 1, 2, Kind.STALLED)) == [Kill(2, with_stacks=True)]


def test_no_more_are_set_aside_than_there_are_places() -> None:
    plan = fleet(1)
    judged(plan, OLD, 1, Kind.STUCK)
    serve(plan, OLD, 2)
    actions = judged(plan, OLD + 20, 2, Kind.STUCK)
    text = (
        "worker 1 (pid 102, generation 1) is stuck: for a reason; too many have been set aside, so it keeps its place"
    )
    assert (without_words(actions), words(actions)) == ([], [(logging.ERROR, text)])
    assert words(judged(plan, OLD + 21, 2, Kind.STUCK)) == []
    plan.died(OLD + 22, 1, "exit status 0", is_clean=True)
    assert without_words(judged(plan, OLD + 23, 2, Kind.STUCK)) == [SetAside(2, 30.0), Spawn(3, 1, 1)]


@pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.TOO_OLD, Kind.TOO_BIG])
def test_a_worn_worker_serves_until_its_successor_does(kind: Kind) -> None:
    plan = fleet()
    actions = judged(plan, OLD, 2, kind)
    assert without_words(actions) == [Spawn(3, 2, 1)]
    assert words(actions) == [(logging.INFO, "worker 2 (pid 102, generation 1) is renewed: for a reason")]
    assert without_words(judged(plan, OLD, 2, kind)) == []
    assert without_words(serve(plan, OLD, 3)) == [Drain(2, 30.0, is_last=False)]


def test_worn_workers_take_turns_in_the_order_of_their_verdicts() -> None:
    plan = fleet(3)
    assert without_words(judged(plan, OLD, 3, Kind.TOO_OLD)) == [Spawn(4, 3, 1)]
    assert without_words(judged(plan, OLD, 2, Kind.TOO_OLD)) == []
    assert without_words(judged(plan, OLD, 1, Kind.TOO_OLD)) == []
    assert without_words(serve(plan, OLD, 4)) == [Drain(3, 30.0, is_last=False)]
    assert without_words(plan.tick(OLD + 1)) == []
    assert without_words(plan.died(OLD + 2, 3, "exit status 0", is_clean=True)) == [Spawn(5, 2, 1)]


def test_the_young_are_not_renewed() -> None:
    plan = fleet()
    assert without_words(judged(plan, 9.9, 1, Kind.TOO_BIG)) == []
    assert without_words(judged(plan, 10.0, 1, Kind.TOO_BIG)) == [Spawn(3, 1, 1)]


def test_an_empty_place_comes_first() -> None:
    plan = fleet()
    plan.died(OLD, 1, "signal 9 (SIGKILL)")
    assert without_words(judged(plan, OLD, 2, Kind.TOO_OLD)) == []
    assert without_words(serve(plan, OLD, 3)) == [Spawn(4, 2, 1)]


def test_a_reload_comes_first() -> None:
    plan = fleet()
    plan.hup(OLD)
    assert without_words(judged(plan, OLD, 2, Kind.TOO_OLD)) == []
    plan.failed(OLD + 1, 2, "it cannot be loaded")
    assert plan.crew.count(WorkerStage.BOOTING) == 1


def test_memory_rests_where_a_successor_would_be_no_better() -> None:
    plan = fleet()
    text = "worker 1 (pid 101, generation 1) has too much memory as it begins: for a reason; a successor would be no"
    text += " better, so memory is no reason to renew a worker until the next reload"
    assert words(judged(plan, 0.1, 1, Kind.BORN_TOO_BIG)) == [(logging.ERROR, text)]
    assert words(judged(plan, 0.1, 2, Kind.BORN_TOO_BIG)) == []
    assert without_words(judged(plan, OLD, 1, Kind.TOO_BIG)) == []
    assert without_words(judged(plan, OLD, 1, Kind.TOO_OLD)) == [Spawn(3, 1, 1)]


def test_a_verdict_on_one_that_is_gone_changes_nothing() -> None:
    plan = fleet()
    plan.stop(OLD)
    assert judged(plan, OLD, 1, Kind.STALLED) == []
    assert judged(plan, OLD, 77, Kind.STALLED) == []
