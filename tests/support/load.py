"""The load that a fleet of workers must bear, and the books of it: every request, answered whole or lost.

Kept clients think between two requests on one connection; one-request clients connect anew for each. The application
(`tests.support.site`) answers each with its version and its process. The clients live in one event loop in one thread.
A kept connection that ends after an answer with `Connection: close` was announced. One that ends without is a *silent*
close if not a byte of an answer came; a *late* one if the client had not asked for so long that a server which drains
has given it up, as happens where the machine is too busy for its clients. Every other request without a whole answer is
*lost*, and so is a connection that is refused or reset.
"""

import asyncio
import contextlib
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.support.client import Address, BrokenAnswerError, parse_head

PATIENCE_SECONDS: Final = 0.95
"""A draining server waits for the next request on a kept connection for a second; a client thinks a tenth of that."""

ANSWER_SECONDS: Final = 30.0
"""How long a client waits for an answer before it counts it as lost."""

_BODY: Final = re.compile(rb"(\d+) (\d+)\n")
_RETRY_SECONDS: Final = 0.01
# But for what is said of one process, which begins anew with the next one in its place.
_COUNTED: Final = re.compile(r"^# TYPE (?!process_)(\S+) (counter|histogram)$", re.MULTILINE)
_SAMPLE: Final = re.compile(r"^([a-z_]+)(\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the moments are of the monotonic clock."""

    number: int
    sent: float
    received: float
    version: int
    pid: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """A request without a whole answer, number 0 if none was sent. `pid` has answered before here, or is 0."""

    number: int
    sent: float
    noticed: float
    how: str
    pid: int
    rested: float = 0.0
    """Seconds since the last answer on this connection."""


@dataclass
class Books:
    """What happened to every request."""

    answers: list[Answer] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    silent: list[Loss] = field(default_factory=list)
    late: list[Loss] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    announced: int = 0
    connections: int = 0
    scrapes: int = 0
    fallen: list[str] = field(default_factory=list)

    def versions(self) -> "Counter[int]":
        """Count the answers of each version of the application."""
        return Counter(answer.version for answer in self.answers)

    def last_of(self, version: int) -> float:
        """Return when the last request was sent that this version has answered; 0 if there is none.

        Not when the answer was read: a worker that has answered may be gone before a busy client reads.
        """
        return max((answer.sent for answer in self.answers if answer.version == version), default=0.0)

    def first_by_others(self, pids: frozenset[int], since: float) -> float:
        """Return when a process that is not one of `pids` answered first since then; infinity if none did."""
        return min(
            (answer.received for answer in self.answers if answer.received > since and answer.pid not in pids),
            default=float("inf"),
        )

    def pids(self, since: float) -> frozenset[int]:
        """Name the processes that have answered since then."""
        return frozenset(answer.pid for answer in self.answers if answer.received > since)

    def trouble(self) -> list[str]:
        """Say what no client should ever meet: lost requests, silent closes, wrong answers, counters that fell."""
        kinds = Counter(loss.how for loss in self.lost)
        return [
            *(f"{count} requests lost: {how}" for how, count in kinds.items()),
            *([f"{len(self.silent)} connections closed without announcement"] if self.silent else []),
            *self.wrong[:5],
            *self.fallen[:5],
        ]

    def summary(self) -> str:
        """Return one line of figures."""
        return (
            f"{len(self.answers)} answered, {len(self.lost)} lost, {len(self.silent)} silent closes, "
            f"{len(self.late)} late ones, {self.announced} announced ones, {self.connections} connections, "
            f"{len(self.wrong)} wrong, {self.scrapes} scrapes, {len(self.fallen)} counters fell"
        )


class Load:
    """Clients in a thread of their own, from `start` until `stop`, which waits for the answers under way."""

    def __init__(self, address: Address, *, kept: int = 50, single: int = 20, seed: int = 0) -> None:
        self.books = Books()
        self.metrics: Address | None = None
        """Where a metrics page is, scraped four times a second."""
        self.think_seconds = 0.1
        self.rest_seconds = 0.0
        """What a one-request client waits between two requests."""
        self._address = address
        self._clients = kept, single
        self._seed = seed
        self._number = 0
        self._ending = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="load")

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        """Load the server while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> Books:
        """Send no more requests, wait for the answers that are due, and close the books. Twice is harmless."""
        self._ending.set()
        self._thread.join(ANSWER_SECONDS + 10)
        assert not self._thread.is_alive(), "the load did not come to an end"
        if self._failures:
            raise self._failures[0]
        return self.books

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as failure:  # border: the thread of the test raises it in `stop`
            self._failures.append(failure)

    async def _all(self) -> None:
        kept, single = self._clients
        async with asyncio.TaskGroup() as group:
            for number in range(kept):
                group.create_task(self._keep(random.Random(f"{self._seed} {number}")))
            for _ in range(single):
                group.create_task(self._come_and_go())
            if self.metrics:
                group.create_task(Scraper(self.metrics, self.books).scrape(self._ending.is_set))

    async def _keep(self, dice: random.Random) -> None:
        connection: Connection | None = None
        while not self._ending.is_set():
            await asyncio.sleep(dice.random() * self.think_seconds)
            if connection is None or connection.has_ended():
                connection = await self._connect()
            if connection is not None and not await connection.ask(self._count()):
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    async def _come_and_go(self) -> None:
        while not self._ending.is_set():
            connection = await self._connect()
            if connection is not None:
                await connection.ask(self._count(), leave=True)
                connection.close()
            await asyncio.sleep(self.rest_seconds)

    def _count(self) -> int:
        self._number += 1
        return self._number

    async def _connect(self) -> "Connection | None":
        sock = await connect(self._address)
        if isinstance(sock, socket.socket):
            self.books.connections += 1
            return Connection(sock, self.books)
        now = time.monotonic()
        self.books.lost.append(Loss(self._count(), now, now, f"not connected: {sock}", 0))
        await asyncio.sleep(_RETRY_SECONDS)
        return None


async def connect(address: Address) -> "socket.socket | str":
    """Return a connected socket, or the reason why there is none."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except BlockingIOError:  # the backlog of a Unix socket is full; a client that blocks would wait
            await asyncio.sleep(_RETRY_SECONDS)
        except OSError as error:  # TimeoutError is one
            sock.close()
            return type(error).__name__
        else:
            return sock


