"""One run: a machine, a server on it, its clients, and what must hold after every step and at the end."""

import contextlib
import errno
import fcntl
import itertools
import logging
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, BinaryIO, Final, Self, cast

from tests.simulation.application import MOODS, Application, Body
from tests.simulation.client import SimClient
from tests.simulation.kernel import Kernel, SimListenSocket, SimPoller
from tests.simulation.scheduler import Actor, Scheduler, SimThread
from tests.simulation.secure import SimContext, raw_recv, raw_shutdown, socket_below
from tests.simulation.watch import Watch
from waitressd.dispatch import timekeeper
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.dispatch.lane import Lane
from waitressd.dispatch.role import Role, Worker
from waitressd.dispatch.watcher import Watcher
from waitressd.http.limits import Limits
from waitressd.net import channel, timelimit, tls, wire
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import Job
from waitressd.net.exchange import Exchange
from waitressd.net.handshake import Handshakes, TlsProtocol
from waitressd.net.listener import Listener
from waitressd.net.outbuf import OutputLimits
from waitressd.net.preface import ProxyProtocol
from waitressd.net.progress import Deadlines
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState
from waitressd.net.timelimit import NO_LIMIT, NO_LIMITS, Late, RouteLimit, TimeLimits, timed
from waitressd.wsgi import response, task
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.input import BodySpool
from waitressd.wsgi.task import TaskSettings, WsgiHandler

SHUTDOWN_SECONDS: Final = 4.0
HANDSHAKE_SECONDS: Final = 2.0
DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"

DEADLINES: Final = Deadlines(
    request_header_timeout=2.0,
    channel_timeout=2.0,
    request_body_min_rate=100,
    queue_timeout=2.0,
    send_timeout=1.5,
    response_min_rate=20,
    min_rate_grace=2.0,
    linger_timeout=0.5,
)


class SimClaim(list[Any]):
    """A claim list whose uses are sync points."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def append(self, item: Any) -> None:
        self._scheduler.switch()
        super().append(item)
        self._scheduler.switch()

    def pop(self, index: Any = -1) -> Any:
        self._scheduler.switch()
        item = super().pop(index)
        self._scheduler.switch()
        return item

    def __getitem__(self, index: Any) -> Any:
        self._scheduler.switch()
        return super().__getitem__(index)


class SimTurn(list[Any]):
    """The turn of a request, whose uses are sync points; `append` is one that the task makes for itself."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def append(self, item: Any) -> None:
        super().append(item)
        self._scheduler.switch()

    def pop(self, index: Any = -1) -> Any:
        self._scheduler.switch()
        item = super().pop(index)
        self._scheduler.switch()
        return item


class CountingRole(Role):
    """The real role; it notes what happened."""

    sometimes: "Counter[str]"

    def look(self) -> bool:
        taken = super().look()
        self.sometimes["the role is taken over"] += taken
        return taken

    def hand_over(self, worker: Worker) -> None:
        self.sometimes["the role is handed over"] += 1
        super().hand_over(worker)

    def offer(self, job: Job) -> bool:
        taken = super().offer(job)
        self.sometimes["a request is queued" if taken else "the reserve gives a job away"] += 1
        return taken

    def pass_back(self) -> bool:
        taken = super().pass_back()
        self.sometimes["the reserve gives the role back"] += taken
        return taken

    def withdraw(self, job: Job) -> bool:
        taken = super().withdraw(job)
        self.sometimes["a request is withdrawn" if taken else "a request was taken before it was withdrawn"] += 1
        return taken


class ImpatientDispatcher(Dispatcher):
    """The real dispatcher; now and then it takes a request from its task, as a time limit would."""

    world: "World"

    def _turn(self) -> bool:
        world = self.world
        if world.revoke_chance and world.random.random() < world.revoke_chance:
            for channel in list(self.channels.values()):
                if channel.exchange.state is ExchangeState.RUNNING:
                    channel.exchange.revoke(Fault.DEADLINE)
                    if channel.exchange.state >= ExchangeState.REVOKED:  # else the task has settled meanwhile
                        world.note_revoked(channel)
                    break
        return super()._turn()


WATCH_SECONDS: Final = 0.01  # after which the watcher has looked for late tasks, once one is due


