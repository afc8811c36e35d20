"""Tasks that are over their time: found soon enough, said once, counted, replaced, ended by hand; with real threads."""

import threading

import pytest

from tests.support.loop import GET
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.dispatch import timekeeper as module
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.timekeeper import look_seconds
from waitressd.net import interrupt
from waitressd.net.exchange import Exchange
from waitressd.net.timelimit import NO_LIMIT, TimeLimits

HANG = b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = TimeLimits(request_timeout=0.2)


@pytest.mark.parametrize(("limit", "seconds"), [(0.1, 0.05), (1.0, 0.25), (4.0, 1.0), (60.0, 1.0), (NO_LIMIT, 1.0)])
def test_tasks_are_looked_at_often_enough(limit: float, seconds: float) -> None:
    assert look_seconds(limit) == seconds


def test_a_task_that_hangs_loses_its_client_and_keeps_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "waitressd")
    with Service(2, limits=SHORT).run() as service, service.connect() as client, service.connect() as other:
        client.send(HANG)
        response = client.receive()
        keeper = service.lane.timekeeper
        assert wait_until(lambda: len(keeper.late_tasks) == 1)
        task = keeper.late_tasks[0]
        name = task.late.name
        assert (response.status, response.closes) == (504, True)
        assert name.encode() in response.body
        client.expect_closed()
        assert wait_until(lambda: bool(caplog.messages))
        message = caplog.messages[0]
        assert message.startswith("GET /hang of 127.0.0.1:")
        said = f" ({name}) is over its time limit of 0.2 s: its client was answered 504; its thread still runs\n"
        assert said in message
        assert "self.gate.wait" in message
        assert keeper.timeouts.answered == 1
        assert keeper.late_of(task.exchange) is task.late
        assert keeper.limit_seconds(task.exchange) == 0.2
        assert other.request(GET).status == 200
        assert wait_until(lambda: len(service.lane.busy_workers()) == 1)
        service.gate.set()
        assert wait_until(lambda: not keeper.late_tasks)
        ended = f"{name}, which was over its time, has returned after 0."
        assert wait_until(lambda: any(message.startswith(ended) for message in caplog.messages))
        assert sum(name in message for message in caplog.messages) == 2
        assert other.request(GET).status == 200


def test_requests_in_time_are_let_alone() -> None:
    with Service(2, limits=TimeLimits(request_timeout=60.0)).run() as service, service.all_hung(2):
        exchange = service.lane.busy_workers()[0].job
        assert isinstance(exchange, Exchange)
        assert service.lane.timekeeper.late_of(exchange) is None
        service.lane.look(service.lane.next_look + 10.0)
        assert service.lane.timekeeper.late_tasks == []
    assert service.lane.timekeeper.timeouts == module.Timeouts()


