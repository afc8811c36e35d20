"""A stack is never attributed to another request than its own."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.loop import answer
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.dispatch.role import Worker
from waitressd.insight import looks
from waitressd.insight.looks import Look, look_at
from waitressd.net import stacks
from waitressd.net.exchange import Exchange

WAYS = 6  # functions that requests run in, each named by the target


class Named(Service):
    """Each request runs in the function that its target names; the thread says in which it is."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.ways: dict[str, Any] = {}
        for number in range(WAYS):
            scope: dict[str, Any] = {"spend": self.spend}
            exec(f"def way_{number}():\n    spend()", scope)
            self.ways[f"/way_{number}"] = scope[f"way_{number}"]

    @staticmethod
    def spend() -> None:
        sum(range(5000))

    def _handle(self, request: Any, body: Any, exchange: Exchange) -> None:
        self.ways.get(request.target, self.spend)()
        answer(exchange)


@contextmanager
def busy_clients(service: Service, count: int) -> Iterator[None]:
    """Clients that ask for one way after the other, over kept connections."""
    ending = threading.Event()

    def ask(first: int) -> None:
        number = first
        with service.connect() as client:
            while not ending.is_set():
                number += 1
                client.send(f"GET /way_{number % WAYS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert client.receive().status == 200

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(20)


class Tally:
    """Looks again and again, and compares what a stack shows with what the request says."""

    def __init__(self, service: Service) -> None:
        self.workers = {worker.thread_id: worker for worker in service.lane.workers}
        self.seen = self.wrong = 0

    def look(self) -> None:
        for found in look_at(list(self.workers), self.workers):
            request = found.exchange.request if found.exchange is not None else None
            if request is None or found.exchange is None or found.exchange.number != found.number:
                continue  # it has ended since
            ways = [frame.function for frame in found.stack.frames if frame.function.startswith("way_")]
            if ways:
                self.seen += 1
                self.wrong += ways != [request.target.removeprefix("/")]

    def has_seen(self, count: int) -> bool:
        for _ in range(50):
            self.look()
        return self.seen >= count


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_under_load_every_stack_is_that_of_its_request(share: float) -> None:
    """Whatever the threads do meanwhile: the function that a stack shows is the one that the target names."""
    interval = sys.getswitchinterval()
    with Named(3).run() as service, busy_clients(service, 5):
        service.dispatcher.blocking.share = share  # 1: every request goes to another thread than its reader
        tally = Tally(service)
        sys.setswitchinterval(1e-6)
        try:
            assert wait_until(lambda: tally.has_seen(200), seconds=40)
        finally:
            sys.setswitchinterval(interval)
    assert tally.wrong == 0


def test_a_thread_that_is_no_worker_runs_no_request() -> None:
    me = threading.get_ident()
    (look,) = look_at([me], {})
    assert look.exchange is None
    assert look.stack.frames[-1].function in {"look_at", "test_a_thread_that_is_no_worker_runs_no_request"}


def test_a_worker_that_is_about_to_let_go_has_no_request() -> None:
    """It still names the exchange when the task has returned, and another worker may run its next request by then."""
    with Service(1).run() as service, service.all_hung(1):
        (worker,) = service.lane.busy_workers()
        stale = Worker("stale")
        stale.job, stale.started, stale.thread_id = worker.job, worker.started, threading.get_ident()
        (look,) = look_at([stale.thread_id], {stale.thread_id: stale})
        assert (look.exchange, look.number) == (None, 0)


def test_a_request_that_ends_during_the_look_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service(1).run() as service, service.all_hung(1):
        (worker,) = service.lane.busy_workers()
        taken = stacks.take

        def slow_take(thread_ids: Any = None) -> Any:
            found = taken(thread_ids)
            worker.started += 1.0  # the next one has begun
            return found

        monkeypatch.setattr(stacks, "take", slow_take)
        (look,) = look_at([worker.thread_id], {worker.thread_id: worker})
        assert look.exchange is None
        assert look.stack


def test_without_stacks_the_state_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service(1).run() as service, service.all_hung(1):
        (worker,) = service.lane.busy_workers()
        monkeypatch.setattr(stacks, "REFUSAL", "no")
        monkeypatch.setattr(looks, "REFUSED", stacks.Stack((), "no"))
        (look,) = look_at([worker.thread_id], {worker.thread_id: worker})
        assert isinstance(look, Look)
        assert look.exchange is worker.job
        assert (look.stack.frames, look.stack.missing) == ([], "no")
