"""Windows and places of a chart, second by second. The laws for any story are in tests/property/test_history.py."""

from array import array
from typing import Final

import pytest

from tests.support.readings import Counters
from waitressd.insight.history import NUMBERS, STEPS, WINDOWS, History, Sums

START: Final = 1000.5


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def history() -> History:
    return History(START)


def test_before_the_first_second_is_over_there_is_nothing(history: History) -> None:
    window = history.window(10)
    assert (window.seconds, window.totals.count, window.routes) == (1, 0, {})
    assert window.totals.percentiles("total") == (None, None, None)
    assert history.steps() == []


def test_a_reading_is_due_once_a_second(history: History, counters: Counters) -> None:
    assert not history.is_due(START + 0.49)
    assert history.is_due(START + 0.5)
    history.take(START + 0.6, counters.read())
    assert not history.is_due(START + 1.4)
    assert history.is_due(START + 1.5)


def test_a_window_has_what_was_counted_in_it(history: History, counters: Counters) -> None:
    for second in range(1, 31):
        counters.add(second)
        history.take(START + second, counters.read())
    window = history.window(10)
    assert window.seconds == 10
    assert window.totals.count == window.routes["/"].count == sum(range(21, 31))
    assert history.window(60).seconds == 30
    assert history.window(60).totals.count == sum(range(1, 31))


def test_sums_say_what_they_are_made_of(history: History, counters: Counters) -> None:
    counters.add(3, seconds=2)
    counters.add(1, status="5xx", route="/late", seconds=10)
    history.take(START + 1, counters.read())
    window = history.window(10)
    assert (window.totals["2xx"], window.totals["5xx"], window.totals["none"]) == (3, 1, 0)
    assert window.totals.seconds("total") == window.totals.seconds("application") == 16.0
    assert window.totals.refusals("refused") == 0
    assert window.totals.percentiles("total") == (2.0, 10.0, 10.0)
    assert window.totals.percentiles("queue") == (0.001, 0.001, 0.001)
    assert window.routes["/late"]["5xx"] == 1
    assert sum(window.totals.buckets("application")) == window.totals.count
    assert sum(window.routes["/"].buckets("total")) == 3


def test_a_route_without_requests_in_a_window_is_not_in_it(history: History, counters: Counters) -> None:
    counters.add(route="/early")
    for second in range(1, 12):
        history.take(START + second, counters.read())
    assert history.window(10).routes == {}
    assert list(history.window(60).routes) == ["/early"]


def test_the_routes_of_a_long_window_miss_four_seconds_at_most(history: History, counters: Counters) -> None:
    for second in range(1, 100):
        counters.add()
        history.take(START + second, counters.read())
        window = history.window(60)
        assert window.totals.count == min(60, second)
        assert window.totals.count - 4 <= window.routes["/"].count <= window.totals.count


def test_seconds_that_nobody_looked_at_share_what_was_counted(history: History, counters: Counters) -> None:
    history.take(START + 1, counters.read())
    counters.add(300)
    history.take(START + 4, counters.read())
    for seconds, count in ((1, 100), (2, 200), (3, 300)):
        assert history.window(seconds).totals.count == count


def test_a_process_that_was_frozen_for_long_goes_on(history: History, counters: Counters) -> None:
    counters.add(10)
    history.take(START + 1, counters.read())
    counters.add(86400)
    history.take(START + 86401, counters.read())
    assert history.window(10).totals.count == 10
    assert history.window(300).totals.count == 300
    assert len(history.steps()) == STEPS


def test_a_chart_has_five_minutes_and_no_more(history: History, counters: Counters) -> None:
    for second in range(1, 400):
        counters.add(2, seconds=3)
        history.take(START + second, counters.read(busy_threads=second % 2, queue_depth=second))
    steps = history.steps()
    assert len(steps) == STEPS == WINDOWS[-1] // 2
    assert {(step.seconds, step.sums["2xx"], step.percentiles, step.busy_threads) for step in steps} == {
        (2, 4, (3.0, 3.0, 3.0), 1)
    }
    assert [step.queue_depth for step in steps][-2:] == [396, 398]


def test_a_reading_does_not_hold_numbers_twice(history: History, counters: Counters) -> None:
    counters.add(route="/once")
    for second in range(1, 4):
        counters.add(route="/always")
        history.take(START + second, counters.read())
    kept = [each.reading.routes for each in list(history._kept)[1:]]  # only here can it be seen
    assert kept[0]["/once"] is kept[1]["/once"] is kept[2]["/once"]
    assert kept[0]["/always"] is not kept[1]["/always"]


def test_sums_of_nothing() -> None:
    sums = Sums(array("q", bytes(8 * NUMBERS)))
    assert sums.count == sums["2xx"] == sums.seconds("flush") == 0
