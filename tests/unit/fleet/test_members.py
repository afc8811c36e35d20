"""Codes, workers and places by themselves."""

import math

from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.members import CREDIT_DEATHS, CREDIT_SECONDS, LONGEST_WAIT, Code, Credit, Place, Worker, attempt
from waitressd.fleet.states import TemplateMove, WorkerMove


def test_a_preloaded_code_needs_its_template_for_a_birth_and_a_solo_one_does_not() -> None:
    code = Code(1, CodeFacts(1, is_preloaded=True))
    found = [code.can_spawn]
    for move in (TemplateMove.HELLO, TemplateMove.ACCEPT, TemplateMove.DIE):
        code.move(move)
        found.append(code.can_spawn)
    assert found == [False, False, True, False]
    assert Code(2, CodeFacts(1, is_preloaded=False)).can_spawn


def test_a_word_that_changes_nothing_leaves_the_deadline() -> None:
    worker = Worker(1, 1, Code(1, CodeFacts(1, is_preloaded=True)), 60.0)
    worker.move(WorkerMove.LEAVE, 90.0)
    worker.move(WorkerMove.LEAVE, 500.0)
    assert worker.deadline == 90.0


def test_a_worker_has_no_pid_in_its_name_before_it_is_born() -> None:
    worker = Worker(7, 2, Code(1, CodeFacts(1, is_preloaded=True)), 60.0)
    assert worker.name == "worker 2 (generation 0)"
    worker.pid = 12
    assert worker.name == "worker 2 (pid 12, generation 0)"


def test_a_place_waits_longer_after_each_early_end_and_never_for_ever() -> None:
    place = Place()
    waits = [place.vacate(1000.0, 0.0) for _ in range(2000)]
    assert waits[:9] == [0, 1, 3, 9, 27, *4 * [LONGEST_WAIT]]
    assert max(waits) == LONGEST_WAIT
    assert place.not_before == 1000.0 + LONGEST_WAIT


def test_a_service_of_some_length_neither_adds_nor_forgives() -> None:
    place = Place()
    place.vacate(0.0, 0.0)
    place.vacate(0.0, 0.0)
    assert place.vacate(0.0, 30.0) == 0.0
    assert place.vacate(0.0, 0.0) == 3.0
    assert place.vacate(0.0, 60.0) == 0.0
    assert place.failures == 0
    place.vacate(0.0, 0.0)
    place.forgive()
    assert (place.failures, place.not_before) == (0, -math.inf)


def test_a_credit_is_used_up_and_comes_back_slowly() -> None:
    credit = Credit()
    assert [credit.take(1000.0) for _ in range(CREDIT_DEATHS + 2)] == [True] * CREDIT_DEATHS + [False] * 2
    assert credit.take(1000.0 + CREDIT_SECONDS)
    assert not credit.take(1000.0 + CREDIT_SECONDS)
    assert [credit.take(1e6) for _ in range(CREDIT_DEATHS + 1)] == [True] * CREDIT_DEATHS + [False]


def test_what_is_said_of_the_next_attempt() -> None:
    assert attempt(0.0) == "it is replaced at once"
    assert attempt(4.0) == "the next attempt in 4 s"
