"""Small jobs in a thread of their own."""

import threading

import pytest

from waitressd.requestlog import courier
from waitressd.requestlog.courier import Courier


def test_jobs_are_done_in_order_until_the_close() -> None:
    done: list[int] = []
    one = Courier("test")
    one.start()
    for number in range(100):
        one.send(lambda number=number: done.append(number))  # type: ignore[misc] # the default binds it now
    one.close()
    one.close()
    assert done == list(range(100))


def test_a_job_that_raises_ends_nothing() -> None:
    done: list[int] = []
    one = Courier("test")
    one.start()
    one.send(lambda: 1 // 0)
    one.send(lambda: done.append(1))
    one.close()
    assert done == [1]


def test_what_does_not_fit_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    one = Courier("test", 3)
    for _ in range(5):
        one.send(lambda: done.append(1))
    assert "test failed for 1 records: it is too slow, so that they were dropped" in caplog.text
    one.start()
    one.close()
    assert done == [1, 1, 1]


def test_a_close_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(courier, "CLOSE_SECONDS", 0.05)
    leave = threading.Event()
    one = Courier("test")
    one.start()
    thread = one._thread
    one.send(leave.wait)
    one.send(leave.wait)
    one.close()
    assert "it did not take them before the end" in caplog.text
    leave.set()
    assert thread is not None
    thread.join(10)
