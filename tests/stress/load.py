"""A server with real threads, clients that do everything at once and check every byte, and what is left afterwards.

What each client does follows from the seed; how the threads meet does not, so a failure names the seed and the step and
may need several runs to come back. `tests.simulation` and `tests.model` are there for what must come back exactly.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.support.client import BrokenAnswerError, Client, Response
from tests.support.servers import RunningServer, running_server

SETTINGS: Final[dict[str, Any]] = {
    "threads": 4,
    "connection_limit": 500,
    "channel_timeout": 20,
    "send_timeout": 10,
    "outbuf_overflow": 20_000,
    "outbuf_high_watermark": 100_000,
    "inbuf_overflow": 3_000,
    "recv_bytes": 4096,
    "linger_timeout": 1,
}
LARGE_BYTES: Final = 600_000
CLOSE_WAIT: Final = "08"  # as /proc/net/tcp has it
IDLE_SECONDS: Final = 0.5


class Application:
    """Answers what the target asks for; naps now and then, so that the role moves."""

    def __init__(self) -> None:
        self.open_bodies = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        _, mode, name, size = environ["PATH_INFO"].split("/")
        body = content(name, int(size))
        received = environ["wsgi.input"].read()
        fields = [("Content-Type", "text/plain"), ("X-Name", name), ("X-Received", str(len(received)))]
        if mode == "nap":
            time.sleep(int(size) % 7 / 1000)
        elif mode == "burn":
            end = time.thread_time() + 0.002
            while time.thread_time() < end:
                pass
        if mode == "stream":
            start_response("200 OK", fields)
            return self._stream(body)
        start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
        if mode == "write":
            return [body[: len(body) // 2], body[len(body) // 2 :]]
        return [body]

    def _stream(self, body: bytes) -> Iterator[bytes]:
        with self._lock:
            self.open_bodies += 1
        try:
            for start in range(0, len(body), 50_000):
                yield body[start : start + 50_000]
        finally:
            with self._lock:
                self.open_bodies -= 1


def content(name: str, size: int) -> bytes:
    """Return the body of the answer to a request of this name."""
    unit = f"{name};".encode()
    return (unit * (size // len(unit) + 1))[:size]


class Visitor:
    """One client thread: one connection after the other until the time is over."""

    def __init__(self, server: RunningServer, number: int, seed: int) -> None:
        self.random = random.Random(seed * 1000 + number)
        self.done: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self._server = server
        self._number = number
        self._serial = 0
        self._habits: tuple[Callable[[Client], None], ...] = (
            self._ask_politely, self._ask_politely, self._pipeline, self._half_close, self._upload,
            self._upload_chunked, self._read_slowly, self._reset, self._leave, self._stop_reading,
            self._drip, self._break_rules,
        )  # fmt: skip

    def visit(self, end: float) -> None:
        """Come again and again. What goes wrong is kept in `failure`."""
        habit: Callable[[Client], None] | None = None
        try:
            while time.monotonic() < end:
                habit = self.random.choice(self._habits)
                with self._server.connect(timeout=25) as client:
                    habit(client)
                self.done[habit.__name__.strip("_").replace("_", " ")] += 1
        except BaseException as error:  # border: the thread that started this one raises it
            error.add_note(f"client {self._number}, visit {sum(self.done.values())}, {habit}")
            self.failure = error

    def _request(self, mode: str = "", size: int = -1, *fields: str, body: bytes = b"") -> tuple[bytes, str, int]:
        self._serial += 1
        name = f"{self._number}.{self._serial}"
        mode = mode or self.random.choice(("plain", "plain", "nap", "burn", "stream", "write"))
        size = size if size >= 0 else self.random.choice((0, 1, 100, 5_000, 70_000))
        method = "POST" if fields else "GET"
        lines = [f"{method} /{mode}/{name}/{size} HTTP/1.1", "Host: x", *fields, "", ""]
        return "\r\n".join(lines).encode() + body, name, size

    @staticmethod
    def _check(response: Response, name: str, size: int, received: int = 0) -> None:
        expected = (200, name, str(received), content(name, size))
        found = (response.status, response.get("X-Name"), response.get("X-Received"), response.body)
        if found != expected:
            raise BrokenAnswerError(f"expected {name} with {size} bytes, got {found[:3]} with {len(response.body)}")

    def _ask_politely(self, client: Client) -> None:
        for _ in range(self.random.randint(1, 10)):
            data, name, size = self._request()
            self._check(client.request(data), name, size)

    def _pipeline(self, client: Client) -> None:
        requests = [self._request(size=self.random.choice((0, 10, 3000))) for _ in range(self.random.randint(2, 40))]
        client.send(b"".join(data for data, _, _ in requests))
        for _, name, size in requests:
            self._check(client.receive(), name, size)

    def _half_close(self, client: Client) -> None:
        requests = [self._request(size=50) for _ in range(self.random.randint(1, 5))]
        client.send(b"".join(data for data, _, _ in requests))
        client.finish_sending()
        for _, name, size in requests:
            self._check(client.receive(), name, size)
        client.expect_closed()

    def _upload(self, client: Client) -> None:
        body = b"u" * self.random.choice((1, 2_000, 50_000))
        data, name, size = self._request("nap", 5, f"Content-Length: {len(body)}")
        client.send(data)
        for start in range(0, len(body), 10_000):
            client.send(body[start : start + 10_000])
        self._check(client.receive("POST"), name, size, len(body))

    def _upload_chunked(self, client: Client) -> None:
        chunks = [b"c" * self.random.randint(1, 5_000) for _ in range(self.random.randint(0, 8))]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        data, name, size = self._request("plain", 5, "Transfer-Encoding: chunked", body=body)
        follower, next_name, next_size = self._request()
        client.send(data + follower)
        self._check(client.receive("POST"), name, size, sum(map(len, chunks)))
        self._check(client.receive(), next_name, next_size)

    def _read_slowly(self, client: Client) -> None:
        data, name, size = self._request("stream", LARGE_BYTES)
        client.send(data)
        time.sleep(self.random.random() * 0.2)
        self._check(client.receive(), name, size)

    def _reset(self, client: Client) -> None:
        data, _, _ = self._request(self.random.choice(("nap", "stream", "plain")), LARGE_BYTES)
        client.send(data[: self.random.choice((5, 1000))])
        time.sleep(self.random.choice((0, 0.001, 0.01)))
        client.reset()

    def _leave(self, client: Client) -> None:
        client.send(b"".join(self._request()[0] for _ in range(self.random.randint(0, 5))))

    def _stop_reading(self, client: Client) -> None:
        client.send(b"".join(self._request("stream", LARGE_BYTES)[0] for _ in range(3)))
        time.sleep(self.random.random() * 0.1)
        if self.random.random() < 0.5:
            client.reset()

    def _drip(self, client: Client) -> None:
        data, name, size = self._request(size=10)
        client.send_bytewise(data)
        self._check(client.receive(), name, size)

    def _break_rules(self, client: Client) -> None:
        data, name, size = self._request(size=10)
        client.send(data + b"GET / HTTP/1.1\r\nHost : x\r\n\r\n" + data)
        self._check(client.receive(), name, size)
        if (status := client.receive().status) != 400:
            raise BrokenAnswerError(f"{status} instead of 400")
        client.expect_closed()


def run(seconds: float, seed: int, clients: int = 12) -> "Counter[str]":
    """Let the clients visit for so long; return what they did. Raises what went wrong first, and for what is left."""
    application = Application()
    with running_server(application, **SETTINGS) as server:
        visitors = [Visitor(server, number, seed) for number in range(clients)]
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=visitor.visit, args=(end,)) for visitor in visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for visitor in visitors:
            if visitor.failure is not None:
                visitor.failure.add_note(f"seed {seed}")
                raise visitor.failure
        expect_rest(server, application)
    return sum((visitor.done for visitor in visitors), Counter())


def expect_rest(server: RunningServer, application: Application) -> None:
    """Fail unless the server comes to rest: no client, no answer in the making, no CPU."""
    deadline = time.monotonic() + 20
    while (left := leftovers(server, application)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"still there 20 s after the last client: {left}"
    before = time.process_time()
    time.sleep(IDLE_SECONDS)
    used = time.process_time() - before
    assert used < 0.05 * IDLE_SECONDS, f"{used / IDLE_SECONDS:.0%} of a processor while nothing happens"


def leftovers(server: RunningServer, application: Application) -> list[str]:
    """Say what the server still holds."""
    running = server.server._running
    assert running is not None
    dispatcher = running.lanes[0].dispatcher
    found = [f"a connection in state {channel.phase}" for channel in list(dispatcher.channels.values())]
    if application.open_bodies:
        found.append(f"{application.open_bodies} bodies that nobody closed")
    if dispatcher.role.queue or dispatcher.role.running:
        found.append("tasks")
    return found + half_closed_sockets(server.port)


def half_closed_sockets(port: int) -> list[str]:
    """Name the sockets of the server whose client has closed and which it keeps."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == CLOSE_WAIT and int(columns[1].partition(":")[2], 16) == port:
                found.append(f"{columns[1]} in CLOSE_WAIT")
    return found
