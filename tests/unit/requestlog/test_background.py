"""Items that are consumed by a thread of their own."""

import gc
import threading
import weakref
from functools import partial

import pytest

from tests.support.waiting import wait_until
from waitressd.requestlog import background
from waitressd.requestlog.background import BackgroundQueue


class Taken:
    """A consumer that keeps what it gets, and can be held up."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.leave = threading.Event()
        if not held:
            self.leave.set()

    def __call__(self, batch: list[int]) -> None:
        """Take a batch."""
        self.entered.set()
        assert self.leave.wait(20)
        self.batches.append(batch.copy())

    @property
    def items(self) -> list[int]:
        """Everything so far."""
        return [item for batch in self.batches for item in batch]


@pytest.mark.parametrize("gather_seconds", [0.0, 0.001])
def test_items_are_consumed_in_order_until_the_close(gather_seconds: float) -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 1000, gather_seconds=gather_seconds)
    queue.start()
    for number in range(100):
        queue.put(number)
    assert queue.close()
    assert queue.close()
    assert taken.items == list(range(100))


def test_each_item_is_consumed_alone_if_it_is_not_gathered_for() -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 1000)
    for number in range(3):
        queue.put(number)
    queue.start()
    queue.close()
    assert taken.batches == [[0], [1], [2]]


def test_what_has_gathered_is_consumed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "BATCH_ITEMS", 4)
    taken = Taken()
    queue = BackgroundQueue("test", taken, 1000, gather_seconds=60.0)
    for number in range(6):
        queue.put(number)
    queue.start()
    assert wait_until(lambda: taken.batches)  # a whole batch waits for nothing more
    queue.close()  # and the end for none
    assert taken.batches == [[0, 1, 2, 3], [4, 5]]


def test_a_thread_that_sleeps_is_woken_by_each_first_item() -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 1000, gather_seconds=0.001)
    queue.start()
    for number in range(50):
        queue.put(number)
        assert wait_until(partial(lambda count: len(taken.items) == count, number + 1))
    queue.close()


def test_no_item_of_many_threads_is_lost() -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 10_000, gather_seconds=0.001)
    queue.start()

    def work(first: int) -> None:
        for number in range(first, first + 500):
            queue.put(number)

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()
    assert sorted(taken.items) == sorted(1000 * number + each for number in range(8) for each in range(500))


def test_a_consumer_that_raises_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    done: list[float] = []
    queue = BackgroundQueue[int]("test", lambda batch: done.append(1 / batch[0]), 10)
    queue.start()
    queue.put(0)
    queue.put(1)
    queue.close()
    assert done == [1.0]
    assert "The request log test failed" in caplog.text


def test_only_what_the_consumer_left_in_its_batch_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    def consume(batch: list[int]) -> None:
        del batch[:2]
        raise ValueError(batch)

    queue = BackgroundQueue("test", consume, 10, gather_seconds=0.001)
    queue._lost.add("before")
    for number in range(5):
        queue.put(number)
    queue.start()
    queue.close()
    assert caplog.messages[-1] == "The request log test failed for 3 more records before the end"


def test_nothing_that_was_consumed_is_kept() -> None:
    class Thing:
        """Something that can be looked after."""

    queue = BackgroundQueue[Thing]("test", lambda _: None, 10)
    thing = Thing()
    gone = threading.Event()
    weakref.finalize(thing, gone.set)
    queue.start()
    queue.put(thing)
    del thing
    collected = wait_until(lambda: [gc.collect()] and gone.is_set())  # PyPy frees what nobody has only then
    queue.close()
    assert collected


def test_what_does_not_fit_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 3)
    for number in range(5):
        queue.put(number)
    assert "test failed for 1 records: it is too slow, so that they were dropped" in caplog.text
    queue.start()
    queue.close()
    assert taken.items == [0, 1, 2]
    assert "test failed for 1 more records before the end" in caplog.text


def test_what_is_consumed_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 100, lambda item: item)
    queue.start()
    for number in (60, 50, 40, 60):
        queue.put(number)  # the first two are as large as the limit, if they wait together
        assert wait_until(lambda: queue._room == 100)
    queue.close()
    assert taken.items == [60, 50, 40, 60]
    assert caplog.records == []


def test_the_limit_is_in_what_the_items_measure(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 100, lambda item: item)
    for number in (60, 50, 1):
        queue.put(number)
    assert "they were dropped" in caplog.text
    queue.start()
    queue.close()
    assert taken.items == [60, 50]


def test_a_close_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What it leaves behind is counted, with the item that the consumer has and does not come back with."""
    monkeypatch.setattr(background, "CLOSE_SECONDS", 0.05)
    taken = Taken(held=True)
    queue = BackgroundQueue("test", taken, 10)
    queue.start()
    thread = queue._thread
    for number in range(3):
        queue.put(number)
    assert taken.entered.wait(20)
    assert not queue.close()
    assert not queue.close()
    assert "test failed for 3 records: it did not take them before the end" in caplog.text
    taken.leave.set()
    assert thread is not None
    thread.join(20)
    assert queue.close()


def test_a_queue_can_be_closed_before_its_start_and_started_again() -> None:
    taken = Taken()
    queue = BackgroundQueue("test", taken, 10)
    assert queue.close()
    for number in range(2):
        queue.start()
        queue.put(number)
        assert queue.close()
    assert taken.items == [0, 1]
