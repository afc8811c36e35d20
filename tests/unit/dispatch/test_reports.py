"""What the operator reads about queues, threads and stacks."""

import logging
import threading
import time

import pytest

from tests.support.loop import GET, Loop
from waitressd.dispatch.reports import DispatcherLogs, describe, is_busy, log_stack
from waitressd.dispatch.role import Assignment, Worker
from waitressd.net.recorder import Fault


def test_a_worker_is_busy_inline_and_aside() -> None:
    worker = Worker("one")
    assert not is_busy(worker)
    worker.claim.append(lambda: None)
    assert is_busy(worker)
    worker.claim.clear()
    worker.assignment = Assignment.RUN
    assert is_busy(worker)
    worker.assignment = Assignment.LEAD
    assert not is_busy(worker)


def test_a_worker_is_described_by_its_request() -> None:
    worker = Worker("one")
    assert describe(worker) == "a request that has just ended"
    with Loop() as loop, loop.connect() as client:
        worker.job = exchange = loop.exchanges[0]
        assert describe(worker) == "a request that has just ended"
        with loop.busy():
            loop.request(client, b"GET /" + b"x" * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert describe(worker) == "GET /" + "x" * 119
            loop.role.queue.clear()
        exchange.begin()
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_the_queue_line_names_depth_wait_and_threads(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.busy(), loop.connect() as client:
        loop.request(client, GET)
        worker = Worker("one")
        worker.claim.append(lambda: None)
        worker.started = time.monotonic() - 7
        worker.job = loop.exchanges[0]
        caplog.clear()
        logs = DispatcherLogs()
        runs = f"GET / (1-{loop.exchanges[0].line.number}-1, 7.0 s)"
        logs.workers = [worker, Worker("idle")]
        logs.queued(lambda: (1, 3.0))
        logs.queued(lambda: (1, 4.0))  # left out
        logs.refused(1)
        logs.refused(1)
        assert caplog.messages == [
            f"1 request waits for a thread, the oldest for 3.0 s; the threads run: {runs}",
            f"a request was answered 503: no thread is free and 1 request waits; the threads run: {runs}",
        ]
        assert {record.name for record in caplog.records} == {"waitressd.queue"}


def test_a_task_that_has_begun_since_the_clock_was_read_runs_for_no_time() -> None:
    worker = Worker("one")
    worker.claim.append(lambda: None)
    worker.started = 5.01
    logs = DispatcherLogs(clock=lambda: 5.0)
    logs.workers = [worker]
    assert logs.describe_workers() == "a request that has just ended (-, 0.0 s)"


def test_a_queue_that_a_thread_has_emptied_meanwhile_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    DispatcherLogs().queued(lambda: (0, 0.0))
    assert caplog.messages == []


def test_nothing_was_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    logs = DispatcherLogs()
    logs.cut_off(0)
    logs.cut_off(1)
    logs.cut_off(3)
    assert caplog.messages == [
        "the stop closed 1 connection whose request or answer was not complete",
        "the stop closed 3 connections whose requests or answers were not complete",
    ]


def test_threads_that_do_nothing() -> None:
    assert DispatcherLogs().describe_workers() == "nothing"


def test_a_stack_says_where_a_thread_is(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker("one")
    go_on, is_there = threading.Event(), threading.Event()

    def a_function_that_hangs() -> None:
        worker.thread_id = threading.get_ident()
        is_there.set()
        go_on.wait(10)

    thread = threading.Thread(target=a_function_that_hangs)
    thread.start()
    assert is_there.wait(5)
    log_stack(worker, "%s hangs", "it")
    go_on.set()
    thread.join()
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.messages[0].startswith("it hangs\n")
    assert "a_function_that_hangs" in caplog.messages[0]
    worker.thread_id = -1
    log_stack(worker, "gone")
    assert caplog.messages[1] == "gone\n(the thread has ended)"
