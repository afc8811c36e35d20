"""Orders to stop a fleet, in every order in which they may come."""

from math import inf

import pytest

from waitressd.fleet.leaving import Leaving, Step


def test_a_stop_without_a_delay_begins_at_once_and_a_second_signal_hurries() -> None:
    leaving = Leaving()
    assert [leaving.on_signal(100.0, 0.0) for _ in range(3)] == [Step.STOP, Step.HURRY, Step.HURRY]


def test_with_a_delay_it_begins_when_that_is_over() -> None:
    leaving = Leaving()
    assert leaving.on_signal(100.0, 5.0) is Step.LEAVE
    assert leaving.due == 105.0
    assert leaving.on_tick(104.9) is Step.NOTHING
    assert leaving.on_tick(105.0) is Step.STOP
    assert (leaving.due, leaving.on_tick(106.0)) == (inf, Step.NOTHING)
    assert leaving.on_signal(107.0, 5.0) is Step.HURRY


def test_a_second_signal_ends_the_waiting() -> None:
    leaving = Leaving()
    leaving.on_signal(100.0, 5.0)
    assert (leaving.on_signal(101.0, 5.0), leaving.due) == (Step.HURRY, inf)


@pytest.mark.parametrize("delay", [0.0, 5.0])
def test_who_asks_may_ask_again_and_the_signal_that_follows_is_the_first(delay: float) -> None:
    leaving = Leaving()
    assert leaving.on_request(100.0, delay) is (Step.LEAVE if delay else Step.STOP)
    assert leaving.on_request(100.0, delay) is Step.NOTHING
    assert leaving.on_signal(101.0, delay) is Step.NOTHING
    assert leaving.on_request(101.0, delay) is Step.NOTHING
    assert leaving.on_signal(102.0, delay) is Step.HURRY
