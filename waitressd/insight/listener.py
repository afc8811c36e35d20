"""The thread that answers at the admin addresses.

One loop over sockets that never block. It takes no lock of the server and touches no disk, so it answers while every
thread of the application hangs, and while the event loop does. It makes answers in slices and rests between them, for
each moment of its work is one in which no other thread has the interpreter.
"""

import contextlib
import errno
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from waitressd import forks
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.attention import Attention
from waitressd.insight.client import Client, ClientState
from waitressd.insight.endpoints import EndpointTable, bad_question, json_answer, refusal_answer
from waitressd.insight.guard import Asked, Door, Refused, judge
from waitressd.insight.rendering import Rendering, Shared, Whole, whole
from waitressd.insight.slowlane import SlowLane
from waitressd.insight.tokens import TokenFile
from waitressd.net.listener import Listener
from waitressd.net.logs import RateLimitedLog, logger, report_defect, say
from waitressd.net.poller import GONE, PEER_CLOSED, READ, Poller, build_poller

MOST_CLIENTS: Final = 64
SLICE_SECONDS: Final = 0.0005
LONGEST_SLICE_SECONDS: Final = 0.005
PAUSE_SECONDS: Final = 0.0001
FRESH_SECONDS: Final = 0.1  # in which a new client may be expected to say what it wants
SPARE_DESCRIPTORS: Final = 2  # with which one that asks is heard when the process has run out of them
CLOSE_SECONDS: Final = 0.25  # for answers that have begun, at the end
JOIN_SECONDS: Final = 2.0
FAILED_SECONDS: Final = 0.1
NEVER: Final = float("inf")

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where answers come from."""

    endpoints: EndpointTable
    tokens: TokenFile
    http_date: Callable[[], str]


class AdminListener:
    """The admin addresses of one server, and the thread that answers there.

    `start` and `close` are for the thread that owns the server; everything behind them is the thread's own.
    """

    def __init__(self, doors: Sequence[tuple[Listener, Door]], desk: Desk) -> None:
        self._doors = {listener.fd: (listener, door) for listener, door in doors}
        self._orders: deque[Callable[[float], None]] = deque()  # of other threads
        self._desk = desk
        self._poller: Poller | None = None
        self._thread: threading.Thread | None = None
        self._closes_at = NEVER
        self._clients: dict[int, Client] = {}
        self._told: dict[int, int] = {}  # what the poller was told of each client
        self._making: deque[Rendering] = deque()
        self._waiting: dict[Rendering, list[Client]] = {}
        self._slice_seconds = SLICE_SECONDS
        self._shared = Shared()
        self._attention = Attention()
        self._slow = SlowLane(self._on_slow_whole)
        self._slow_whole: deque[Rendering] = deque()
        self._spares: list[int] = []
        self._refused_log = RateLimitedLog(logger, logging.WARNING)

    def start(self) -> None:
        """Begin to answer. Raises OSError: the system gives no thread or no descriptor."""
        self._poller = build_poller()
        for fd in self._doors:
            self._poller.add(fd, READ)
        self._refill()
        forks.hold(self)
        self._thread = threading.Thread(target=self._run, name="waitressd-insight", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._thread = None
            self.close()
            raise OSError(errno.EAGAIN, f"cannot start the thread of admin_listen: {error}") from None

    def close(self) -> None:
        """Accept no more, finish the answers that have begun, and give everything back. Twice is harmless."""
        thread, poller = self._thread, self._poller
        if thread is not None and poller is not None:
            self._closes_at = time.monotonic() + CLOSE_SECONDS
            poller.wake()
            thread.join(JOIN_SECONDS)
            self._thread = None
        self._close_doors()
        self._give_back()

    def adopt(self, sock: socket.socket, door: Door) -> None:
        """Serve one connection that somebody else has made, for the account of the server. Any thread."""
        sock.setblocking(False)
        self._order(partial(self._take, sock, door))

    def change(self, doors: Sequence[tuple[Listener, Door]]) -> None:
        """Answer at these addresses from now on, and close the others. Returns when that is so. Any other thread."""
        done = threading.Event()
        wanted = {listener.fd: (listener, door) for listener, door in doors}
        self._order(partial(self._change, wanted, done))
        done.wait(JOIN_SECONDS)

    def _order(self, order: Callable[[float], None]) -> None:
        self._orders.append(order)
        if (poller := self._poller) is not None:
            poller.wake()

    def let_go(self) -> None:
        """Close what a forked child has inherited. The child's only thread."""
        for client in self._clients.values():
            client.socket.close()
        for listener, _ in self._doors.values():
            listener.socket.close()
        for fd in self._spares:
            os.close(fd)
        if self._poller is not None:
            self._poller.close()
        self._orders.clear()
        self._thread = self._poller = None
        self._clients, self._doors, self._spares = {}, {}, []

    # -- the thread

    def _run(self) -> None:
        while True:
            try:
                if self._turn():
                    return
            except Exception:  # border: a defect of ours must not end the one thread that can say so
                report_defect("the thread of the admin address failed and goes on")
                time.sleep(FAILED_SECONDS)

    def _turn(self) -> bool:
        assert self._poller is not None
        events = self._poller.wait(self._timeout())
        now = time.monotonic()
        for fd, mask in events:
            self._hear(fd, mask, now)
        while self._orders:
            self._orders.popleft()(now)
        while self._slow_whole:
            self._complete(self._slow_whole.popleft(), now)
        if self._making:
            self._make_a_slice()
        if self._making:
            self._pause()
        for client in [client for client in self._clients.values() if now >= client.deadline]:
            client.close()
            self._settle(client, now)
        self._shared.forget(now)
        self._attention.look(now)
        return self._closes_at != NEVER and self._may_end(now)

    def _timeout(self) -> float | None:
        if self._making:
            return 0.0
        due = min(
            self._closes_at,
            self._attention.due,
            min(self._shared.due(), default=NEVER),
            min((client.deadline for client in self._clients.values()), default=NEVER),
        )
        return None if due == NEVER else max(0.0, due - time.monotonic())

    def _may_end(self, now: float) -> bool:
        self._close_doors()
        at_work = (ClientState.ASKED, ClientState.WRITING)
        if now < self._closes_at and any(client.state in at_work for client in self._clients.values()):
            return False
        self._slow.close()
        return True

    # -- clients

    def _hear(self, fd: int, mask: int, now: float) -> None:
        if fd in self._doors:
            self._accept(*self._doors[fd], now)
            return
        client = self._clients.get(fd)
        if client is None:  # closed for another one in this turn
            return
        if client.state is ClientState.WRITING:
            client.write(now)
        elif client.mask & READ:
            if (asked := client.read(now)) is not None:
                self._ask(client, asked, now)
        elif mask & GONE or (mask & PEER_CLOSED and self._waits_long(client)):
            client.close()
        self._settle(client, now)

    def _accept(self, listener: Listener, door: Door, now: float) -> None:
        for _ in range(MOST_CLIENTS):
            try:
                accepted = listener.accept()
            except OSError as error:
                if error.errno not in _EXHAUSTED or not self._make_room(now):
                    time.sleep(FAILED_SECONDS)  # nothing can be done, and nobody is served who would wait meanwhile
                    return
                continue
            if accepted is None:
                return
            self._welcome(Client(*accepted, door, now), now)

    def _welcome(self, client: Client, now: float) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            self._evict(now)
        self._clients[client.fd] = client
        # It mostly has said what it wants already; else nobody could tell a probe from a client that is silent.
        if (asked := client.read(now)) is not None:
            self._ask(client, asked, now)
        self._settle(client, now)

    def _take(self, sock: socket.socket, door: Door, now: float) -> None:
        client = Client(sock, "", door, now)
        client.uid = os.geteuid()
        self._welcome(client, now)

    def _change(self, wanted: dict[int, tuple[Listener, Door]], done: threading.Event, _now: float) -> None:
        assert self._poller is not None
        for fd in self._doors.keys() - wanted.keys():
            self._poller.remove(fd)
            self._doors[fd][0].close()
        for fd in wanted.keys() - self._doors.keys():
            self._poller.add(fd, READ)
        self._doors = wanted
        done.set()

    def _make_room(self, now: float) -> bool:
        """Give a descriptor up, so that one that asks is heard."""
        if self._spares:
            os.close(self._spares.pop())
            return True
        return self._evict(now)

    def _evict(self, now: float) -> bool:
        """Close whoever is the least loss; False if there is nobody."""
        victim = min(self._clients.values(), key=lambda client: _loss(client, now), default=None)
        if victim is None:
            return False
        victim.close()
        self._settle(victim, now)
        return True

    def _settle(self, client: Client, now: float) -> None:
        """See to it that what follows for a client can happen."""
        assert self._poller is not None
        if self._clients.get(client.fd) is not client:  # closed before; the number may be another one's by now
            return
        # What it has sent with its last request, or before that was answered.
        while client.state is ClientState.READING and client.answered:
            if (asked := client.next_request(now)) is None:
                break
            self._ask(client, asked, now)
        told = self._told.get(client.fd)
        if client.state is ClientState.CLOSED:
            if told is not None:
                self._poller.remove(client.fd)
                del self._told[client.fd]
            del self._clients[client.fd]
            client.socket.close()
            self._refill()
            self._give_up()
        elif told != client.mask:
            self._told[client.fd] = client.mask
            (self._poller.add if told is None else self._poller.modify)(client.fd, client.mask)

    # -- answers

    def _ask(self, client: Client, asked: Request | HttpError, now: float) -> None:
        self._attention.attract(now)
        if isinstance(asked, HttpError):
            document = {"error": asked.detail, "setting": None}
            self._answer(client, whole(json_answer(asked.status, document, asked.fields)), now)
            return
        found = self._judge(client, asked)
        if not isinstance(found, Answer):
            self._begin(client, *found, now)
            return
        made = whole(found)
        if asked.method == "POST":
            self._refused_log("admin: POST by %s at %s was refused: %s", client.peer, client.door.name, _text(made))
        self._answer(client, made, now)

    def _judge(self, client: Client, request: Request) -> tuple[Query, Endpoint] | Answer:
        """Return what is asked and what answers it, or the answer to somebody who may not ask it."""
        desk, door = self._desk, client.door
        is_owner = door.is_unix and client.uid in (0, os.geteuid())
        try:
            return judge(Asked(request, door, desk.tokens.tokens, is_owner), desk.endpoints)
        except Refused as refused:
            return refusal_answer(refused, desk.endpoints.paths(door) if refused.status == 404 else None)
        except BadQuestion as error:
            return bad_question(str(error))

    def _begin(self, client: Client, query: Query, endpoint: Endpoint, now: float) -> None:
        parameters = tuple(sorted(query.parameters.items()))
        key = (client.door.name, query.path, parameters, query.accept)
        rendering = self._shared.find(key, now)
        if rendering is None:
            rendering = Rendering(query, endpoint)
            if not endpoint.is_slow:
                self._making.appendleft(rendering)
            elif not self._slow.take(rendering):
                document = {"error": "Too much is being made at the same time; ask again.", "setting": None}
                self._answer(client, whole(json_answer(503, document, (("Retry-After", "1"),))), now)
                return
            self._shared.begin(key, rendering)
        if rendering.whole is not None:
            self._answer(client, rendering.whole, now)
        else:
            self._waiting.setdefault(rendering, []).append(client)

    def _pause(self) -> None:
        """Let others have the interpreter, and then work for as long as they have had it.

        Where threads compute, each pause is long, and an answer must not need many. The poller would make a millisecond
        of a short one.
        """
        begin = time.monotonic()
        time.sleep(PAUSE_SECONDS)
        self._slice_seconds = min(LONGEST_SLICE_SECONDS, max(SLICE_SECONDS, time.monotonic() - begin))

    def _make_a_slice(self) -> None:
        rendering = self._making.popleft()
        if not any(client.state is ClientState.ASKED for client in self._waiting[rendering]):
            self._shared.drop(rendering)  # all have gone
            del self._waiting[rendering]
        elif rendering.work(self._slice_seconds):
            self._complete(rendering, time.monotonic())
        else:
            self._making.append(rendering)

    def _waits_long(self, client: Client) -> bool:
        """Whether a client waits for an answer that is slow: there, the end of what it sends means that it has left.

        It cannot be told from one that has only nothing more to say; an answer that is quick is sent to both.
        """
        return any(rendering.endpoint.is_slow and client in waiting for rendering, waiting in self._waiting.items())

    def _give_up(self) -> None:
        """Have slow answers end that nobody waits for any more; what changes something is done and told anyway."""
        for rendering, clients in list(self._waiting.items()):
            is_long = rendering.endpoint.is_slow and rendering.query.method == "GET"
            if is_long and not any(client.state is ClientState.ASKED for client in clients):
                rendering.is_given_up = True
                self._shared.drop(rendering)
                del self._waiting[rendering]

    def _complete(self, rendering: Rendering, now: float) -> None:
        made = rendering.whole
        assert made is not None
        self._shared.complete(rendering, now)
        if rendering.query.method == "POST":
            self._shared.clear()
        for client in self._waiting.pop(rendering, ()):
            if rendering.query.method == "POST":
                values = rendering.endpoint.path, client.peer, client.door.name, _text(made)
                say(logging.WARNING, "admin: POST %s by %s at %s: %s", *values)
            self._answer(client, made, now)
            self._settle(client, now)

    def _answer(self, client: Client, made: Whole, now: float) -> None:
        client.answer(made, self._desk.http_date(), now)

    def _on_slow_whole(self, rendering: Rendering) -> None:
        """Take an answer from the slow lane, whose thread calls this."""
        self._slow_whole.append(rendering)
        if (poller := self._poller) is not None:
            poller.wake()

    # -- what is held

    def _refill(self) -> None:
        while len(self._spares) < SPARE_DESCRIPTORS:
            try:
                self._spares.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return

    def _close_doors(self) -> None:
        for fd, (listener, _) in self._doors.items():
            if self._poller is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._poller.remove(fd)
            listener.close()
        self._doors = {}

    def _give_back(self) -> None:
        """Close everything else. The thread has ended."""
        forks.drop(self)
        self._attention.end()
        for client in self._clients.values():
            client.close()
            client.socket.close()
        self._clients = {}
        for fd in self._spares:
            os.close(fd)
        self._spares = []
        if self._poller is not None:
            self._poller.close()
            self._poller = None


def _loss(client: Client, now: float) -> tuple[int, float]:
    """Rank a client by what is lost with it: who has been silent longest without a request comes first."""
    match client.state:
        case ClientState.LINGERING:
            rank = 0
        case ClientState.READING if client.is_idle:
            rank = 2
        case ClientState.READING:
            rank = 1 if now - client.since >= FRESH_SECONDS else 4
        case ClientState.WRITING:
            rank = 3
        case _:
            rank = 5
    return rank, client.since


def _text(made: Whole) -> str:
    return f"{made.status} {' '.join(made.body[:200].decode('ascii', 'backslashreplace').split())}"
