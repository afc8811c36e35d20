"""A finding is said once when it appears and once when it is over, and not at all where another line says it."""

import logging

import pytest

from waitressd.insight.announcer import NEVER_SAID, PAUSE_SECONDS, SAID_AT_ONCE, Announcer
from waitressd.insight.findings import TITLES, Finding

STUCK = Finding("WD01", "bad", "The event loop has not turned for 2.0 s: nobody is accepted or read.")
GREEDY = Finding("WD06", "warn", "One client, 10.0.4.17, holds 4 of 8 threads.", ("1-1-1", "1-2-1"))


class Log:
    """An announcer with its lines, and a clock."""

    def __init__(self, task_log_timeout: float = 10.0) -> None:
        self.now = 100.0
        self.lines: list[tuple[int, str]] = []
        self._announcer = Announcer(self._say, task_log_timeout)

    def _say(self, level: int, message: str, *values: object) -> None:
        self.lines.append((level, message % values))

    def tell(self, *findings: Finding, after: float = 1.0) -> list[str]:
        self.now += after
        self.lines.clear()
        self._announcer.tell(findings, self.now)
        return [line for _, line in self.lines]


def test_it_is_said_once_when_it_appears_and_once_when_it_is_over() -> None:
    log = Log()
    assert log.tell() == []
    assert log.tell(STUCK) == [f"WD01: {STUCK.text}"]
    assert log.lines[0][0] == logging.WARNING
    assert log.tell(STUCK) == []
    assert log.tell(STUCK, after=3) == []
    assert log.tell() == ["WD01 is over after 5.0 s: the event loop is stuck"]
    assert log.lines[0][0] == logging.INFO
    assert log.tell() == []


def test_the_requests_are_named() -> None:
    assert Log().tell(GREEDY) == [f"WD06: {GREEDY.text} (1-1-1, 1-2-1)"]


def test_what_comes_and_goes_is_said_once_in_a_while_with_its_end() -> None:
    log = Log()
    assert log.tell(STUCK)
    assert log.tell()
    for _ in range(int(PAUSE_SECONDS / 2) - 2):
        assert log.tell(STUCK) == []
        assert log.tell() == []
    assert log.tell(STUCK, after=PAUSE_SECONDS)
    assert log.tell()


def test_two_of_one_code_are_one() -> None:
    log = Log()
    other = Finding("WD01", "bad", "Another one.")
    assert log.tell(STUCK, other) == [f"WD01: {STUCK.text}"]
    assert log.tell(other) == []


@pytest.mark.parametrize("code", SAID_AT_ONCE)
def test_of_what_other_lines_say_only_the_end_is_said(code: str) -> None:
    log = Log()
    assert log.tell(Finding(code, "bad", "A sentence.")) == []
    assert log.tell() == [f"{code} is over after 1.0 s: {TITLES[code]}"]


@pytest.mark.parametrize("code", NEVER_SAID)
def test_a_stop_is_not_said_again(code: str) -> None:
    log = Log()
    assert log.tell(Finding(code, "warn", "A sentence.")) == []
    assert log.tell() == []


def test_slow_tasks_at_one_place_are_said_where_their_stacks_are_not() -> None:
    slow = Finding("WD04", "warn", "A sentence.")
    silent = Log(task_log_timeout=10.0)
    assert silent.tell(slow) == []
    assert silent.tell() == []  # it was over before there was a stack
    assert silent.tell(slow, after=20) == []
    assert silent.tell(after=10) == [f"WD04 is over after 10 s: {TITLES['WD04']}"]
    assert Log(task_log_timeout=0.0).tell(slow) == ["WD04: A sentence."]
