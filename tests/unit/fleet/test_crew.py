"""Who is to be born and who is to be drained, in a crew that stands still."""

from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.crew import Crew
from waitressd.fleet.members import Code, Worker
from waitressd.fleet.states import WorkerMove, WorkerStage


def code(generation: int, workers: int = 2) -> Code:
    made = Code(generation, CodeFacts(workers, is_preloaded=True))
    made.generation = generation
    return made


OLD, NEW, NEWEST = code(1), code(2), code(3)


def crew(*members: tuple[int, Code, WorkerStage]) -> Crew:
    """Build a crew of (place, code, stage), numbered from 1."""
    made = Crew()
    for number, (place, of, stage) in enumerate(members, 1):
        worker = made.workers[number] = Worker(number, place, of, 60.0)
        if stage is not WorkerStage.BOOTING:
            worker.move(WorkerMove.READY)
        if stage is WorkerStage.DRAINING:
            worker.move(WorkerMove.DRAIN)
        assert worker.stage is stage
    return made


BOOTING, SERVING, DRAINING = WorkerStage.BOOTING, WorkerStage.SERVING, WorkerStage.DRAINING


def test_a_successor_is_born_only_while_nobody_boots_and_no_place_has_two() -> None:
    assert crew((1, OLD, SERVING), (2, OLD, SERVING)).place_to_renew(NEW, 0.0) == 1
    assert crew((1, OLD, SERVING), (2, NEW, SERVING)).place_to_renew(NEW, 0.0) == 1
    assert crew((1, OLD, SERVING), (2, NEW, BOOTING)).place_to_renew(NEW, 0.0) is None
    assert crew((1, OLD, SERVING), (2, OLD, SERVING), (2, NEW, SERVING)).place_to_renew(NEW, 0.0) is None
    assert crew((1, NEW, SERVING), (2, NEW, SERVING)).place_to_renew(NEW, 0.0) is None
    assert crew((1, OLD, DRAINING), (1, NEW, SERVING), (2, OLD, SERVING)).place_to_renew(NEW, 0.0) == 2


def test_a_place_in_its_back_off_gets_no_successor_yet() -> None:
    made = crew((1, OLD, SERVING), (2, OLD, SERVING))
    made.place(1).not_before = 5.0
    assert made.place_to_renew(NEW, 4.0) is None  # nor does the other: the same would fail there
    assert list(made.next_attempts(NEW, 4.0)) == [5.0]
    assert made.place_to_renew(NEW, 5.0) == 1


def test_who_has_a_successor_is_drained_and_one_at_a_time() -> None:
    made = crew((1, OLD, SERVING), (1, NEW, SERVING), (2, OLD, SERVING))
    assert made.worker_to_drain(NEW, OLD) is made.workers[1]
    assert crew((1, OLD, SERVING), (1, NEW, BOOTING)).worker_to_drain(NEW, OLD) is None
    assert crew((1, OLD, SERVING), (1, NEW, SERVING), (2, OLD, DRAINING)).worker_to_drain(NEW, OLD) is None


def test_of_two_that_are_not_wanted_the_one_there_was_a_way_back_to_stays() -> None:
    made = crew((1, OLD, SERVING), (1, NEW, SERVING))
    assert made.worker_to_drain(NEWEST, OLD) is made.workers[2]
    assert made.worker_to_drain(NEWEST, NEW) is made.workers[1]


def test_a_place_that_goes_serves_until_the_others_are_renewed() -> None:
    one = code(2, workers=1)
    made = crew((1, OLD, SERVING), (2, OLD, SERVING))
    assert made.worker_to_drain(one, OLD) is None
    made = crew((1, one, SERVING), (2, OLD, SERVING))
    assert made.worker_to_drain(one, OLD) is made.workers[2]


def test_two_in_a_place_that_goes_do_not_hold_up_the_others() -> None:
    """A new worker had just become ready there when the next code came, which wants fewer places."""
    one = code(3, workers=1)
    made = crew((1, NEW, SERVING), (2, OLD, SERVING), (2, NEW, SERVING))
    assert made.worker_to_drain(one, NEW) is made.workers[2]


def test_what_boots_for_nobody_is_named() -> None:
    made = crew((1, OLD, BOOTING), (2, NEW, BOOTING), (3, NEW, BOOTING), (1, OLD, SERVING))
    assert [worker.number for worker in made.superfluous_boots(NEW)] == [1, 3]


def test_a_fleet_is_renewed_when_every_other_worker_is_gone() -> None:
    assert crew((1, NEW, SERVING), (2, NEW, SERVING)).is_renewed(NEW)
    assert not crew((1, NEW, SERVING), (2, NEW, SERVING), (2, OLD, DRAINING)).is_renewed(NEW)
    assert not crew((1, NEW, SERVING)).is_renewed(NEW)


def test_failures_are_forgiven_in_every_place() -> None:
    made = crew((1, OLD, SERVING))
    made.failed_boots = 4
    for _ in range(3):
        made.vacate(made.workers[1], 100.0)
    assert list(made.empty_places(1, 100.0)) == []
    del made.workers[1]
    assert list(made.empty_places(1, 100.0)) == []
    made.forgive()
    assert list(made.empty_places(1, 100.0)) == [1]
    assert made.failed_boots == 0
