"""The event loop: when it looks, when it sleeps, what it does with its events, and the hand-over of the role."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Handler, Loop, answer, hello
from waitressd.dispatch.blocking import HAND_OVER_SHARE
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.callback import Callback
from waitressd.dispatch.dispatcher import SWEEP_SECONDS, Dispatcher
from waitressd.dispatch.role import Assignment, Worker
from waitressd.dispatch.snapshot import take_snapshot
from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Request
from waitressd.net.exchange import Exchange
from waitressd.net.poller import HANGUP, READ
from waitressd.net.progress import LARGE_BYTES, NEVER, Deadlines
from waitressd.net.states import ChannelState, ExchangeState


def name_order(loop: Loop) -> list[str]:
    return [request.target for request in loop.requests]


# -- sleeping


def test_a_loop_without_clients_sleeps_without_end() -> None:
    with Loop() as loop:
        loop.turn(3)
        assert loop.poller.asked == [None] * 3


def test_idle_clients_cost_no_turn_before_the_first_of_them_is_due() -> None:
    with Loop(bounds=Bounds(channel_timeout=120)) as loop, loop.connect() as client:
        loop.request(client, GET)
        loop.time += 2 * SWEEP_SECONDS
        loop.turn()  # the sweep that sees nothing but idle clients
        loop.poller.asked.clear()
        loop.turn()
        assert loop.poller.asked == [pytest.approx(118, abs=0.1)]
        assert client.receive().status == 200


def test_the_loop_looks_once_a_second_while_a_request_is_on_its_way() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, GET[:5])
        loop.poller.asked.clear()
        loop.turn()
        assert loop.poller.asked == [loop.dispatcher._sweep_seconds]
        assert loop.dispatcher._sweep_seconds <= SWEEP_SECONDS


def test_short_deadlines_are_looked_at_in_time() -> None:
    bounds = Bounds(finest_deadline_seconds=0.2)
    with Loop(bounds=bounds, deadlines=Deadlines(request_header_timeout=0.2)) as loop, loop.connect() as client:
        loop.request(client, GET[:5])
        for _ in range(6):
            loop.time += 0.05
            loop.settle()
        assert client.receive().status == 408


def test_a_loop_with_work_left_does_not_sleep() -> None:
    with Loop() as loop, loop.connect() as client:
        client.send(GET * 3)
        loop.turn(2)
        loop.poller.asked.clear()
        loop.turn()
        assert loop.poller.asked == [0]


# -- requests


def test_an_inline_request_costs_no_registration() -> None:
    """Trap 5: level-triggered, and registered once."""
    with Loop() as loop, loop.connect() as client:
        loop.request(client, GET)
        before = loop.poller.controls
        for _ in range(100):
            loop.request(client, GET)
        assert loop.poller.controls == before
        for _ in range(101):
            assert client.receive().status == 200


def test_between_two_requests_of_one_client_every_other_has_its_turn() -> None:
    with Loop(recv_bytes=1 << 16) as loop, loop.connect() as greedy, loop.connect() as polite:
        greedy.send(b"GET /greedy HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
        for _ in range(5):
            loop.turn(7)
            before = len(loop.requests)
            polite.send(b"GET /polite HTTP/1.1\r\nHost: x\r\n\r\n")
            while loop.requests[-1].target != "/polite":
                loop.turn()
            assert len(loop.requests) - before <= 3
            assert polite.receive().status == 200


# -- read, then run


class Watching:
    """A handler that notes, for each request, how many others wait and for how long, and lets time pass."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.loop: Loop | None = None
        self.backlogs: list[tuple[int, float]] = []
        self.queued: list[int] = []

    def __call__(self, _request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        assert self.loop is not None
        self.backlogs.append(self.loop.dispatcher.backlog())
        self.queued.append(take_snapshot([self.loop.dispatcher]).connections["queued"])
        self.loop.time += self.seconds
        answer(exchange)


@contextlib.contextmanager
def at_once(handler: Watching, count: int, **options: Any) -> Iterator[tuple[Loop, list[Client]]]:
    """Have so many clients send a request in the same turn."""
    with Loop(handler, **options) as loop:
        handler.loop = loop
        clients = [loop.connect() for _ in range(count)]
        for index, client in enumerate(clients):
            client.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % index)
        loop.dispatcher._turn()
        try:
            yield loop, clients
        finally:
            for client in clients:
                client.close()


