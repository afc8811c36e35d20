"""The threads, for real: how many there are, what goes on while they hang, how fast the role moves, how quiet it is."""

import threading
import time

import pytest

from tests.support.loop import GET
from tests.support.service import Service, leader
from tests.support.waiting import wait_until
from waitressd.dispatch import lane
from waitressd.dispatch.bounds import Bounds
from waitressd.net.progress import Deadlines
from waitressd.net.pulse import Pulse


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_there_is_one_thread_more_than_tasks_may_run(threads: int) -> None:
    before = threading.active_count()
    with Service(threads).run() as service:
        assert threading.active_count() == before + threads + 2  # and the watcher, which is the main thread elsewhere
        with service.connect() as client:
            assert client.request(GET).body == b"hello"
        assert service.lane.owns(next(thread for thread in threading.enumerate() if thread.name == "test-0"))
        assert not service.lane.owns(threading.current_thread())


def test_with_every_thread_hung_the_server_goes_on() -> None:
    """It accepts, reads heads, keeps deadlines and sends refusals; what is complete waits for its turn."""
    deadlines = Deadlines(request_header_timeout=0.3, queue_timeout=0.5)
    bounds = Bounds(queue_limit=2, finest_deadline_seconds=0.2)
    with Service(2, deadlines=deadlines, bounds=bounds).run() as service, service.all_hung(2):
        with service.connect() as slow, service.connect() as broken:
            slow.send(b"GET / HT")
            assert broken.request(b"BROKEN\r\n\r\n").status == 400
            assert slow.receive().status == 408
        with service.connect() as first, service.connect() as second, service.connect() as third:
            first.send(GET)
            second.send(GET)
            assert wait_until(lambda: len(service.dispatcher.role.queue) == 2)
            assert third.request(GET).status == 503
            assert first.receive().status == 503
            assert second.receive().status == 503


def test_a_pulse_says_what_lives() -> None:
    with Service(2).run() as service:
        pulse = Pulse([service.lane])
        assert wait_until(lambda: pulse.is_accepting)
        assert pulse.poke(time.monotonic()) == 0.0
        assert wait_until(lambda: pulse.poke(time.monotonic()) == 0.0)
        assert (pulse.is_whole, service.lane.has_ended) == (True, False)
        with service.all_hung(2):  # the reserve turns
            pulse.poke(time.monotonic())
            assert wait_until(lambda: pulse.poke(time.monotonic()) == 0.0)
    assert (pulse.is_whole, pulse.is_accepting, service.lane.has_ended) == (True, False, True)
    assert pulse.poke(time.monotonic() + 1000) == 0.0


def test_queued_requests_are_answered_when_threads_are_free_again() -> None:
    with Service(1).run() as service:
        clients = [service.connect() for _ in range(5)]
        with service.all_hung(1):
            for client in clients:
                client.send(GET)
            assert wait_until(lambda: len(service.dispatcher.role.queue) == 5)
        for client in clients:
            assert client.receive().status == 200
            client.close()


def test_nothing_is_said_of_hung_requests_where_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    with Service(1, task_log_timeout=0.0).run() as service, service.all_hung(1):
        service.lane.report_hung(time.monotonic() + 1000)
        assert caplog.messages == []


def test_a_defect_of_the_loop_does_not_end_the_service(caplog: pytest.LogCaptureFixture) -> None:
    with Service(2).run() as service, service.connect() as client:
        assert client.request(GET).status == 200
        turn = service.dispatcher._turn
        failed = threading.Event()

        def fail_once() -> bool:
            if not failed.is_set():
                failed.set()
                raise RuntimeError("a defect")
            return turn()

        service.dispatcher._turn = fail_once  # type: ignore[method-assign]  # a defect of ours
        for _ in range(5):
            assert client.request(GET).status == 200
        assert failed.is_set()
        assert "the dispatcher failed and goes on" in caplog.text


