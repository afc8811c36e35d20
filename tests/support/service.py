"""A dispatcher and its threads for tests, without a server around them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from tests.support.client import Client
from tests.support.loop import DATE, answer
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.lane import Lane
from waitressd.dispatch.watcher import Watcher
from waitressd.http.events import Request
from waitressd.net.channelsettings import ChannelSettings, RequestHandler
from waitressd.net.exchange import Exchange
from waitressd.net.listener import open_tcp
from waitressd.net.poller import build_poller
from waitressd.net.timelimit import NO_LIMITS, interruptible, timed
from waitressd.wsgi.input import BodySpool


class Service:
    """A dispatcher and its threads, watched by a thread of the test."""

    def __init__(self, threads: int, *, task_log_timeout: float = 0.0, **options: Any) -> None:
        self.gate = threading.Event()  # lets those go on that hang
        self.hanging = threading.Semaphore(0)  # released by each request that hangs
        bounds = replace(options.pop("bounds", Bounds()), threads=threads)
        self.lane = Lane(build_poller(), bounds, name="test", task_log_timeout=task_log_timeout)
        self.dispatcher = self.lane.dispatcher
        self.lane.timekeeper.limits = limits = options.pop("limits", NO_LIMITS)
        handler: RequestHandler = self._handle if limits is NO_LIMITS else timed(self._handle, time.monotonic)
        settings = ChannelSettings(
            handler=interruptible(handler) if limits.request_timeout_interrupt else handler,
            new_body=lambda _length: BodySpool(1 << 20),
            http_date=lambda: DATE,
            **options,
        )
        self.listener = open_tcp("127.0.0.1", 0, 64)[0]
        self.dispatcher.add_listener(self.listener, settings)
        self.watcher = Watcher([self.lane])
        self.ticks: list[float] = []
        self.run_by: set[str] = set()
        self._watching = threading.Thread(target=self.watcher.watch, args=(self.ticks.append,), name="watcher")

    def _handle(self, request: Request, body: BinaryIO | None, exchange: Exchange) -> None:
        self.run_by.add(threading.current_thread().name)
        if request.target == "/hang":
            self.hanging.release()
            self.gate.wait(30)
        elif request.target.startswith("/sleep/"):
            time.sleep(float(request.target.rpartition("/")[2]))
        elif request.target.startswith("/own/"):
            exchange.set_request_timeout(float(request.target.rpartition("/")[2]))
            self.hanging.release()
            self.gate.wait(30)
        elif request.target == "/compute":
            while not self.gate.is_set():
                pass
        answer(exchange)

    @contextmanager
    def run(self) -> Iterator["Service"]:
        self.lane.start()
        self._watching.start()
        try:
            yield self
        finally:
            self.gate.set()
            self.dispatcher.abort()
            self._watching.join(10)
            assert self.lane.end(), "a thread is left"
            self.listener.close()

    def connect(self) -> Client:
        return Client(self.listener.socket.getsockname(), timeout=10)

    @contextmanager
    def all_hung(self, count: int) -> Iterator[None]:
        """Have so many requests hang for the time of the block."""
        clients = [self.connect() for _ in range(count)]
        for client in clients:
            client.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in clients:
            assert self.hanging.acquire(timeout=10)
        try:
            yield
        finally:
            self.gate.set()
            for client in clients:
                assert client.receive().status == 200
                client.close()


def leader(service: Service) -> str:
    """Name the worker that holds the role."""
    holder = service.dispatcher.role.holder
    return "" if holder is None else holder.name
