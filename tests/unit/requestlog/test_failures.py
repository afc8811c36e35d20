"""Failures of a log: all of the first, then a line a minute."""

import logging

import pytest

from waitressd.requestlog.failures import INTERVAL_SECONDS, Failures


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_has_a_traceback_and_the_others_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    failures = Failures("access", clock)
    for _ in range(5):
        failures.add(ValueError("first"))
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None
    assert "access failed" in caplog.text
    clock.now = INTERVAL_SECONDS - 0.1
    failures.add(ValueError("still"), 3)
    assert len(caplog.records) == 1
    clock.now = INTERVAL_SECONDS
    failures.add(ValueError("last"))
    assert caplog.records[1].getMessage() == "The request log access failed for 8 records: ValueError: last"
    assert caplog.records[1].exc_info is None
    assert all(line.name == "waitressd.request_log" and line.levelno == logging.ERROR for line in caplog.records)


def test_a_sentence_instead_of_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    Failures("access", Clock()).add("it is full", 2)
    assert caplog.messages == ["The request log access failed for 2 records: it is full"]


def test_what_was_only_counted_is_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures("access", Clock())
    failures.tell_rest()
    failures.add("it is full", 2)
    failures.add("it is full", 3)
    failures.add("it is full")
    failures.tell_rest()
    failures.tell_rest()
    assert caplog.messages == [
        "The request log access failed for 2 records: it is full",
        "The request log access failed for 4 more records before the end",
    ]


class WordlessError(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("no text")


def test_what_cannot_be_told_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("on purpose")

    clock = Clock()
    failures = Failures("access", clock)
    log = logging.getLogger("waitressd.request_log")
    broken = Broken()
    log.addHandler(broken)
    try:
        failures.add(WordlessError())
        clock.now = INTERVAL_SECONDS
        failures.add(WordlessError())
    finally:
        log.removeHandler(broken)
    clock.now = 2 * INTERVAL_SECONDS
    failures.add(WordlessError())
    assert caplog.records[-1].getMessage().endswith("failed for 1 records: WordlessError")
    failures.add("one more")
    log.addHandler(broken)
    try:
        failures.tell_rest()
    finally:
        log.removeHandler(broken)