def test_a_task_that_hangs_at_the_end_is_left_and_closes_its_connection_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "JOIN_SECONDS", 0.1)
    service = Service(1)
    with service.run(), service.connect() as client:
        client.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        assert service.hanging.acquire(timeout=10)
        (channel,) = service.dispatcher.channels.values()
        service.dispatcher.abort()
        assert wait_until(lambda: service.dispatcher.finished)
        assert not service.lane.join()
        service.dispatcher.close()
        assert channel.wire.fileno() >= 0
        service.gate.set()
        assert wait_until(lambda: channel.wire.fileno() == -1)
        client.expect_closed()


@pytest.mark.parametrize("holder", ["test-0", "test-reserve"])
def test_what_is_left_at_the_end_is_called_by_a_task_worker_and_not_waited_for_too_long(
    monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    monkeypatch.setattr(lane, "JOIN_SECONDS", 0.1)
    gate = threading.Event()
    callers: list[str] = []

    def call() -> None:
        callers.append(threading.current_thread().name)
        gate.wait(30)

    service = Service(1)
    with service.run():
        if holder == "test-reserve":
            with service.all_hung(1):
                assert wait_until(lambda: leader(service) == holder)
        assert wait_until(lambda: leader(service) == holder)
        service.dispatcher.run_in_pool(call)
        service.dispatcher.abort()
        assert wait_until(lambda: callers == ["test-0"])
        assert not service.lane.join()
        gate.set()


def test_the_application_sees_one_thread_where_one_is_asked_for() -> None:
    """Whatever blocked before, and whatever has waited; callbacks are the application's, too."""
    with Service(1).run() as service:
        clients = [service.connect() for _ in range(6)]
        for _ in range(3):
            with service.all_hung(1):
                for client in clients:
                    client.send(GET)
                assert wait_until(lambda: len(service.dispatcher.role.queue) == 6)
                service.dispatcher.run_in_pool(lambda: service.run_by.add(threading.current_thread().name))
                service.dispatcher.poller.wake()
                service.gate.set()
            for client in clients:
                assert client.receive().status == 200
            service.gate.clear()
            for client in clients:
                client.send(b"GET /sleep/0.03 HTTP/1.1\r\nHost: x\r\n\r\n")
            for client in clients:
                assert client.receive().status == 200
        for client in clients:
            client.close()
    assert service.run_by == {"test-0"}


def test_the_application_sees_as_many_threads_as_may_run_tasks() -> None:
    with Service(3).run() as service:
        for _ in range(3):
            with service.all_hung(3), service.connect() as client:
                client.send(GET)
                assert wait_until(lambda: len(service.dispatcher.role.queue) == 1)
                service.gate.set()
                assert client.receive().status == 200
            service.gate.clear()
    assert service.run_by == {"test-0", "test-1", "test-2"}


def test_a_free_worker_leads_again_with_the_next_request() -> None:
    """After that a quick request wakes nobody."""
    with Service(1).run() as service, service.connect() as client:
        with service.all_hung(1):
            assert wait_until(lambda: leader(service) == "test-reserve")
        # The watcher may take it away again, where the machine is slow.
        assert wait_until(lambda: client.request(GET).status == 200 and leader(service) == "test-0")


def test_a_steady_load_uses_few_threads_and_a_blocking_one_all() -> None:
    with Service(3).run() as service:
        with service.connect() as client:
            for _ in range(200):
                client.request(GET)
        quick = len(service.run_by)
        clients = [service.connect() for _ in range(3)]
        begun = time.monotonic()
        for client in clients:
            client.send(b"GET /sleep/0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert client.receive().status == 200
            client.close()
        assert time.monotonic() - begun < 1.2  # at the same time
        assert len(service.run_by) >= 3 >= quick


def test_a_lane_that_was_never_started_can_be_ended() -> None:
    service = Service(2)
    assert service.lane.end()
    service.listener.close()