class World:
    """Everything of one run; `run` lets it happen."""

    dispatcher_class: type[ImpatientDispatcher] = ImpatientDispatcher
    mutations: tuple[tuple[Any, str, Any], ...] = ()  # (module or class, name, what stands there instead)
    secure_share = 0.3
    limited_share = 0.5
    moods = MOODS
    late_share = 0.5  # of the waits of an application with a limit that last about as long

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.seed = seed
        self.scheduler = scheduler = Scheduler(seed, trace=trace)
        self.random = rng = scheduler.random
        self.sometimes: Counter[str] = scheduler.sometimes
        self.kernel = Kernel(scheduler)
        self.machine = scheduler.machine()
        self.uploads: dict[tuple[int, int], bytes] = {}
        self.bodies: list[Body] = []
        self.files: list[BinaryIO] = []
        self.spools: list[Any] = []
        self.active: dict[int, Actor | None] = {}  # connections in the handler, and the thread that is
        self.begun: dict[int, int] = {}  # connection -> its last request that began
        self.is_stopped = False
        self.is_aborted = False
        self.revoked: set[int] = set()  # connections whose request was taken from its task
        self.timed_out: set[int] = set()  # connections that were answered 504
        self.is_proxied = rng.random() < 0.2  # each connection begins with a PROXY header
        # By dice of its own, so that a world without TLS is the same with and without this line.
        dice = random.Random(seed)
        self.is_secure = dice.random() < self.secure_share  # each connection is encrypted
        self.handshakes = Handshakes(dice.choice((1, 1000, 1000)), lambda: scheduler.now)
        self.limits = self._choose_limits(dice)
        self.dice = dice
        self.revoke_chance = rng.choice((0.0, 0.0, 0.0, 0.02))
        self.faults_at_accept = self.kernel.faults.accept > 0
        self.mood = rng.choice(self.moods)
        self.blocking_share = rng.choice((0.0, 0.0, 0.12, 1.0))
        self.task_limit = rng.choice((1, 1, 2, 3))
        self.bounds = Bounds(
            threads=self.task_limit,
            connection_limit=rng.choice((2, 5, 1000)),
            per_client_connection_limit=rng.choice((0, 0, 0, 2)),
            queue_limit=rng.choice((1, 3, 1000)),
            channel_timeout=3.0,
            finest_deadline_seconds=DEADLINES.linger_timeout,
        )
        self.listen_socket = SimListenSocket(self.kernel)
        self.clients = [SimClient(self, number) for number in range(rng.choice((1, 2, 4, 8)))]
        self.stop_at = scheduler.now + rng.choice((0.05, 1.0, 6.0, 12.0)) * (0.5 + rng.random())
        self.dispatcher: ImpatientDispatcher
        self.lane: Lane
        self.watch: Watch
        self._settings = self._build_settings()

    @property
    def may_break_promises(self) -> bool:
        """Whether faults were such that a polite client may be let down."""
        evicts = self.handshakes.tally.counts["evicted"] > 0
        is_limited = bool(self.bounds.per_client_connection_limit)
        return self.is_aborted or self.kernel.had_control_faults or is_limited or evicts

    @property
    def was_closed_to_some(self) -> bool:
        """Whether the stop came while the server could not accept."""
        return self.faults_at_accept or self.bounds.connection_limit <= len(self.clients)

    def _choose_limits(self, dice: random.Random) -> TimeLimits:
        """Choose time limits that are as long as what the application does, for some worlds."""
        if dice.random() >= self.limited_share:
            return NO_LIMITS
        route = RouteLimit("POST", lambda path: "/hang/" in path, dice.choice((0.0, 0.1)))
        routes = dice.choice(((), (), (route,)))
        return TimeLimits(dice.choice((0.1, 0.1, 1.0)), routes, request_timeout_spares=dice.choice((0, 0, 1, 2)))

    def _build_settings(self) -> ChannelSettings:
        rng = self.random
        handler = WsgiHandler(Application(self), EnvironBuilder(EnvironSettings()), TaskSettings())

        def handle(request: Any, body: BinaryIO | None, exchange: Any) -> None:
            number = socket_below(exchange.wire).number
            self.active[number] = self.scheduler.current
            try:
                self.watch.check_tasks()
                handler(request, body, exchange)
            finally:
                self.step()
                del self.active[number]

        is_limited = self.limits.least_seconds < NO_LIMIT
        return ChannelSettings(
            handler=timed(handle, self.machine.monotonic) if is_limited else handle,
            new_body=lambda _length: BodySpool(rng.choice((10, 1000, 100_000))),
            http_date=lambda: DATE,
            recv_bytes=rng.choice((7, 100, 4096)),
            machine=self.machine,
            limits=Limits(max_request_header_size=2000, max_request_body_size=10_000),
            deadlines=DEADLINES,
            tls=self._build_tls() if self.is_secure else None,
            proxy_protocol=ProxyProtocol("v1", lambda _address: True) if self.is_proxied else None,
            output=OutputLimits(
                outbuf_overflow=rng.choice((500, 5000)), outbuf_high_watermark=rng.choice((6000, 20_000))
            ),
        )

    def _build_tls(self) -> TlsProtocol:
        credentials: Any = SimpleNamespace(context=SimContext(), host="")
        return TlsProtocol(credentials, self.handshakes, HANDSHAKE_SECONDS, "127.0.0.1:80", 80)

    def note_revoked(self, channel: Channel) -> None:
        """A request was taken from its task."""
        sock = socket_below(channel.wire)
        self.sometimes["a request is revoked"] += 1
        self.revoked.add(sock.number)
        sock.is_revoked = True

    # -- what the application and the clients use

    def step(self) -> None:
        """Take a step of the application."""
        self.kernel.progress += 1
        self.scheduler.switch()

    def sleep(self, seconds: float) -> None:
        """Let the application wait."""
        self.kernel.progress += 1
        self.scheduler.sleep(seconds)

    def sleep_to_the_limit(self) -> bool:
        """Let the application wait until it is about to be found late; False where it has no limit, and mostly."""
        limit = self.limits.request_timeout
        if not limit or self.dice.random() >= self.late_share:
            return False
        self.sleep(limit)
        due = self.lane.next_look
        self.sleep(max(0.0, due - self.scheduler.now))
        end = self.scheduler.now + WATCH_SECONDS
        while self.lane.next_look == due and self.scheduler.now < end:
            self.sleep(0.00001)
        self.sleep(self.dice.choice((0.0, 0.00002, 0.00004, 0.00008, 0.00016)))
        return True

    def begin(self, connection: int, number: int) -> None:
        """A request reached the application."""
        if number <= self.begun.get(connection, -1):
            self.scheduler.violate(f"request {connection}/{number} ran twice or out of order")
        self.begun[connection] = number

    def connect(self, client: SimClient) -> bool:
        """Put a client into the backlog; False when nobody listens."""
        if self.listen_socket.is_closed or self.listen_socket.is_sealed:
            return False
        client.sock.on_output = client.on_output
        self.listen_socket.backlog.append((client.sock, (f"10.0.0.{client.number % 3}", 1000 + client.number)))
        self.kernel.happened()
        return True

    # -- the run

    def run(self) -> Self:
        """Let it happen. Raises SimulationError."""
        scheduler = self.scheduler
        with self._machine():
            self.lane = Lane(SimPoller(self.kernel), self.bounds, task_log_timeout=0, machine=self.machine)
            self.lane.dispatcher.role.__class__ = CountingRole
            cast("CountingRole", self.lane.dispatcher.role).sometimes = self.sometimes
            self.lane.dispatcher.__class__ = self.dispatcher_class
            self.dispatcher = cast("ImpatientDispatcher", self.lane.dispatcher)
            self.dispatcher.world = self
            self.lane.timekeeper.limits = self.limits
            for worker in self.lane.workers:
                worker.claim = SimClaim(scheduler)
            self.dispatcher.blocking.share = self.blocking_share
            self.dispatcher.add_listener(Listener(cast("Any", self.listen_socket)), self._settings)
            self.watcher = Watcher([self.lane], self.machine)
            self.watch = Watch(self)
            scheduler.on_step = self.watch.check
            SimThread(scheduler, "main", self._main, ()).start()
            for client in self.clients:
                scheduler.call_at(
                    scheduler.now + self.random.choice((0.0, 0.01, 2.0)) * self.random.random(), client.start
                )
            scheduler.call_at(self.stop_at, self._stop)
            scheduler.run()
            self._judge()
        return self

    def _main(self) -> None:
        """What `Server.run` does."""
        self.lane.start()
        self.watcher.watch(self._on_tick)
        self.lane.end()

    def _stop(self) -> None:
        self.scheduler.note("stop")
        self.is_stopped = True
        self.kernel.faults.end()
        self.dispatcher.stop()
        self.watcher.ring()

    def _on_tick(self, now: float) -> None:
        if now >= self.stop_at + SHUTDOWN_SECONDS and not self.is_aborted:
            self.sometimes["the stop is forced"] += 1
            self.is_aborted = True
            self.dispatcher.abort()

    @contextlib.contextmanager
    def _machine(self) -> Iterator[None]:
        """Simulate what the server asks of the system's files and sockets, and read its log."""
        places: list[tuple[Any, str, Any]] = [
            (response, "http_date", lambda: DATE),
            (task, "http_date", lambda: DATE),
            (fcntl, "ioctl", self._ioctl),
            (os, "pwrite", self._pwrite),
            (tempfile, "TemporaryFile", self._temporary_file),
            (channel, "_numbers", itertools.count(1)),  # which a client reads in an answer to a late request
            (tls, "_recv", raw_recv),
            (tls, "_shutdown", raw_shutdown),
            (timelimit, "new_turn", lambda: SimTurn(self.scheduler)),
            (timekeeper, "end_in_time", self._end_in_time),
            (wire, "reset", self._reset),
            *self.mutations,
        ]
        before = [(module, name, getattr(module, name)) for module, name, _ in places]
        handler = _Listening(self)
        logger = logging.getLogger("waitressd")
        settings = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.propagate = False
        for module, name, value in places:
            setattr(module, name, value)
        try:
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)
            logger.removeHandler(handler)
            logger.level, logger.propagate = settings
            for file in [*self.files, *self.spools]:
                file.close()

    def _end_in_time(self, exchange: Exchange, late: Late) -> bool:
        """Note what becomes of a request that is late."""
        channel = cast("Channel", exchange.line)
        is_late = timelimit.end_in_time(exchange, late)
        sock = socket_below(channel.wire)
        if late.was_cut:
            self.note_revoked(channel)
            self.sometimes["a late answer is cut"] += 1
        elif late.answered_status is not None:
            self.sometimes["a late request is answered"] += 1
            self.timed_out.add(sock.number)
        elif is_late:
            self.sometimes["a late request has nobody to tell"] += 1
        else:
            self.sometimes["a task was faster than its limit"] += 1
        return is_late

    @staticmethod
    def _reset(wire_: Any) -> None:
        """Break a connection whose descriptor stays."""
        sock = socket_below(wire_)
        sock.aborts = sock.is_dead = True
        sock.break_off()
        sock.on_output()

    def _ioctl(self, fd: int, _request: int, count: Any) -> None:
        """How much of what was sent the client has not taken yet (TIOCOUTQ)."""
        if fd not in self.kernel.sockets:
            raise OSError(errno.EBADF, "Bad file descriptor")
        count[0] = len(self.kernel.sockets[fd].outbox)

    def _pwrite(self, fd: int, data: Any, offset: int, /) -> int:
        if self.kernel.chance(self.kernel.faults.disk):
            self.sometimes["the disk is full"] += 1
            raise OSError(errno.ENOSPC, "disk full")
        return _PWRITE(fd, data, offset)

    def _temporary_file(self, *arguments: Any, **options: Any) -> Any:
        if self.kernel.chance(self.kernel.faults.disk):
            self.sometimes["no temporary file"] += 1
            raise OSError(errno.ENOSPC, "disk full")
        file = _TEMPORARY_FILE(*arguments, **options)
        self.spools.append(file)
        self.sometimes["something is spooled"] += 1
        return file

    def _judge(self) -> None:
        """What must hold when everything is over."""
        self.watch.check_end()
        for client in self.clients:
            client.judge()


