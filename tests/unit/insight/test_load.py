"""How busy a server is, while things wait and while locks are never given back."""

import time

from tests.support.loop import GET, Loop
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.insight.load import read_load
from waitressd.net.exchange import Exchange


def test_an_idle_server() -> None:
    with Service(3).run() as service, service.connect() as client:
        assert client.request(GET).status == 200
        assert wait_until(lambda: not service.lane.busy_workers())
        load = read_load([service.lane], time.monotonic())
    assert (load.busy, load.queue, load.threads, load.idle_threads) == ((), (), 3, 3)
    assert (load.oldest_seconds, load.connections) == (0.0, 1)


def test_no_server_at_all() -> None:
    load = read_load([], 100.0)
    assert (load.threads, load.idle_threads, load.connections) == (0, 0, 0)


def test_threads_that_are_busy_and_requests_that_wait_with_the_lock_held() -> None:
    with Service(2).run() as service, service.all_hung(2), service.connect() as first, service.connect() as second:
        first.send(GET)
        assert wait_until(lambda: len(service.dispatcher.role.queue) == 1)
        second.send(GET)
        assert wait_until(lambda: len(service.dispatcher.role.queue) == 2)
        with service.dispatcher.role.lock:
            load = read_load([service.lane], time.monotonic())
        starts = [worker.started for worker in load.busy]
        assert len(starts) == 2
        assert starts == sorted(starts)
        assert load.idle_threads == 0
        assert [exchange.origin.peer.port for exchange in load.queue] == [
            client.sock.getsockname()[1] for client in (first, second)
        ]
        assert 0 < load.oldest_seconds < 10
        assert load.connections == 4
        service.gate.set()
        assert [client.receive().status for client in (first, second)] == [200, 200]


def test_a_request_whose_turn_has_not_come_waits_too() -> None:
    with Loop() as loop, loop.connect() as client:

        class OneLane:
            """A dispatcher that a test turns by hand, as a lane."""

            dispatcher = loop.dispatcher
            workers = loop.workers

        loop.request(client, GET)
        exchange = loop.exchanges[0]
        assert isinstance(exchange, Exchange)
        loop.dispatcher.tasks.append(exchange)
        load = read_load([OneLane()], loop.dispatcher.heard_at + 3.0)  # type: ignore[list-item]  # as good as one
        assert (load.queue, load.oldest_seconds) == ((exchange,), 3.0)
        loop.dispatcher.tasks.clear()