def test_what_is_ready_is_read_before_anything_runs_and_counts_as_waiting() -> None:
    handler = Watching(0.01)
    with at_once(handler, 4) as (loop, clients):
        assert loop.serve()
        assert [client.receive().status for client in clients] == [200] * 4
        assert name_order(loop) == ["/0", "/1", "/2", "/3"]
    assert [count for count, _ in handler.backlogs] == handler.queued == [3, 2, 1, 0]
    assert [wait for _, wait in handler.backlogs] == pytest.approx([0.0, 0.01, 0.02, 0.0])


def test_no_more_is_read_at_once_than_may_wait() -> None:
    """The rest stays where it is, and is not refused: a thread will be free in a moment."""
    handler = Watching()
    with at_once(handler, 5, bounds=Bounds(queue_limit=2)) as (loop, clients):
        assert loop.serve()
        assert [client.receive().status for client in clients] == [200] * 5
    assert [count for count, _ in handler.backlogs] == [1, 0, 1, 0, 0]


def test_a_large_body_is_used_before_more_is_read() -> None:
    """What is read behind it would drive it out of the processor's cache."""
    handler = Watching()
    with Loop(handler) as loop:
        handler.loop = loop
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(loop.connect()) for _ in range(3)]
            for client, size in zip(clients, (10, LARGE_BYTES, 10), strict=True):
                loop.request(client, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
                loop.request(client, b"x" * (size - 1))
            for client in clients:
                client.send(b"x")
            loop.dispatcher._turn()
            assert loop.serve()
            assert [client.receive().status for client in clients] == [200] * 3
    assert [count for count, _ in handler.backlogs] == [1, 0, 0]


def test_a_request_that_waits_too_long_for_its_turn_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    handler = Watching(1.5)
    with at_once(handler, 4, bounds=Bounds(queue_timeout=2.0)) as (loop, clients):
        assert loop.serve()
        loop.settle()
        assert [client.receive().status for client in clients] == [200, 200, 503, 503]
    assert "2 requests wait for a thread, the oldest for 1.5 s" in caplog.text
    assert "a request was answered 503: no thread is free and 1 request waits" in caplog.text


def test_the_next_holder_goes_on_with_what_was_read() -> None:
    def blocks(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        if not loop.woken:
            assert not loop.role.look()
            assert loop.role.look()
        answer(exchange)

    with Loop(blocks, threads=3) as loop:
        clients = [loop.connect() for _ in range(3)]
        heir = Worker("heir")
        loop.role.waiting.append(heir)
        for client in clients:
            client.send(GET)
        loop.dispatcher._turn()
        assert not loop.serve()
        assert loop.role.holder is heir
        assert len(loop.dispatcher.tasks) == 2
        loop.worker = heir
        assert loop.dispatcher._catch_up(heir)
        assert [client.receive().status for client in clients] == [200] * 3
        for client in clients:
            client.close()


def test_a_request_that_was_read_is_not_read_again_before_its_turn() -> None:
    """Whatever its client does meanwhile: what is read then must not end a request that has begun."""
    with Loop(recv_bytes=len(GET)) as loop, loop.connect() as client:
        client.send(GET)
        loop.dispatcher._turn()
        client.finish_sending()
        (channel,) = loop.channels
        loop.dispatcher.ready.extend([(channel.fd, READ), (channel.fd, 0)])
        loop.dispatcher._unread = 3
        loop.dispatcher._read_ready(loop.worker)
        assert list(loop.dispatcher.tasks) == [channel.exchange]
        assert channel.state is ChannelState.OPEN
        assert loop.serve()
        assert client.receive().status == 200


def test_a_defect_while_one_request_runs_costs_that_client_alone(caplog: pytest.LogCaptureFixture) -> None:
    with at_once(Watching(), 3) as (loop, clients):
        loop.channels[1].exchange.__class__ = BrokenExchange
        assert loop.serve()
        assert [clients[0].receive().status, clients[2].receive().status] == [200, 200]
        clients[1].expect_closed()
    assert "running a request failed; please report this" in caplog.text


class BrokenExchange(Exchange):
    """Does not begin."""

    __slots__ = ()

    def begin(self) -> None:
        raise AssertionError("a defect")


def test_requests_wait_in_the_order_in_which_they_came() -> None:
    with Loop() as loop:
        clients = [loop.connect() for _ in range(4)]
        with loop.busy():
            for index, client in enumerate(clients):
                loop.request(client, b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % index)
            assert loop.phases == ["queued"] * 4
        worker = Worker("free")
        loop.role.running = 1
        while loop.role.finish(worker) is Assignment.RUN:
            assert isinstance(worker.job, Exchange)
            loop.dispatcher.run_aside(worker, worker.job)
        assert name_order(loop) == ["/0", "/1", "/2", "/3"]
        for client in clients:
            assert client.receive().status == 200
            client.close()


def test_beyond_the_queue_a_request_gets_503_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with Loop(bounds=Bounds(queue_limit=1)) as loop, loop.busy(), loop.connect() as first, loop.connect() as second:
        loop.request(first, GET)
        loop.request(second, GET)
        response = second.receive()
        assert (response.status, response.get("Retry-After"), response.closes) == (503, "1", True)
        assert len(loop.role.queue) == 1
        assert "1 request waits for a thread" in caplog.text
        assert "a request was answered 503" in caplog.text


def test_a_queued_request_whose_client_has_gone_is_dropped() -> None:
    with Loop() as loop, loop.busy(), loop.connect() as client:
        loop.request(client, GET)
        exchange = loop.exchanges[0]
        loop.dispatcher.ready.append((exchange.line.fd, HANGUP))
        loop.turn()
        assert exchange.state is ExchangeState.DONE
        assert not loop.role.queue


def test_a_queued_request_that_a_thread_has_taken_meanwhile_is_left_to_it() -> None:
    with Loop() as loop, loop.busy(), loop.connect() as client:
        loop.request(client, GET)
        exchange = loop.exchanges[0]
        loop.role.queue.clear()
        loop.dispatcher.ready.append((exchange.line.fd, HANGUP))
        loop.turn()
        assert exchange.state is ExchangeState.QUEUED  # its thread will begin and find it gone
        assert exchange.is_broken
        exchange.begin()
        exchange.run()
        assert loop.requests == []
        exchange.settle()


# -- the role


class Clockwork:
    """An application that takes a fixed time of the fake clock, off the CPU."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.loop: Loop | None = None

    def __call__(self, _request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        assert self.loop is not None
        self.loop.time += self.seconds
        answer(exchange)


def requests_until_hand_over(handler: Handler, dispatcher_class: type[Dispatcher] = Dispatcher) -> int | None:
    """Serve requests until the role is given away before one; None when it never is."""
    with Loop(handler) as loop:
        loop.dispatcher.__class__ = dispatcher_class
        if isinstance(handler, Clockwork):
            handler.loop = loop
        client = loop.connect()
        loop.role.waiting.append(Worker("next"))
        for count in range(100):
            client.send(GET)
            for _ in range(3):
                if not loop.serve():
                    assert loop.role.holder is not loop.worker
                    client.close()
                    return count
                loop.dispatcher._turn()
            client.receive()
        client.close()
        return None


class LooksAtTicksAlone(Dispatcher):
    """Does not measure the wall time of a task that was over before the watcher looked twice."""

    def _start(self, worker: Worker, job: object) -> bool:
        kept = super()._start(worker, job)  # type: ignore[arg-type]  # the same job
        self.blocking.share = 0.0
        return kept


def test_tasks_of_a_millisecond_are_noticed_although_no_tick_sees_them() -> None:
    """Trap 3: a task shorter than a tick never meets the watcher twice; its wall time says that it blocks."""
    count = requests_until_hand_over(Clockwork(0.001))
    assert count is not None
    assert count < 20


def test_without_measuring_they_would_not_be() -> None:
    assert requests_until_hand_over(Clockwork(0.001), LooksAtTicksAlone) is None


def test_fast_tasks_stay_inline() -> None:
    assert requests_until_hand_over(hello) is None


def test_after_slow_tasks_fast_ones_bring_inline_back() -> None:
    with Loop() as loop:
        blocking = loop.dispatcher.blocking
        for _ in range(50):
            blocking.ended(0.01, 0.0, is_alone=True)
        assert blocking.share > HAND_OVER_SHARE
        for _ in range(200):
            blocking.ended(0.00001, 0.0, is_alone=True)
        assert blocking.share < HAND_OVER_SHARE


def test_a_claim_that_was_taken_ends_the_lead_and_the_answer_is_complete() -> None:
    def blocks(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        assert not loop.role.look()
        assert loop.role.look()  # the same task at two looks
        assert loop.role.holder is heir
        answer(exchange)

    with Loop(blocks) as loop, loop.connect() as client:
        heir = Worker("heir")
        loop.role.waiting.append(heir)
        client.send(GET)
        loop.dispatcher._turn()
        assert not loop.serve()
        assert loop.woken == [heir]
        assert client.receive().status == 200
        assert loop.phases[0] == "idle"
        assert loop.role.finish(loop.worker) is Assignment.WAIT


def test_a_bell_that_is_taken_away_between_the_look_and_the_ring_harms_nobody() -> None:
    class Fickle(Dispatcher):
        looks = 0

        @property  # type: ignore[override]  # another thread changes it between two looks
        def wake_watcher(self) -> object:
            self.looks += 1
            return (lambda: None) if self.looks % 2 else None

        @wake_watcher.setter
        def wake_watcher(self, value: object) -> None:
            """The watcher's business."""

    with Loop() as loop, loop.connect() as client:
        loop.dispatcher.__class__ = Fickle
        for _ in range(4):
            loop.request(client, GET)
            assert client.receive().status == 200
        assert not loop.worker.claim


def test_a_defect_costs_one_client(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect() as client, loop.connect() as other:
        exchange = loop.exchanges[0]
        loop.channels[0].connection = None  # type: ignore[assignment]  # a defect of ours
        loop.request(client, GET)
        assert exchange.state is ExchangeState.DONE
        loop.request(other, GET)
        assert other.receive().status == 200
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]


def test_a_defect_at_a_deadline_does_not_come_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, GET[:4])
        exchange = loop.exchanges[0]
        exchange.connection = None  # type: ignore[assignment]  # a defect of ours
        loop.pass_time(25)
        assert exchange.state is ExchangeState.DONE
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]


