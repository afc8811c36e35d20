"""Log files are opened anew, and no line is lost."""

import logging
import logging.handlers
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from waitressd.logfiles import Reopener, reopen_log_files, unshared_handlers


def test_a_rotated_file_is_let_go_and_no_line_is_lost(log_file: Path) -> None:
    logger = logging.getLogger("tests.reopened")
    logger.warning("one")
    log_file.rename(log_file.with_suffix(".1"))
    logger.warning("two")
    reopen_log_files()
    logger.warning("three")
    assert log_file.with_suffix(".1").read_text() == "one\ntwo\n"
    assert log_file.read_text() == "three\n"


def test_a_file_that_cannot_be_opened_again_is_said(log_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    log_file.unlink()
    log_file.mkdir()
    reopen_log_files()
    assert f"cannot reopen the log file {log_file}" in caplog.messages
    log_file.rmdir()
    reopen_log_files()
    logging.getLogger("tests.reopened").warning("back")
    assert log_file.read_text() == "back\n"


def test_a_file_that_cannot_be_opened_now_is_opened_later(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    handler = logging.FileHandler(folder / "a.log")
    log = logging.getLogger("tests.reopened")
    log.addHandler(handler)
    try:
        log.error("one")
        folder.rename(tmp_path / "old")
        reopen_log_files()
        folder.mkdir()
        log.error("two")
        assert (folder / "a.log").read_text() == "two\n"
    finally:
        log.removeHandler(handler)
        handler.close()


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda path: logging.FileHandler(path), None),
        (lambda path: logging.FileHandler(path, "w"), "FileHandler empties {} when it opens it"),
        (lambda path: logging.handlers.WatchedFileHandler(path), None),
        (lambda path: logging.handlers.RotatingFileHandler(path), None),
        (lambda path: logging.handlers.RotatingFileHandler(path, maxBytes=9), "RotatingFileHandler rotates {}"),
        (lambda path: logging.handlers.TimedRotatingFileHandler(path), "TimedRotatingFileHandler rotates {}"),
        (lambda _path: logging.FileHandler("/dev/null", "w"), None),
        (lambda _path: logging.StreamHandler(), None),
    ],
    ids=["appending", "mode w", "watched", "without a size", "by size", "by time", "a device", "no file"],
)
def test_handlers_that_share_their_file_with_nobody(
    handler: Callable[[Path], logging.Handler], words: str | None, tmp_path: Path
) -> None:
    path, before = tmp_path / "a.log", unshared_handlers()
    made = handler(path)
    logging.getLogger("tests.unshared").addHandler(made)
    try:
        found = [each for each in unshared_handlers() if each not in before]
        assert found == ([] if words is None else [words.format(path)])
    finally:
        logging.getLogger("tests.unshared").removeHandler(made)
        made.close()


def test_a_file_that_nobody_has_written_to_is_not_made(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "late.log", delay=True)
    logging.getLogger("tests.reopened").addHandler(handler)
    try:
        reopen_log_files()
        assert not (tmp_path / "late.log").exists()
    finally:
        logging.getLogger("tests.reopened").removeHandler(handler)
        handler.close()


def test_files_are_opened_by_another_thread_at_the_next_tick() -> None:
    threads: list[str] = []
    reopener = Reopener(lambda: threads.append(threading.current_thread().name))
    reopener.on_tick()
    reopener.ask()
    reopener.ask()
    assert threads == []
    reopener.on_tick()
    reopener.join()
    reopener.on_tick()
    reopener.join()
    assert threads == ["waitressd-reopen"]


def test_what_was_asked_for_meanwhile_is_done_afterwards() -> None:
    calls: list[int] = []
    gate = threading.Event()

    def reopen() -> None:
        calls.append(1)
        gate.wait(10)

    reopener = Reopener(reopen)
    reopener.ask()
    reopener.on_tick()
    assert wait_until(lambda: calls == [1])
    reopener.ask()
    reopener.on_tick()
    assert calls == [1]
    gate.set()
    reopener.join()
    reopener.on_tick()
    reopener.join()
    assert calls == [1, 1]


def test_a_failure_is_said(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    reopener = Reopener(fail)
    reopener.ask()
    reopener.on_tick()
    reopener.join()
    assert "log files could not be opened anew" in caplog.messages


@pytest.mark.parametrize("mode", ["w", "x", "w+"])
def test_a_file_that_was_not_rotated_keeps_its_lines_whatever_its_mode(tmp_path: Path, mode: str) -> None:
    handler = logging.FileHandler(tmp_path / "a.log", mode)
    log = logging.getLogger("tests.reopened")
    log.addHandler(handler)
    try:
        log.error("one")
        reopen_log_files()
        log.error("two")
        assert (tmp_path / "a.log").read_text() == "one\ntwo\n"
        assert handler.mode == mode
    finally:
        log.removeHandler(handler)
        handler.close()
