"""A queue in front of a hook that blocks."""

import threading

import pytest

from tests.support.records import Records
from tests.support.samples import answered
from waitressd.requestlog import RequestRecord, current_request
from waitressd.requestlog.queued import QueuedHook


class Opening(Records):
    """A hook that wants to be started."""

    server: object = None

    def start(self, server: object) -> None:
        """Remember the server."""
        self.server = server


def test_records_come_in_another_thread_and_all_before_the_close() -> None:
    hook = Opening()
    queued = QueuedHook("slow", hook, 100)
    queued.start("the server")
    for _ in range(50):
        queued(answered())
    queued.reopen()
    queued.close()
    assert hook.server == "the server"
    assert (len(hook.all), hook.reopened, hook.closed) == (50, 1, 1)
    assert set(hook.threads) == {"request-log-slow"}


def test_a_hook_may_be_just_a_function() -> None:
    found: list[object] = []
    queued = QueuedHook("slow", lambda _: found.append(current_request()), 100)
    queued.start(None)
    queued.reopen()
    record = answered()
    queued(record)
    queued.close()
    assert found == [record]


def test_what_does_not_fit_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    leave, entered = threading.Event(), threading.Event()

    def slow(_record: RequestRecord) -> None:
        entered.set()
        leave.wait(10)

    queued = QueuedHook("slow", slow, 2)
    queued.start(None)
    queued(answered())
    assert entered.wait(10)
    for _ in range(5):
        queued(answered())
    leave.set()
    queued.close()
    assert "slow failed for 1 records: it is too slow, so that they were dropped" in caplog.text


def test_a_hook_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_record: RequestRecord) -> None:
        raise ZeroDivisionError

    queued = QueuedHook("broken", broken, 2)
    queued.start(None)
    queued(answered())
    queued.close()
    assert "The request log broken failed" in caplog.text