def test_a_defect_while_settling_costs_one_client(caplog: pytest.LogCaptureFixture) -> None:
    with Loop() as loop, loop.connect():
        exchange = loop.exchanges[0]
        exchange.begin()
        exchange.encoder = None  # type: ignore[assignment]  # a defect of ours
        loop.dispatcher.give_back(exchange)
        loop.settle()
        assert exchange.state is ExchangeState.DONE
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]


# -- callbacks


def test_a_callback_runs_like_a_task_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []
    with Loop() as loop:
        loop.dispatcher.run_in_pool(lambda: called.append("one"))
        loop.dispatcher.run_in_pool(lambda: 1 // 0)
        loop.dispatcher.run_in_pool(lambda: called.append("two"))
        loop.turn()
        assert called == ["one", "two"]
        assert caplog.messages == ["a callback failed"]


def test_callbacks_wait_for_a_thread_like_requests() -> None:
    called: list[str] = []
    with Loop() as loop, loop.busy():
        loop.dispatcher.run_in_pool(lambda: called.append("one"))
        loop.turn()
        assert called == []
        (job,) = loop.role.queue
        assert isinstance(job, Callback)
        loop.role.queue.clear()


def test_callbacks_that_found_no_thread_are_handed_out_at_the_end() -> None:
    with Loop() as loop, loop.busy(), loop.connect() as client:
        loop.request(client, GET)
        loop.dispatcher.run_in_pool(lambda: None)
        loop.turn()
        assert len(loop.role.queue) == 2
        assert len(loop.dispatcher.take_callbacks()) == 1
        assert list(loop.role.queue) == loop.exchanges


def test_callbacks_that_nobody_ran_are_handed_out_once() -> None:
    with Loop() as loop:
        loop.dispatcher.run_in_pool(lambda: None)
        assert len(loop.dispatcher.take_callbacks()) == 1
        assert loop.dispatcher.take_callbacks() == []


# -- the stop


def test_a_stop_without_clients_is_immediate() -> None:
    with Loop() as loop:
        loop.dispatcher.stop()
        loop.turn(2)
        assert loop.dispatcher.finished
        assert loop.listener.socket.fileno() == -1


def test_a_stop_answers_what_has_begun_and_says_that_it_closes() -> None:
    with Loop() as loop, loop.connect() as begun, loop.connect() as kept, loop.connect() as silent:
        loop.request(kept, GET)
        assert not kept.receive().closes
        loop.request(begun, GET[:10])
        loop.dispatcher.stop()
        loop.settle()
        loop.request(begun, GET[10:])
        assert begun.receive().closes
        loop.request(kept, GET)  # on its way when the stop came
        assert kept.receive().closes
        assert not loop.dispatcher.finished
        loop.pass_time(4)
        silent.expect_closed()
        loop.turn()
        assert loop.dispatcher.finished


def test_a_stop_serves_the_backlog() -> None:
    with Loop() as loop:
        with Client(loop.listener.socket.getsockname(), timeout=5) as client:
            client.send(GET)
            loop.dispatcher.stop()
            loop.turn(4)
            assert client.receive().status == 200
        loop.settle()


def test_a_stop_leaves_the_backlog_to_others_who_accept_from_the_same_socket() -> None:
    with Loop() as loop:
        other = loop.listener.socket.dup()
        with other, Client(loop.listener.socket.getsockname(), timeout=5) as client:
            client.send(GET)
            loop.dispatcher.stop(takes_backlog=False)
            loop.turn(4)
            assert loop.dispatcher.finished
            loop.listener.close()
            taken, _ = other.accept()
            with taken:
                assert taken.recv(100) == GET


def test_a_stop_never_lengthens_a_deadline() -> None:
    with Loop(bounds=Bounds(channel_timeout=120)) as loop, loop.connect() as client:
        loop.time += 119.9
        loop.dispatcher.stop()
        loop.turn()
        assert loop.channels[0].deadline == pytest.approx(1120)
        assert client.sock.fileno() > 0


def test_a_stop_while_accepting_rests_does_not_spin() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.dispatcher._acceptor._pause(OSError(24, "Too many open files"), loop.time)
        loop.request(client, GET[:10])
        loop.dispatcher.stop()
        loop.turn()
        loop.time += 5
        loop.turn()
        loop.poller.asked.clear()
        loop.turn()
        assert loop.poller.asked != [0]
        assert loop.poller.asked[0] is not None


def test_an_abort_ends_everything() -> None:
    with Loop() as loop, loop.connect() as idle, loop.connect() as head, loop.connect() as busy:
        loop.request(head, GET[:10])
        exchange = loop.exchanges[2]
        exchange.begin()
        loop.dispatcher.abort()
        loop.turn()
        assert loop.dispatcher.finished
        idle.expect_closed()
        head.expect_closed()
        busy.expect_closed()
        assert exchange.is_broken
        assert exchange.wire.fileno() > 0  # its task may still use the number


def test_a_task_that_outlives_the_server_closes_its_connection_itself() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = loop.exchanges[0]
        exchange.begin()
        loop.dispatcher.abort()
        loop.turn()
        loop.dispatcher.close()
        assert loop.channels == []
        with pytest.raises(ClientDisconnected):
            exchange.write(b"too late")
        called = threading.Event()
        loop.dispatcher.run_in_pool(called.set)
        loop.dispatcher._settle_aside(exchange, loop.time, 0.0)
        assert loop.channels == []
        assert exchange.wire.fileno() == -1
        assert called.is_set()
        client.expect_closed()


def test_a_stop_asked_for_by_another_thread_ends_the_sleep() -> None:
    with Loop() as loop:
        loop.poller.patience_seconds = 30.0
        thread = threading.Timer(0.05, loop.dispatcher.stop)
        thread.start()
        begun = time.monotonic()
        loop.turn(2)
        assert loop.dispatcher.finished
        assert time.monotonic() - begun < 10
        thread.join()


def test_events_of_closed_channels_are_nobodys() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = loop.exchanges[0]
        fd = exchange.line.fd
        exchange.close()
        loop.dispatcher.ready.extend([(fd, READ), (fd, 0), (987, READ)])
        loop.turn()
        assert loop.channels == []
        client.expect_closed()


def test_a_number_that_is_used_again_gets_no_event_of_its_former_owner() -> None:
    with Loop() as loop, loop.connect() as client:
        with Client(loop.listener.socket.getsockname(), timeout=5) as another:
            fd = loop.channels[0].fd
            loop.channels[0].close()
            loop.settle()
            assert [channel.fd for channel in loop.channels] == [fd]
            loop.dispatcher.ready.append((fd, READ | HANGUP))
            loop.turn()
            assert loop.phases == ["idle"]
            loop.request(another, GET)
            assert another.receive().status == 200
        client.expect_closed()


def test_a_running_channel_keeps_the_sweeps_going() -> None:
    with Loop() as loop, loop.connect():
        exchange = loop.exchanges[0]
        loop.time += 2
        loop.turn()
        exchange.begin()
        loop.dispatcher._sweep(loop.time)
        assert loop.dispatcher._next_sweep == loop.time + loop.dispatcher._sweep_seconds
        exchange.settle()
        loop.dispatcher._sweep(loop.time)
        assert loop.dispatcher._next_sweep == exchange.deadline < NEVER
