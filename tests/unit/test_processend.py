"""What is said of the end of a process, and what ends a program that goes on. The ends themselves are functional."""

import concurrent.futures
import logging
import multiprocessing
import threading
import time

import pytest

from tests.support.scripts import run_script
from waitressd.processend import (
    ProcessEnd,
    end_daemon_children,
    handlers_of_logging,
    say_what_lives,
    what_lives,
)


def test_threads_are_named_unless_they_are_daemons() -> None:
    leave = threading.Event()
    before = what_lives()
    threads = [
        threading.Thread(target=leave.wait, name="stays-a", daemon=False),
        threading.Thread(target=leave.wait, name="goes", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        assert "stays-a" in what_lives()
        assert "goes" not in what_lives()
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    assert what_lives() == before


def test_threads_of_executors_are_waited_for_also_where_they_are_daemons() -> None:
    def submit() -> None:
        executor.submit(int).result()

    with concurrent.futures.ThreadPoolExecutor(1, "pool") as executor:
        thread = threading.Thread(target=submit, daemon=True)
        thread.start()
        thread.join()
        assert "pool_0" in what_lives()
    assert "pool_0" not in what_lives()


def test_children_are_named_and_daemons_among_them_are_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "waitressd")
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=time.sleep, args=(60,), daemon=True)
    child.start()
    try:
        assert f"child process {child.pid}" in what_lives()
        say_what_lives(3.4)
        end_daemon_children()
        child.join(20)
        assert not child.is_alive()
    finally:
        child.kill()
        child.join()
        child.close()
    assert caplog.messages[0].startswith("the end of the process waits for ")
    assert caplog.messages[0].endswith(", 3 s at most")
    multiprocessing.resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # the tests leave no child


def test_an_exit_status_is_that_of_what_ended_the_program() -> None:
    for error, status in ((SystemExit(3), 3), (SystemExit(None), 0), (SystemExit("text"), 1), (ZeroDivisionError(), 1)):
        end = ProcessEnd(lambda: float("inf"), 1.0)
        with pytest.raises(type(error)):
            fail_in_a_thread(end, error)
        assert end.status == status


def fail_in_a_thread(end: ProcessEnd, error: BaseException) -> None:
    """Where it is not the main thread that serves, nothing is bounded, and the status is noted all the same."""
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            with end.bounded():
                raise error
        except BaseException as again:  # border: handed on to the test
            raised.append(again)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    raise raised[0]


def test_the_handlers_of_all_loggers_are_known() -> None:
    handler = logging.NullHandler()
    logger = logging.getLogger("tests.processend")
    logger.addHandler(handler)
    try:
        assert handler in handlers_of_logging()
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize(("has_program", "line"), [(True, "the program goes on"), (False, "")])
def test_a_process_that_has_no_program_is_ended_at_its_deadline(*, has_program: bool, line: str) -> None:
    """A caller who leaves the process itself has nothing to come back to, though its frames are there."""
    program = f"""
import os, time
from waitressd import processend
from waitressd.processend import ProcessEnd
processend.GRACE_SECONDS = 0.2
processend.OWNER_SECONDS = 0.05
drain_end = time.monotonic() + 60.0
end = ProcessEnd(lambda: drain_end, 0.0, has_program={has_program})
with end.bounded():
    end.begin()
end._thread.join()  # it ends the process, or lets the program go on
print("the program goes on")
"""
    assert run_script(program).stdout.strip() == line