def test_time_in_the_queue_does_not_count() -> None:
    limits = TimeLimits(request_timeout=0.5)
    with Service(1, limits=limits).run() as service, service.connect() as first, service.connect() as second:
        first.send(b"GET /sleep/0.4 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wait_until(lambda: bool(service.lane.busy_workers()))
        second.send(b"GET /sleep/0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.receive().status == 200
        assert second.receive().status == 200


def test_a_request_may_ask_for_less_where_nothing_else_limits_it() -> None:
    with Service(2).run() as service, service.connect() as client:
        assert wait_until(lambda: service.dispatcher.wake_watcher is not None)
        client.send(b"GET /own/0.1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.receive().status == 504


def test_a_request_may_ask_for_more() -> None:
    with Service(2, limits=SHORT).run() as service, service.connect() as client:
        client.send(b"GET /own/0 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert service.hanging.acquire(timeout=10)
        with service.connect() as other:
            other.send(HANG)
            assert other.receive().status == 504
        service.gate.set()
        assert client.receive().status == 200


def test_late_tasks_are_replaced_and_end_when_they_return() -> None:
    limits = TimeLimits(request_timeout=0.2, request_timeout_spares=2)
    with Service(3, limits=limits).run() as service:
        before = {worker.name for worker in service.lane.workers}
        for client in [service.connect() for _ in range(3)]:
            with client:
                client.send(HANG)
                assert client.receive().status == 504
        assert wait_until(lambda: len(service.lane.workers) == 6)  # two spares, and not three
        role = service.dispatcher.role
        assert role.task_limit == 5
        with service.connect() as first, service.connect() as second:
            for client in (first, second):
                client.send(b"GET /sleep/0.05 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert [client.receive().status for client in (first, second)] == [200, 200]
        assert service.lane.is_whole
        service.gate.set()
        assert wait_until(lambda: len(service.lane.workers) == 4)
        assert role.task_limit == 3
        assert wait_until(lambda: sum(t.name.startswith("test-") for t in threading.enumerate()) == 4)
        assert service.lane.is_whole
        assert len(before & {worker.name for worker in service.lane.workers}) == 2  # the third, and the reserve
        with service.connect() as last:
            assert last.request(GET).status == 200


def test_a_thread_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = TimeLimits(request_timeout=0.2, request_timeout_spares=1)
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name == "test-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    with Service(1, limits=limits).run() as service, service.connect() as client:
        monkeypatch.setattr(threading.Thread, "start", fail)
        client.send(HANG)
        assert client.receive().status == 504
        assert wait_until(lambda: any(worker.name == "test-2" for worker in service.lane.workers))
        assert any("cannot start a thread in place of one that hangs" in message for message in caplog.messages)
        with service.connect() as other:
            assert other.request(GET).status == 200


@pytest.mark.skipif(bool(interrupt.TROUBLE), reason="only CPython interrupts")
def test_python_code_is_interrupted_and_its_thread_serves_again() -> None:
    limits = TimeLimits(request_timeout=0.2, request_timeout_interrupt=True)
    with Service(1, limits=limits).run() as service, service.connect() as client:
        client.send(b"GET /compute HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.receive().status == 504
        with service.connect() as other:
            assert other.request(GET).status == 200
        assert wait_until(lambda: service.lane.timekeeper.timeouts.interrupted == 1)
        assert service.lane.timekeeper.timeouts.still_running == 0


def test_a_task_that_goes_on_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTCOME_SECONDS", 0.1)
    with Service(1, limits=SHORT).run() as service, service.connect() as client:
        client.send(HANG)
        assert client.receive().status == 504
        assert wait_until(lambda: service.lane.timekeeper.timeouts.still_running == 1)
        service.gate.set()
        assert wait_until(lambda: not service.lane.timekeeper.late_tasks)
        assert service.lane.timekeeper.timeouts == module.Timeouts(answered=1, still_running=1)


def test_the_operator_ends_a_request(caplog: pytest.LogCaptureFixture) -> None:
    limits = TimeLimits(request_timeout=60.0)
    with Service(1, limits=limits, bounds=Bounds(queue_limit=5)).run() as service:
        with service.connect() as first, service.connect() as second:
            first.send(HANG)
            assert service.hanging.acquire(timeout=10)
            second.send(GET)
            assert wait_until(lambda: len(service.dispatcher.role.queue) == 1)
            running = service.dispatcher.logs.name(service.lane.busy_workers()[0].job)
            queued = service.dispatcher.logs.name(service.dispatcher.role.queue[0])
            assert not service.lane.cancel("1-0-1")
            assert not service.lane.cancel("")
            assert service.lane.cancel(running)
            assert service.lane.cancel(queued)
            for client, name in ((first, running), (second, queued)):
                response = client.receive()
                assert response.status == 504
                assert f"ended request {name}".encode() in response.body
            assert not service.lane.cancel(running)
            assert wait_until(lambda: any("was ended by the operator" in message for message in caplog.messages))
        assert service.lane.timekeeper.timeouts == module.Timeouts()


def test_a_stop_does_not_wait_for_a_late_task_for_ever() -> None:
    with Service(1, limits=SHORT).run() as service, service.connect() as client:
        client.send(HANG)
        assert client.receive().status == 504
        service.dispatcher.stop(0.0)
        assert not service.dispatcher.finished  # the thread still runs
        service.gate.set()
        assert wait_until(lambda: service.dispatcher.finished)
