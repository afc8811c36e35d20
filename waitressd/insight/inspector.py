"""Who is in the server, where they hang, since when: read off the running server at the moment of the question.

There is no registry. Workers, channels and the queue are the registry, and who looks pays: a request writes nothing
down for it. No lock is taken, and nothing is changed; what is copied is copied in one step of the interpreter. So it
works while every thread hangs, while the event loop is stuck, and while a lock of the server is never given back.

What comes out are values that do not change. Any thread, but one at a time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from waitressd.dispatch.lane import Lane
from waitressd.dispatch.role import Worker
from waitressd.http.events import Request
from waitressd.insight.cpushares import CpuShares, native_id_of
from waitressd.insight.documents import text, without_user_info
from waitressd.insight.looks import LOOK_THREADS, Look, look_at
from waitressd.insight.slices import Steps, Stopwatch
from waitressd.insight.threads import Threads, ThreadView, exchange_id
from waitressd.net import phases
from waitressd.net.channel import Channel
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import route_of
from waitressd.net.progress import NEVER
from waitressd.net.recorder import received_bytes
from waitressd.net.stacks import NOWHERE, Stack
from waitressd.net.states import ExchangeState

PHASES: Final = ("head", "body", "queued", "application", "flush")
"""What a request may be waiting for."""
LOOK_CHANNELS: Final = 16  # that are looked at between two looks at the clock
ADDRESS_CHARACTERS: Final = 200  # of a client's address, as the application has it

_PHASE_OF: Final = {"head": "head", "body": "body", "queued": "queued", "running": "application", "flushing": "flush"}


class RequestView(NamedTuple):
    """One request at one moment. Times in seconds; None is unknown, or means nothing in this phase."""

    id: str
    """WORKER-CONNECTION-REQUEST."""
    request_id: str | None
    """What a request log calls it."""
    worker: int
    phase: str
    """One of PHASES."""
    age_seconds: float
    """Since its first byte."""
    phase_seconds: float
    queue_seconds: float | None
    """How long it has waited for a thread, or had to."""
    method: str | None
    target: str | None
    """Up to the question mark, unless the operator wants more."""
    has_query: bool
    route: str | None
    client: str
    """The address of whom the trusted proxies say it is."""
    peer: str
    """The other end of the connection, with its port."""
    listener: str
    received_bytes: int
    """Of its body."""
    expected_bytes: int | None
    """The length of its body, if it was said."""
    sent_bytes: int
    """Of the body of its response: what the kernel has taken."""
    pending_bytes: int
    """Of the response, what the kernel has not taken."""
    status: int | None
    """Of the response, once its head was sent."""
    thread: str | None
    native_id: int | None
    cpu_share: float | None
    """Of one processor, by its thread: 0 for one that waits, 1 for one that computes."""
    place: str | None
    """Where its thread is: "file:line function"."""
    unchanged_seconds: float | None
    """For how long that has been the same."""
    limit_seconds: float | None
    """How long it may run."""
    overdue: bool
    """Whether it has run for longer."""
    answered_status: int | None
    """What the client was told in its place."""
    client_gone: bool
    """Whether its client has left, or will send no more at least."""
    stack: Stack
    """Of its thread."""


class Found(NamedTuple):
    """A request that is in the server, by what it is chosen by; what is not chosen is not looked at any further."""

    age_seconds: float
    phase: str
    route: str
    at: float
    """When it was found, monotonic seconds."""
    view: RequestView | None
    """All of it, for one that a thread runs: its stack belongs to this moment."""
    channel: Channel | None
    """Where it waits, for every other one."""
    number: int
    """Which request of its connection it is."""


class ConnectionView(NamedTuple):
    """One connection at one moment. Times in seconds; None is unknown."""

    id: str
    """WORKER-CONNECTION."""
    state: str
    """One of `phases.STATES`."""
    state_seconds: float | None
    age_seconds: float
    deadline_seconds: float | None
    """How long it may yet stay in this state; None for as long as it likes."""
    client: str
    peer: str
    listener: str
    requests: int
    """How many it has brought, the present one included."""
    received_bytes: int
    """Since it was opened, everything included."""
    sent_bytes: int
    pending_bytes: int
    method: str | None
    """Of the present request."""
    target: str | None


class Standing(NamedTuple):
    """What a connection waits for, and since when; monotonic seconds."""

    channel: Channel
    state: str
    since: float | None
    client: str


class Standings:
    """What every open connection waits for: four columns, so that ten thousand of them are no work for the collector.

    It would look at all that the application has as well, and keep everybody waiting meanwhile.
    """

    __slots__ = ("channels", "clients", "since", "states")

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.states: list[str] = []
        self.since: list[float | None] = []
        self.clients: list[str] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.channels)

    def __iter__(self) -> Iterator[Standing]:
        """Yield each."""
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> Standing:
        """Return one of them."""
        return Standing(self.channels[number], self.states[number], self.since[number], self.clients[number])


class Seen(Protocol):
    """Where a request was found by whoever looks now and then."""

    @property
    def place(self) -> str:
        """At the last look."""

    @property
    def since(self) -> float:
        """Since when it has been there, monotonic seconds."""


class TimeLimit(NamedTuple):
    """What is said of a request that may run only so long."""

    limit_seconds: float | None = None
    overdue: bool = False
    answered_status: int | None = None
    """What its client was told in its place, once it was."""


NO_LIMIT: Final = TimeLimit()


class Inspector:
    """Looks at the lanes of one server. `lanes` returns those that run; `worker` is the number of this process."""

    def __init__(
        self,
        lanes: Callable[[], Sequence[Lane]],
        *,
        worker: int = 1,
        shows_query: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = worker
        self.clock = clock
        self.seen: Callable[[Exchange], Seen | None] = _unseen
        """Where a request was found at earlier looks."""
        self.time_limit: Callable[[Exchange], TimeLimit] = _without_limit
        """What limit a request has that runs."""
        self._lanes = lanes
        self._shares = CpuShares(clock)
        self._shows_query = shows_query

    def on_tick(self, now: float) -> None:
        """Note what threads use that have been at it for a while, so that one question is enough to know their share.

        About once a second, in one thread.
        """
        for worker in self.busy_workers():
            if now - worker.started >= 1.0:
                self._shares.share(native_id_of(worker.thread_id))

    @property
    def connection_limit(self) -> int:
        """How many connections may be open."""
        return sum(lane.dispatcher.bounds.connection_limit for lane in self._lanes())

    def busy_workers(self) -> list[Worker]:
        """Return the workers that are inside a task."""
        return [worker for lane in self._lanes() for worker in lane.busy_workers()]

    # -- threads

    def threads(self, watcher_id: int) -> Steps[list[ThreadView]]:
        """Return every thread of the process; `watcher_id` is the one that looks after the lanes. Pauses."""
        return Threads(self._lanes(), watcher_id, self.worker, self._shares).views(self.clock())

    # -- requests

    def requests(self) -> Steps[list[RequestView]]:
        """Return every request that is in the server, the oldest first. Pauses between slices."""
        found = yield from self.found()
        return [view for each in found if (view := self.view(each)) is not None]

    def found(self) -> Steps[list[Found]]:
        """Return every request that is in the server, the oldest first, for `view`. Pauses between slices."""
        now = self.clock()  # of all of them: the ages of two requests differ by what they differ
        found: dict[tuple[Exchange, int], Found] = {}
        watch = Stopwatch()
        workers = {worker.thread_id: worker for worker in self.busy_workers()}
        ids = list(workers)
        for first in range(0, len(ids), LOOK_THREADS):
            for look in look_at(ids[first : first + LOOK_THREADS], workers):
                view, exchange = self._running(look, workers[look.thread_id], now), look.exchange
                if view is None or exchange is None:
                    continue
                # Of two workers that say they have it, without stacks to tell, it is the one that began later.
                other = found.get((exchange, look.number))
                if other is None or other.view is None or view.phase_seconds < other.view.phase_seconds:
                    one = Found(view.age_seconds, view.phase, view.route or "", now, view, None, look.number)
                    found[exchange, look.number] = one
            if watch.rings():
                yield
                watch.restart()
        for number, channel in enumerate(self._channels()):
            exchange = channel.exchange
            # Most connections are idle: they are passed over at the cost of a few comparisons.
            if exchange.state is not ExchangeState.IDLE or exchange.request is not None:
                waiting = self._waiting(channel, now)
                if waiting is not None:
                    found.setdefault((exchange, waiting.number), waiting)
            if number % LOOK_CHANNELS == 0 and watch.rings():
                yield
                watch.restart()
        return sorted(found.values(), key=lambda each: -each.age_seconds)

    def view(self, found: Found) -> RequestView | None:
        """Return all of a request that was found, as it is by now; None if it has ended.

        One that a thread has just taken or given back is with neither: it is shown without a thread.
        """
        channel = found.channel
        if channel is None:
            return found.view
        exchange, state = channel.exchange, phases.state_of(channel)
        if exchange.number != found.number or state not in _PHASE_OF:
            return None
        view = self._view(exchange, self._phase(channel, state, found.at), None)
        return view if (exchange.number, phases.state_of(channel)) == (found.number, state) else None

    def _id_of(self, exchange: Exchange) -> str:
        return exchange_id(self.worker, exchange, exchange.number)

    def _channels(self) -> Iterator[Channel]:
        for lane in self._lanes():
            # list() of a dictionary's values is one step of the interpreter: the holder may add and remove meanwhile.
            yield from list(lane.dispatcher.channels.values())

    def _running(self, look: Look, worker: Worker, now: float) -> RequestView | None:
        """The request that a worker runs; None where it runs none."""
        exchange = look.exchange
        if exchange is None:
            return None
        view = self._view(exchange, _Phase("running", look.started, now), _Task(worker, look.stack))
        return view if view.id == exchange_id(self.worker, exchange, look.number) else None

    def _waiting(self, channel: Channel, now: float) -> Found | None:
        """The request of a connection as it is without a thread; None where there is none."""
        exchange = channel.exchange
        number, state = exchange.number, phases.state_of(channel)
        if state not in _PHASE_OF:
            return None
        phase, environ = self._phase(channel, state, now), exchange.environ
        route = route_of(environ) if environ is not None else ""
        return Found(_age_seconds(exchange, phase), _PHASE_OF[phase.state], route, now, None, channel, number)

    def _phase(self, channel: Channel, state: str, now: float) -> "_Phase":
        returned_at = channel.exchange.returned_at
        if state == "running" and returned_at:
            return _Phase("flushing", returned_at, now)  # but for the holder's word
        return _Phase(state, phases.since(channel, state), now)

    def _view(self, exchange: Exchange, phase: "_Phase", task: "_Task | None") -> RequestView:
        state, now = phase.state, phase.now
        since = now if phase.since is None else phase.since
        request, environ = exchange.request, exchange.environ
        place = task.stack.place if task is not None else ""
        limit = self.time_limit(exchange) if task is not None else NO_LIMIT
        native_id = native_id_of(task.worker.thread_id) if task is not None else None
        sent_bytes, pending_bytes, status = _response_of(exchange, state)
        target = request.target if request is not None else None
        return RequestView(
            id=self._id_of(exchange),
            request_id=text(_said(environ, "waitressd.request_id")),
            worker=self.worker,
            phase=_PHASE_OF[state],
            age_seconds=_age_seconds(exchange, phase),
            phase_seconds=_seconds(now - since),
            queue_seconds=_queue_seconds(exchange, state, since, now),
            method=text(request.method) if request is not None else None,
            target=self._shown(target),
            has_query=target is not None and "?" in target,
            route=(route_of(environ) or None) if environ is not None else None,
            client=client_of(exchange),
            peer=str(exchange.origin.peer),
            listener=exchange.origin.listener,
            received_bytes=received_bytes(request, exchange.upload) if request is not None else 0,
            expected_bytes=_expected_bytes(request),
            sent_bytes=sent_bytes,
            pending_bytes=pending_bytes,
            status=status,
            thread=task.worker.name if task is not None else None,
            native_id=native_id,
            cpu_share=self._shares.share(native_id),
            place=place or None,
            unchanged_seconds=self._unchanged_seconds(exchange, place, now),
            limit_seconds=limit.limit_seconds,
            overdue=limit.overdue,
            answered_status=limit.answered_status,
            client_gone=exchange.is_gone(),
            stack=task.stack if task is not None else NOWHERE,
        )

    def _unchanged_seconds(self, exchange: Exchange, place: str, now: float) -> float | None:
        seen = self.seen(exchange) if place else None
        if seen is None:
            return None
        return _seconds(now - seen.since) if seen.place == place else 0.0

    def _shown(self, target: str | None) -> str | None:
        if target is None:
            return None
        return text(without_user_info(target if self._shows_query else target.partition("?")[0]))

    # -- connections

    def standings(self) -> Steps[Standings]:
        """Return what every open connection waits for, and since when. Pauses between slices.

        The oldest come first: those of one event loop are in the order in which they were accepted.
        """
        found = Standings()
        watch = Stopwatch()
        started = {worker.job: worker.started for worker in self.busy_workers()}
        for number, channel in enumerate(self._channels()):
            state = phases.state_of(channel)
            if state in phases.STATES:
                exchange = channel.exchange
                since = started.get(exchange) if state == "running" else phases.since(channel, state)
                found.channels.append(channel)
                found.states.append(state)
                found.since.append(since)
                found.clients.append(client_of(exchange))
            if number % LOOK_CHANNELS == 0 and watch.rings():
                yield
                watch.restart()
        return found

    def connection(self, standing: Standing, now: float) -> ConnectionView:
        """Return one of them in full. `now` is the monotonic time at which the list was made."""
        channel, state, since, client = standing
        exchange, outbuf = channel.exchange, channel.exchange.outbuf
        is_between = state == "idle" or state in phases.PREFACES
        request, deadline = None if is_between else exchange.request, channel.deadline
        return ConnectionView(
            f"{self.worker}-{channel.number}",
            state,
            _seconds(now - since) if since is not None else None,
            _seconds(now - channel.opened_at),
            _seconds(deadline - now) if deadline < NEVER else None,
            client,
            str(channel.origin.peer),
            channel.origin.listener,
            exchange.number - is_between,
            channel.received_bytes,
            channel.sent_bytes,
            outbuf.unsent_bytes if outbuf is not None else 0,
            text(request.method) if request is not None else None,
            self._shown(request.target) if request is not None else None,
        )


def _seconds(value: float) -> float:
    """A duration, with a tenth of a millisecond, and never a negative one: clocks are read one after the other."""
    return round(value, 4) if value > 0.0 else 0.0


def _age_seconds(exchange: Exchange, phase: "_Phase") -> float:
    began_at = exchange.began_at or exchange.waiting_since or phase.since
    return _seconds(phase.now - began_at) if began_at is not None else 0.0


def client_of(exchange: Exchange) -> str:
    """Return the client's address, as the trusted proxies have it; that of the peer where no task has the request."""
    environ, address = exchange.environ, exchange.origin.peer.address
    return address if environ is None else text(environ.get("REMOTE_ADDR"), ADDRESS_CHARACTERS) or address


