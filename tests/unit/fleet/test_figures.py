"""What the metrics say of the workers."""

import json
import time

from waitressd.command import StartCommand
from waitressd.fleet.actions import CodeFacts, Spawn
from waitressd.fleet.board import Board, Field
from waitressd.fleet.figures import Figures
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster, Worker
from waitressd.fleet.states import WorkerStage
from waitressd.fleet.verdicts import Kind, Verdict


def test_workers_are_counted_by_what_they_do_and_exits_by_what_ended_them() -> None:
    plan, roster = Plan(), Roster(StartCommand((), {}, "/"))
    figures = Figures(plan, roster)
    now = time.monotonic()

    def spawned(wanted: list[object]) -> list[int]:
        figures.renew(now)
        return [action.worker for action in wanted if isinstance(action, Spawn)]

    one, two = spawned([*plan.start(now, CodeFacts(2, is_preloaded=True))])
    assert figures.state().workers["booting"] == 2
    for worker in (one, two):
        plan.born(now, worker, 100 + worker)
        plan.ready(now, worker)
    spawned([])
    state = figures.state()
    assert (state.workers["serving"], state.workers["booting"]) == (2, 0)
    assert state.generation == 1
    assert sorted(state.ages) == [1, 2]
    assert all(age >= 0 for age in state.ages.values())

    figures.count_exit(one, "signal 9 (SIGKILL)")
    (three,) = spawned([*plan.died(now, one, "signal 9 (SIGKILL)")])
    figures.count_exit(two, "exit status 1")
    spawned([*plan.died(now, two, "exit status 1")])
    plan.born(now, three, 103)
    plan.ready(now, three)
    plan.leaving(now, three)
    figures.count_exit(three, "exit status 0")
    assert spawned([]) == []
    assert figures.state().exits == {"finished": 1, "killed": 1, "failed": 1, "stalled": 0, "stuck": 0}


def test_exits_of_workers_that_hang_have_reasons_of_their_own() -> None:
    plan = Plan()
    figures = Figures(plan, Roster(StartCommand((), {}, "/")))
    plan.start(0.0, CodeFacts(3, is_preloaded=True))
    for worker in (1, 2, 3):
        plan.born(0.0, worker, 100 + worker)
        plan.ready(0.0, worker)
    plan.judged(20.0, 1, Verdict(Kind.STALLED, ""))
    plan.judged(20.0, 2, Verdict(Kind.STUCK, ""))
    plan.judged(20.0, 3, Verdict(Kind.TOO_OLD, ""))
    figures.renew(20.0)
    assert figures.state().workers["aside"] == 1
    for worker, how in ((1, "signal 9 (SIGKILL)"), (2, "exit status 0"), (3, "signal 9 (SIGKILL)")):
        figures.count_exit(worker, how)
        plan.died(21.0, worker, how)
    figures.renew(21.0)
    assert figures.state().exits == {"finished": 0, "killed": 1, "failed": 0, "stalled": 1, "stuck": 1}


def test_the_stage_of_each_worker_is_in_its_row_and_what_is_known_of_it_goes_with_it() -> None:
    plan, roster = Plan(), Roster(StartCommand((), {}, "/"))
    figures = Figures(plan, roster)
    roster.board = board = Board.create(2)
    try:
        plan.start(100.0, CodeFacts(1, is_preloaded=True))
        roster.workers[1] = worker = Worker(0, None, number=1, place=1, code=1, board_row=board.claim(1))
        plan.ready(101.0, 1)
        row = roster.row_of(worker)
        assert row is not None
        row[Field.PASSED_ON], row[Field.REBALANCED] = 3, 2
        worker.private_bytes = 4096
        figures.renew(101.0)
        assert row[Field.STAGE] == WorkerStage.SERVING
        assert figures.state().private_bytes == {1: 4096}
        assert figures.state().moved == {"placed": 3, "rebalanced": 2, "drained": 0}
        roster.retire(roster.workers.pop(1))
        plan.died(102.0, 1, "signal 9")
        figures.renew(102.0)
        assert figures.state().private_bytes == {}
        assert figures.state().moved == {"placed": 3, "rebalanced": 2, "drained": 0}
        state = json.loads(json.dumps(roster.carry(int))) | {"board": None}
        following = Roster(StartCommand((), {}, "/"))
        following.resume(state)
        assert Figures(plan, following).state().moved == {"placed": 3, "rebalanced": 2, "drained": 0}
    finally:
        roster.close()
