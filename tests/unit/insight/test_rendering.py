"""Answers in the making: slices, failures, and what equal questions share."""

import json
import logging
import time
from collections.abc import Iterator

import pytest

from tests.support.admin import echo
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.rendering import MOST_SHARED_SECONDS, SHARE, SHARED_SECONDS, Rendering, Shared, whole

QUERY = Query("GET", "/stats", {}, "")


class Clock:
    """Time that passes when it is looked at."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def endless(query: Query) -> Answer:
    return Answer(200, "text/plain", (b"%d " % number for number in range(10)))


def test_it_is_made_in_slices() -> None:
    rendering = Rendering(QUERY, Endpoint("/stats", "stats", endless))
    slices = 1
    while not rendering.work(2.0, Clock(1.0)):
        assert rendering.whole is None
        slices += 1
    assert slices == 6, "two pieces in each slice, and the end"
    assert rendering.whole is not None
    assert rendering.whole.body == b"0 1 2 3 4 5 6 7 8 9 "


def test_a_short_answer_is_made_at_once() -> None:
    rendering = Rendering(QUERY, Endpoint("/stats", "stats", echo))
    assert rendering.work(1.0, Clock(0.0))
    assert rendering.whole == whole(echo(QUERY))


def test_whatever_fails_there_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def asked_wrongly(query: Query) -> Answer:
        raise BadQuestion("Only so.")

    def broken(query: Query) -> Answer:
        raise ZeroDivisionError

    def broken_later(query: Query) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield b"something"
            raise ZeroDivisionError

        return Answer(200, "text/plain", pieces())

    statuses = []
    with caplog.at_level(logging.CRITICAL):
        for answer in (asked_wrongly, broken, broken_later):
            rendering = Rendering(QUERY, Endpoint("/stats", "stats", answer))
            assert rendering.work(1.0, Clock(0.0))
            assert rendering.whole is not None
            assert set(json.loads(rendering.whole.body)) == {"error", "setting"}
            statuses.append(rendering.whole.status)
    assert statuses == [400, 500, 500]
    assert caplog.messages == ["the admin address could not answer /stats; please report this"] * 2


def test_equal_questions_share_an_answer_until_it_is_stale() -> None:
    shared = Shared()
    rendering = Rendering(QUERY, Endpoint("/stats", "stats", echo))
    shared.begin(("a",), rendering)
    assert shared.find(("a",), 1000.0) is rendering, "as long as it is in the making"
    assert shared.find(("b",), 1000.0) is None
    shared.complete(rendering, 1000.0)
    assert list(shared.due()) == [1000.0 + SHARED_SECONDS]
    assert shared.find(("a",), 1000.0 + SHARED_SECONDS / 2) is rendering
    assert shared.find(("a",), 1000.0 + SHARED_SECONDS) is None
    assert list(shared.due()) == []


@pytest.mark.parametrize(
    ("spent_seconds", "good_seconds"),
    [
        (0.0, SHARED_SECONDS),
        (SHARED_SECONDS * SHARE / 2, SHARED_SECONDS),
        (0.003, 0.003 / SHARE),
        (9.0, MOST_SHARED_SECONDS),
    ],
)
def test_what_costs_more_to_make_is_good_for_longer(spent_seconds: float, good_seconds: float) -> None:
    shared, rendering = Shared(), Rendering(QUERY, Endpoint("/stats", "stats", echo))
    shared.begin(("a",), rendering)
    rendering.spent_seconds = spent_seconds
    shared.complete(rendering, 1000.0)
    assert list(shared.due()) == [1000.0 + good_seconds]
    shared.clear()
    assert shared.find(("a",), 1000.0) is None


def test_what_was_computed_for_it_is_known() -> None:
    def computing(query: Query) -> Answer:
        end = time.thread_time() + 0.002
        while time.thread_time() < end:
            pass
        return echo(query)

    rendering = Rendering(QUERY, Endpoint("/stats", "stats", computing))
    assert rendering.work(1.0)
    assert rendering.spent_seconds >= 0.002


def test_what_is_not_made_is_not_shared_and_neither_are_probes() -> None:
    shared = Shared()
    rendering = Rendering(QUERY, Endpoint("/stats", "stats", echo))
    shared.begin(("a",), rendering)
    shared.drop(rendering)
    assert shared.find(("a",), 0.0) is None
    shared.begin(("b",), Rendering(QUERY, Endpoint("/ready", "probes", echo)))
    shared.begin(("c",), Rendering(QUERY, Endpoint("/control/drain", "control", echo)))
    assert shared.find(("b",), 0.0) is None
    assert shared.find(("c",), 0.0) is None