class _Phase(NamedTuple):
    """What a request waits for, since when if that is known, and the time of the question."""

    state: str
    since: float | None
    now: float


class _Task(NamedTuple):
    """Who runs a request."""

    worker: Worker
    stack: Stack


def _unseen(_exchange: Exchange) -> None:
    """Where nobody looks now and then."""


def _without_limit(_exchange: Exchange) -> TimeLimit:
    return NO_LIMIT


def _response_of(exchange: Exchange, state: str) -> tuple[int, int, int | None]:
    """How many bytes of its body are with the kernel, how many of it all are not, and its status."""
    encoder, outbuf = exchange.encoder, exchange.outbuf
    head = encoder.response_head if state in ("running", "flushing") else None  # else it is the former one's
    pending_bytes = outbuf.unsent_bytes if outbuf is not None else 0
    if head is None:
        return 0, pending_bytes, None
    return max(0, encoder.body_bytes - pending_bytes), pending_bytes, head.code


def _queue_seconds(exchange: Exchange, state: str, since: float, now: float) -> float | None:
    """How long it has waited for a thread; None where it has not come to that, or never will."""
    complete_at = exchange.waiting_since
    if state == "queued":
        return _seconds(now - since)
    began_at = {"running": since, "flushing": exchange.started_at}.get(state, 0.0)
    return _seconds(began_at - complete_at) if began_at and complete_at else None


def _expected_bytes(request: Request | None) -> int | None:
    if request is None:
        return None
    return 0 if request.complete else request.content_length


def _said(environ: dict[str, Any] | None, name: str) -> object:
    return environ.get(name) if environ is not None else None