_PWRITE: Final = os.pwrite
_TEMPORARY_FILE: Final = tempfile.TemporaryFile


class _Listening(logging.Handler):
    """Reads the log: what the server itself calls a defect is one."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        scheduler = self._world.scheduler
        scheduler.note(f"log: {record.getMessage()}")
        if record.levelno >= logging.CRITICAL and not self._world.kernel.had_control_faults:
            error = record.exc_info[1] if record.exc_info else None
            scheduler.fail(error if error is not None else AssertionError(record.getMessage()))


def explore(seeds: range, world: type[World] = World) -> "Counter[str]":
    """Run one world for each seed; return the sum of `sometimes`. Raises AssertionError naming the seed."""
    sometimes: Counter[str] = Counter()
    for seed in seeds:
        try:
            sometimes.update(world(seed).run().sometimes)
        except Exception as error:  # border: whatever ends a run belongs to its seed
            raise AssertionError(f"seed {seed}: {error!r}\n" + "\n".join(replay(seed, world)[-60:])) from error
    return sometimes


def replay(seed: int, world: type[World] = World) -> list[str]:
    """Return what happened in one run, with what ended it as the last line."""
    run = world(seed, trace=True)
    assert run.scheduler.trace is not None
    try:
        run.run()
    except Exception as error:  # border: as in explore
        run.scheduler.trace.append(repr(error))
    return run.scheduler.trace
