"""One hook behind its wall: in which thread it is called, and what its failures do."""

import threading

import pytest

from tests.support.records import Records
from tests.support.samples import answered
from waitressd.requestlog import RequestRecord, current_request
from waitressd.requestlog.hook import IsolatedHook


class Opening(Records):
    """A hook that wants to be started."""

    server: object = None

    def start(self, server: object) -> None:
        """Remember the server."""
        self.server = server


def broken(_record: RequestRecord) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("queue", [0, 100])
def test_all_records_come_before_the_close(queue: int) -> None:
    hook = Opening()
    log = IsolatedHook("slow", hook, queue)
    log.start("the server")
    for _ in range(50):
        log.take(answered())
    log.reopen()
    log.close()
    assert hook.server == "the server"
    assert (len(hook.all), hook.reopened, hook.closed) == (50, 1, 1)


def test_a_record_comes_at_once_in_the_thread_of_its_task() -> None:
    hook = Records()
    log = IsolatedHook("quick", hook)
    log.take(answered())
    assert hook.threads == [threading.current_thread().name]


def test_with_a_queue_it_comes_in_another_thread() -> None:
    hook = Records()
    log = IsolatedHook("slow", hook, 100)
    log.start(None)
    log.take(answered())
    log.take_soon(answered())
    log.close()
    assert hook.threads == ["request-log-slow"] * 2


def test_a_record_that_must_not_wait_comes_in_another_thread() -> None:
    hook = Records()
    log = IsolatedHook("late", hook)
    log.start(None)
    log.take_soon(answered())
    log.close()
    assert hook.threads == ["request-log-late"]


def test_a_hook_may_be_just_a_function_and_knows_its_request() -> None:
    found: list[object] = []
    log = IsolatedHook("slow", lambda _: found.append(current_request()), 100)
    log.start(None)
    log.reopen()
    records = [answered(), answered()]
    for record in records:
        log.take(record)
    log.close()
    assert found == records


def test_what_does_not_fit_into_its_queue_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    leave, entered = threading.Event(), threading.Event()

    def slow(_record: RequestRecord) -> None:
        entered.set()
        leave.wait(10)

    log = IsolatedHook("slow", slow, 2)
    log.start(None)
    log.take(answered())
    assert entered.wait(10)
    for _ in range(5):
        log.take(answered())
    leave.set()
    log.close()
    assert "slow failed for 1 records: it is too slow, so that they were dropped" in caplog.text
    assert "slow failed for 2 more records before the end" in caplog.text
    assert log.lost_count == 3


@pytest.mark.parametrize("queue", [0, 2])
def test_a_hook_that_fails_is_told_and_called_again(queue: int, caplog: pytest.LogCaptureFixture) -> None:
    log = IsolatedHook("broken", broken, queue)
    log.start(None)
    log.take(answered())
    log.take(answered())
    log.close()
    assert [line.getMessage().split(";")[0] for line in caplog.records] == [
        "The request log broken failed",
        "The request log broken failed for 1 more records before the end",
    ]


def test_a_late_record_on_which_a_hook_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = IsolatedHook("broken", broken)
    log.start(None)
    log.take_soon(answered())
    log.close()
    assert "The request log broken failed" in caplog.text