class Connection:
    """One connection of a client. Not for use by two tasks."""

    def __init__(self, sock: socket.socket, books: Books) -> None:
        self._sock = sock
        self._books = books
        self._pid = 0
        self._answered = time.monotonic()

    def close(self) -> None:
        """Close the socket; twice is harmless."""
        self._sock.close()

    def has_ended(self) -> bool:
        """Whether the server has closed while the client was thinking; if so that is noted."""
        try:
            data = self._sock.recv(1)
        except BlockingIOError:
            return False
        except OSError as error:
            how = type(error).__name__
        else:
            how = "closed while idle"
            if data:
                self._books.wrong.append(f"{data!r} from {self._pid} without a request")
        now = time.monotonic()
        self._note_close(Loss(0, now, now, how, self._pid, now - self._answered))
        self._sock.close()
        return True

    def _note_close(self, loss: Loss) -> None:
        (self._books.late if loss.rested > PATIENCE_SECONDS else self._books.silent).append(loss)

    async def ask(self, number: int, *, leave: bool = False) -> bool:
        """Send one request and note what becomes of it; return whether the connection can be used again."""
        last = "Connection: close\r\n" if leave else ""
        request = f"GET /r/{number} HTTP/1.1\r\nHost: load\r\n{last}\r\n".encode()
        sent = time.monotonic()
        data = b""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await loop.sock_sendall(self._sock, request)
                while not is_whole(data):
                    more = await loop.sock_recv(self._sock, 65536)
                    if not more:
                        raise EOFError
                    data += more
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            how = f"{type(error).__name__} after {len(data)} bytes"
            loss = Loss(number, sent, time.monotonic(), how, self._pid, sent - self._answered)
            if not data and self._pid and not isinstance(error, TimeoutError):
                self._note_close(loss)
            else:
                self._books.lost.append(loss)
            return False
        return self._note(number, sent, data, leave=leave) and not leave

    def _note(self, number: int, sent: float, data: bytes, *, leave: bool) -> bool:
        block, _, body = data.partition(b"\r\n\r\n")
        try:
            head = parse_head(block)
        except BrokenAnswerError as error:
            self._books.wrong.append(str(error))
            return False
        found = _BODY.fullmatch(body)
        if head.status != 200 or found is None:
            self._books.wrong.append(f"request {number}: {head.status} with {body[:100]!r}")
        else:
            self._pid = int(found[2])
            answer = Answer(number, sent, time.monotonic(), int(found[1]), self._pid, not leave)
            self._books.answers.append(answer)
            self._answered = answer.received
        if head.closes and not leave:
            self._books.announced += 1
        return not head.closes


def is_whole(data: bytes) -> bool:
    """Whether an answer with a Content-Length has arrived to its end."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return False
    length = re.search(rb"(?mi)^content-length: (\d+)\r?$", head)
    return length is None or len(body) >= int(length[1])


class Scraper:
    """Reads a metrics page again and again and compares each counter with what it was."""

    SECONDS: Final = 0.25

    def __init__(self, address: Address, books: Books) -> None:
        self._address = address
        self._books = books
        self._last: dict[str, float] = {}

    async def scrape(self, is_over: Callable[[], bool]) -> None:
        """Read it until it is over, and once more."""
        loop = asyncio.get_running_loop()
        going_on = True
        while going_on:
            going_on = not is_over()
            began = loop.time()
            page = await self._read()
            if page:
                self._books.scrapes += 1
                self._books.fallen.extend(self._compare(page))
            await asyncio.sleep(max(0.0, began + self.SECONDS - loop.time()) if going_on else 0)

    async def _read(self) -> str:
        sock = await connect(self._address)
        if not isinstance(sock, socket.socket):
            self._books.fallen.append(f"the metrics are away: {sock}")
            return ""
        loop = asyncio.get_running_loop()
        data = b""
        try:
            await loop.sock_sendall(sock, b"GET /metrics HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")
            while more := await loop.sock_recv(sock, 1 << 20):
                data += more
        except OSError as error:
            self._books.fallen.append(f"the metrics are cut off: {type(error).__name__}")
        finally:
            sock.close()
        return data.decode() if is_whole(data) else ""

    def _compare(self, page: str) -> Iterator[str]:
        counted = tuple(name for name, _ in _COUNTED.findall(page))
        now = {name + labels: float(value) for name, labels, value in _SAMPLE.findall(page) if name.startswith(counted)}
        for name, value in self._last.items():
            if name not in now:
                yield f"{name} was {value} and is gone"
            elif now[name] < value:
                yield f"{name} fell from {value} to {now[name]}"
        self._last.update(now)
