"""A dispatcher with real sockets and a real poller, turned by hand, on a clock that a test moves.

One thread: the test is the holder of the role. Nothing waits for time to pass.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, Self

from tests.support.client import Client
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.dispatch.role import Assignment, Role, Worker
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.machine import Machine
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.exchange import Exchange
from waitressd.net.listener import Listener, open_tcp
from waitressd.net.poller import EpollPoller
from waitressd.net.progress import Deadlines
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState
from waitressd.wsgi.input import BodySpool

DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"
BEGIN: Final = 1000.0

Handler = Callable[[Request, BinaryIO | None, Exchange], None]


def answer(exchange: Exchange, body: bytes = b"hello", fields: tuple[tuple[str, str], ...] = ()) -> None:
    """Answer 200 with this body, as a task does."""
    head = build_head("200 OK", [("Content-Type", "text/plain"), *fields])
    exchange.write(exchange.connection.encoder.encode_response(head, body, DATE))


def hello(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
    """The smallest application."""
    answer(exchange)


class CountingPoller(EpollPoller):
    """The real poller; it waits a moment at most, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []  # the timeouts that the dispatcher wanted
        self.controls = 0
        self.patience_seconds = 0.0
        self.add = self._counted(self.add)
        self.modify = self._counted(self.modify)
        self.remove = self._counted(self.remove)

    def _counted(self, control: Callable[..., None]) -> Any:
        def call(*arguments: int) -> None:
            self.controls += 1
            control(*arguments)

        return call

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready at this moment, or in a moment."""
        self.asked.append(timeout_seconds)
        return super().wait(self.patience_seconds if timeout_seconds is None or timeout_seconds > 0 else 0)


class Loop:
    """A dispatcher, its listener, and the thread that leads it: the test's own."""

    def __init__(
        self,
        handler: Handler = hello,
        *,
        threads: int = 1,
        bounds: Bounds | None = None,
        deadlines: Deadlines | None = None,
        **settings: Any,
    ) -> None:
        self.time = BEGIN
        self.requests: list[Request] = []
        self._handler = handler
        self.poller = CountingPoller()
        self.woken: list[Worker] = []
        self.role = Role(threads, self.woken.append)
        machine = Machine(monotonic=lambda: self.time, thread_pauses=lambda: -1)
        self.dispatcher = Dispatcher(self.poller, self.role, bounds or Bounds(), machine)
        self.settings = ChannelSettings(
            handler=self._handle,
            new_body=settings.pop("new_body", lambda _length: BodySpool(1 << 20)),
            http_date=lambda: DATE,
            deadlines=deadlines or Deadlines(),
            **settings,
        )
        self.listener: Listener = open_tcp("127.0.0.1", 0, 64)[0]
        self.dispatcher.add_listener(self.listener, self.settings)
        self.worker = Worker("leader")
        self.workers = [self.worker]
        assert self.role.enter(self.worker) is Assignment.LEAD

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.dispatcher.abort()
        for exchange in self.exchanges:
            if exchange.state is ExchangeState.RUNNING:  # the test was its task
                exchange.break_off(Fault.CLIENT)
                exchange.settle()
        self.dispatcher.close()
        for job in self.dispatcher.take_callbacks():
            job.run()
        self.listener.close()

    def _handle(self, request: Request, body: BinaryIO | None, exchange: Exchange) -> None:
        self.requests.append(request)
        self._handler(request, body, exchange)

    @property
    def channels(self) -> list[Channel]:
        """The open connections, in the order in which they came."""
        return list(self.dispatcher.channels.values())

    @property
    def exchanges(self) -> list[Exchange]:
        """The present exchange of each of them."""
        return [channel.exchange for channel in self.channels]

    @property
    def phases(self) -> list[str]:
        """What each of them waits for."""
        return [channel.phase for channel in self.channels]

    def turn(self, count: int = 1) -> None:
        """Let the loop turn."""
        for _ in range(count):
            if not self.serve():
                raise AssertionError("the role was lost")
            if self.dispatcher.finished or not self.dispatcher._turn():
                return

    def serve(self) -> bool:
        """Read what is ready, also what a test has put there, and run what is complete; False when the role is lost."""
        dispatcher = self.dispatcher
        dispatcher._unread = len(dispatcher.ready)
        while dispatcher._unread:
            dispatcher._read_ready(self.worker)
            if not dispatcher._catch_up(self.worker):
                return False
        return dispatcher._catch_up(self.worker)

    def settle(self) -> None:
        """Turn until nothing happens any more."""
        quiet = 0
        for _ in range(1000):
            before = len(self.dispatcher.ready)
            self.turn()
            quiet = 0 if self.dispatcher.ready or before else quiet + 1
            self.poller.patience_seconds = 0.002 * quiet
            if quiet > 2:
                self.poller.patience_seconds = 0.0
                return
        raise AssertionError("the loop does not come to rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps of a second at most."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + 1.0)
            self.turn(3)

    def connect(self, **options: Any) -> Client:
        """Open a connection; the loop has accepted it."""
        client = Client(self.listener.socket.getsockname(), timeout=5, **options)
        self.settle()
        return client

    def request(self, client: Client, data: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> None:
        """Send some bytes and let the loop work on them."""
        client.send(data)
        self.settle()

    @contextlib.contextmanager
    def busy(self) -> Iterator[Worker]:
        """Have all task workers at work for a while: the leader is the reserve."""
        worker = Worker("busy")
        self.role.running = self.role.task_limit
        self.worker.is_reserve = True
        try:
            yield worker
        finally:
            self.role.running = 0
            self.worker.is_reserve = False


GET: Final = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
