"""How fast the role moves, how quiet the watcher is, and what it says of tasks that hang."""

import random
import sys
import threading
import time

import pytest

from tests.support.heldwire import HeldWire
from tests.support.loop import GET
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.dispatch import watcher as module
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.lane import Lane
from waitressd.dispatch.role import Assignment, Worker
from waitressd.dispatch.watcher import LONGEST_TICK_SECONDS, SHORTEST_TICK_SECONDS, Tick, Watcher
from waitressd.net.bursts import BURST_BLOCKS, BUSY_BLOCKS, Burst
from waitressd.net.poller import build_poller


def test_the_role_leaves_a_task_that_blocks_within_a_few_looks() -> None:
    delays = []
    with Service(2).run() as service, service.connect() as other:
        assert other.request(GET).status == 200
        for _ in range(5):
            with service.connect() as client:
                client.send(b"GET /sleep/0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
                begun = time.monotonic()
                assert other.request(GET).status == 200
                delays.append(time.monotonic() - begun)
                assert client.receive().status == 200
    # Two looks are ten milliseconds at most; the rest is a machine that is busy with other tests.
    assert min(delays) < 0.1
    assert max(delays) < 0.29


def _looks(tasks_per_second: int, seconds: int = 60) -> tuple[float, float]:
    """How long others wait for each task that blocks, in the mean, and how many looks a second there are.

    Counted, not waited for: tasks that block for long begin at chance, and the second look at one takes its role.
    """
    chance = random.Random(1)
    tick, now, begun, seen, looks = Tick(), 0.0, 0.0, False, 0
    delays: list[float] = []
    while now < seconds:
        now += tick.seconds
        looks += 1
        was_taken = seen and begun <= now
        if was_taken:
            delays.append(now - begun)
            begun = now + chance.expovariate(tasks_per_second)
        seen = begun <= now and not was_taken
        tick.note(was_taken=was_taken)
    return sum(delays) / len(delays), looks / seconds


@pytest.mark.parametrize(("tasks", "longest_delay"), [(1, 0.008), (5, 0.007), (20, 0.004), (200, 0.0012)])
def test_the_more_tasks_block_the_sooner_each_is_seen(tasks: int, longest_delay: float) -> None:
    delay, looks = _looks(tasks)
    assert delay < longest_delay
    assert looks < 250 + 30 * tasks


def test_a_tick_stays_within_its_bounds_and_grows_back() -> None:
    tick = Tick()
    for _ in range(100):
        tick.note(was_taken=True)
    assert tick.seconds == SHORTEST_TICK_SECONDS
    seconds = 0.0
    while tick.seconds < LONGEST_TICK_SECONDS:
        tick.note(was_taken=False)
        seconds += tick.seconds
    assert seconds < 0.5  # until it is as rare as before
    tick.note(was_taken=False)
    assert tick.seconds == LONGEST_TICK_SECONDS


def test_hung_requests_are_named_with_their_stacks_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLEEP_SECONDS", 0.05)
    with Service(2, task_log_timeout=0.1).run() as service, service.all_hung(2):
        assert wait_until(lambda: sum("has been running" in message for message in caplog.messages) == 2)
        time.sleep(0.3)
        found = [message for message in caplog.messages if "has been running" in message]
        assert len(found) == 2
        for message in found:
            assert message.startswith("GET /hang of 127.0.0.1:")
            assert "self.gate.wait" in message
        assert len(service.lane.busy_workers()) == 2
        caplog.clear()
        service.lane.log_stacks("cut off by the stop")
        assert len(caplog.messages) == 2
        assert caplog.messages[0].startswith("cut off by the stop: GET /hang of 127.0.0.1:")


def test_an_idle_watcher_sleeps_without_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 6, and the promise that idling costs nothing."""
    with Service(2).run() as service, service.connect() as client:
        assert client.request(GET).status == 200
        assert wait_until(lambda: service.dispatcher.wake_watcher is not None)
        before = len(service.ticks)
        time.sleep(1.5)
        assert len(service.ticks) - before <= 3
        # And it is woken by the next task that blocks, not by the end of its sleep.
        with service.connect() as other:
            client.send(b"GET /sleep/0.4 HTTP/1.1\r\nHost: x\r\n\r\n")
            begun = time.monotonic()
            assert other.request(GET).status == 200
            assert time.monotonic() - begun < 0.35
        assert client.receive().status == 200


def test_the_watcher_looks_again_soon_after_it_has_asked_to_be_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that began at that moment may have seen no bell, and the watcher no task.

    Not every processor shows the writes of one thread to all others in one order.
    """
    monkeypatch.setattr(module, "SLEEP_SECONDS", 1000.0)
    poller = build_poller()
    lane = Lane(poller, Bounds(threads=1))
    dispatcher, watcher = lane.dispatcher, Watcher([lane])
    worker = Worker("one")

    def wants_a_ring() -> bool:
        return dispatcher.wake_watcher is not None

    assert dispatcher.role.enter(worker) is Assignment.LEAD
    assert not watcher._sleep_until_a_task_runs()
    assert wants_a_ring(), "who begins meanwhile has to ring"
    worker.claim.append(lambda: None)  # without a ring
    assert watcher._sleep_until_a_task_runs()
    assert not wants_a_ring()
    worker.claim.pop()
    assert not watcher._sleep_until_a_task_runs()
    watcher.ring()
    assert not wants_a_ring()
    assert watcher._sleep_until_a_task_runs()
    poller.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is held")
def test_the_watcher_pushes_what_busy_streams_hold_and_rests_when_they_are_over() -> None:
    with Service(2).run() as service, service.connect() as client:
        bursts = service.dispatcher.bursts

        def keep_busy() -> bool:
            bursts.fast_blocks += BUSY_BLOCKS
            assert client.request(GET).status == 200  # it keeps the watcher awake, as streams do
            return bursts.is_watched

        wire = HeldWire()
        while not wire.held_ever:
            assert any(keep_busy() for _ in range(2000)), "two looks have seen it"
            burst = Burst(bursts, wire, time.monotonic)  # type: ignore[arg-type]  # a wire that counts
            for _ in range(BURST_BLOCKS + 1):
                burst.send(b"block")
        assert wait_until(wire.is_pushed)
        assert wait_until(lambda: not bursts.is_watched)
        assert wait_until(lambda: service.dispatcher.wake_watcher is not None), "it sleeps without a tick"


def test_a_ring_wakes_the_watcher_and_may_come_twice() -> None:
    with Service(1).run() as service:
        assert wait_until(lambda: service.dispatcher.wake_watcher is not None)
        before = len(service.ticks)
        service.watcher.ring()
        service.watcher.ring()
        assert wait_until(lambda: len(service.ticks) > before)


def test_one_watcher_looks_after_any_number_of_lanes() -> None:
    """It takes each role from a task that blocks, and its work is over when all of them have ended."""
    first, second = Service(1), Service(1)
    watcher = Watcher([first.lane, second.lane])
    watching = threading.Thread(target=watcher.watch, args=(lambda _now: None,))
    first.lane.start()
    second.lane.start()
    watching.start()
    for service in (first, second):
        with service.all_hung(1), service.connect() as other:
            other.send(GET)
            assert wait_until(service.dispatcher.role.queue.__len__)
            service.gate.set()
            assert other.receive().status == 200
    first.dispatcher.abort()
    assert wait_until(lambda: first.dispatcher.finished)
    assert watching.is_alive()
    second.dispatcher.abort()
    watching.join(10)
    assert not watching.is_alive()
    for service in (first, second):
        assert service.lane.end()
        service.listener.close()


def test_the_watcher_wakes_when_something_is_due() -> None:
    with Service(2).run() as service, service.connect() as client:
        assert client.request(GET).status == 200
        assert wait_until(lambda: service.dispatcher.wake_watcher is not None)
        due = time.monotonic() + 0.2
        service.watcher.due = due
        service.watcher.ring()
        assert wait_until(lambda: any(due <= tick for tick in service.ticks))
        late = min(tick for tick in service.ticks if tick >= due) - due
        assert late < module.SLEEP_SECONDS / 2, "it would have slept on"
