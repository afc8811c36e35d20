"""Who says something to the operator never waits for a log."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.waiting import wait_until
from waitressd.dispatch import reports
from waitressd.net import logs
from waitressd.operatorlog import OperatorLog, counted, operator_log

LOGGER = logging.getLogger("tests.operator")


class Gate(logging.Handler):
    """A handler that hangs until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.entered = threading.Event(), threading.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record, once the gate is open."""
        self.entered.set()
        self.open.wait(20)
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        """What came through."""
        return [record.getMessage() for record in self.records]


@pytest.fixture
def gate() -> Iterator[Gate]:
    handler = Gate()
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    yield handler
    handler.open.set()
    LOGGER.removeHandler(handler)
    LOGGER.propagate = True


def test_without_a_server_a_line_is_written_at_once(gate: Gate) -> None:
    gate.open.set()
    OperatorLog().say(LOGGER, logging.WARNING, "%d of %s", 3, "us")
    assert gate.messages == ["3 of us"]


def test_a_handler_that_hangs_delays_nobody_and_gets_the_lines_in_order(gate: Gate) -> None:
    log = OperatorLog()
    with log.running():
        for number in range(5):
            log.say(LOGGER, logging.WARNING, "%d", number)
        assert gate.entered.wait(10)
        assert not log.flush(0.01)
        gate.open.set()
        assert log.flush(10)
        assert gate.messages == ["0", "1", "2", "3", "4"]


def test_what_is_said_when_the_server_has_stopped_waits_behind_what_hangs(gate: Gate) -> None:
    log = OperatorLog()
    with log.running():
        log.say(LOGGER, logging.WARNING, "one")
        assert gate.entered.wait(10)
    log.say(LOGGER, logging.WARNING, "two")
    assert gate.messages == []
    gate.open.set()
    assert wait_until(lambda: gate.messages == ["one", "two"])
    assert wait_until(lambda: "waitressd-log" not in {thread.name for thread in threading.enumerate()})
    log.say(LOGGER, logging.WARNING, "three")
    assert gate.messages == ["one", "two", "three"]


def test_lines_that_do_not_fit_are_counted(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    log = OperatorLog(pending_lines=10)
    with log.running():
        log.say(LOGGER, logging.WARNING, "first")
        assert gate.entered.wait(10)
        for _ in range(25):
            log.say(LOGGER, logging.WARNING, "more")
        gate.open.set()
        assert log.flush(10)
    assert gate.messages == ["first", *["more"] * 10]
    said = [record.getMessage() for record in caplog.records if record.name == "waitressd"]
    assert said == ["15 lines left out before this one: the log took them too slowly"]


def test_a_record_is_of_the_moment_and_the_place_where_it_was_said(gate: Gate) -> None:
    log = OperatorLog()
    with log.running():
        log.say(LOGGER, logging.WARNING, "first")
        assert gate.entered.wait(10)
        before = time.time()
        try:
            raise ZeroDivisionError("here")
        except ZeroDivisionError:
            log.say(LOGGER, logging.ERROR, "second", error=True)
        after = time.time()
        gate.open.set()
        assert log.flush(10)
    record = gate.records[1]
    assert before <= record.created <= after
    assert 0 <= record.msecs < 1000
    assert (record.threadName, record.thread) == (threading.current_thread().name, threading.get_ident())
    assert record.funcName == "test_a_record_is_of_the_moment_and_the_place_where_it_was_said"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "here"


def test_an_exception_may_be_given_and_a_level_may_be_off(gate: Gate) -> None:
    gate.open.set()
    log = OperatorLog()
    log.say(LOGGER, logging.ERROR, "failed", error=OSError("full"))
    log.say(LOGGER, logging.DEBUG, "nobody wants it")
    (record,) = gate.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)


def test_a_handler_that_fails_costs_its_line_alone() -> None:
    class Failing(logging.Handler):
        def handle(self, _record: logging.LogRecord) -> bool:
            raise ZeroDivisionError

    handler = Failing()
    LOGGER.addHandler(handler)
    try:
        OperatorLog().say(LOGGER, logging.WARNING, "lost")
    finally:
        LOGGER.removeHandler(handler)


def test_a_server_that_finds_no_thread_writes_its_lines_itself(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    gate.open.set()
    log = OperatorLog()
    with log.running():
        log.say(LOGGER, logging.WARNING, "said")
        assert gate.messages == ["said"]


def test_numbers_have_their_nouns() -> None:
    assert [counted(number, "line") for number in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]


def test_there_is_one_for_the_process() -> None:
    assert isinstance(operator_log, OperatorLog)


def test_a_line_names_the_module_that_had_something_to_say(caplog: pytest.LogCaptureFixture) -> None:
    """Not one of those that only pass lines on."""
    with caplog.at_level(logging.WARNING, "waitressd"):
        logs.say(logging.WARNING, "passed on by net")
        reports.DispatcherLogs().cut_off(1)
    assert [record.module for record in caplog.records] == ["test_operatorlog"] * 2


def test_text_for_standard_error_keeps_its_place_among_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log = OperatorLog()
    handler = logging.StreamHandler(sys.stderr)
    LOGGER.addHandler(handler)
    try:
        with log.running():
            log.say(LOGGER, logging.WARNING, "first")
            log.write("as it\nis, ")
            log.say(LOGGER, logging.WARNING, "last")
            assert log.flush(10)
    finally:
        LOGGER.removeHandler(handler)
    assert capsys.readouterr().err == "first\nas it\nis, last\n"


def test_text_for_nobody_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    OperatorLog().write("text")


@pytest.mark.parametrize("has_thread", [False, True])
def test_lines_wait_for_logging_to_be_set_up(gate: Gate, *, has_thread: bool) -> None:
    gate.open.set()
    log = OperatorLog()
    LOGGER.setLevel(logging.CRITICAL)
    with log.running() if has_thread else contextlib.nullcontext():
        with log.held():
            log.say(LOGGER, logging.INFO, "one")
            log.say(LOGGER, logging.INFO, "two")
            assert not log.flush(0.01)
            LOGGER.setLevel(logging.INFO)
        log.say(LOGGER, logging.INFO, "three")
        assert log.flush()
    LOGGER.setLevel(logging.NOTSET)
    assert gate.messages == ["one", "two", "three"]
