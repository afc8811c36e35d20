"""A client cannot fill the log."""

import logging

import pytest

from waitressd.net.logs import RateLimitedLog, logger


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_line_an_interval_and_the_count_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = RateLimitedLog(logger, logging.WARNING, 5.0, clock)
    assert log("%s is slow", "a")
    for second in (0.0, 1.0, 4.99):
        clock.now = second
        assert not log("%s is slow", "b")
    clock.now = 5.0
    assert log("%s is slow", "c")
    clock.now = 10.0
    assert log("%s is slow", "d")
    assert caplog.messages == ["a is slow", "c is slow (3 more like this since the last one)", "d is slow"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_message_without_values_may_hold_percents(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = RateLimitedLog(logger, logging.ERROR, 1.0, clock)
    assert log("begins")
    assert not log("begins")
    clock.now = 1.0
    assert log("begins")
    assert caplog.messages[-1] == "begins (1 more like this since the last one)"


def test_two_kinds_of_lines_do_not_hide_each_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    first, second = (RateLimitedLog(logger, logging.WARNING, 5.0, clock) for _ in range(2))
    assert first("one")
    assert second("two")
    assert caplog.messages == ["one", "two"]


def test_a_line_that_would_be_left_out_need_not_be_composed(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = RateLimitedLog(logger, logging.WARNING, 5.0, clock)
    assert not log.skip()
    assert log("full")
    assert log.skip()
    assert log.skip()
    clock.now = 5.0
    assert not log.skip()
    assert log("full")
    assert caplog.messages[-1] == "full (2 more like this since the last one)"
