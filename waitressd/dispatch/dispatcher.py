"""The event loop: listeners, channels, deadlines, and the start of every task.

A turn reads first and runs then: whatever is ready is read, and complete requests wait in `tasks`. They run one by one;
who has the role next goes on with the rest. Nothing is polled before all of them have begun or wait for a thread.

Everything here runs in the thread that holds the dispatcher role, which roams (see `role.py`), unless a method says
otherwise. What other threads may do is narrow: `give_back`, `stop`, `abort`, and, under the role's lock, what a task
thread does to settle its channel.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from waitressd import forks
from waitressd.dispatch.arrivals import Arrivals
from waitressd.dispatch.blocking import BLOCKED_SECONDS, HAND_OVER_SHARE, UNCOUNTED, BlockingShare
from waitressd.dispatch.bounds import QUEUE_LATE, Bounds
from waitressd.dispatch.callback import Callback
from waitressd.dispatch.moving import Moving
from waitressd.dispatch.passing import Passing
from waitressd.dispatch.reports import DispatcherLogs, has_begun
from waitressd.dispatch.role import Role, Worker
from waitressd.dispatch.settling import Settling
from waitressd.dispatch.states import TRANSITIONS, DispatcherState
from waitressd.dispatch.timekeeper import Timekeeper
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.machine import MACHINE, Machine
from waitressd.net.acceptor import Acceptor
from waitressd.net.bursts import Bursts
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import Job, Settlement, Tally
from waitressd.net.listener import Listener
from waitressd.net.logs import report_defect
from waitressd.net.poller import Poller
from waitressd.net.progress import NEVER
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState
from waitressd.peer import Peer

if TYPE_CHECKING:
    from waitressd.net.handover import Siblings
    from waitressd.net.held import HeldCalls
    from waitressd.net.ledger import Ledger

SWEEP_SECONDS: Final = 1.0  # between two looks at the deadlines of all channels
TELL_SECONDS: Final = 0.001  # between two turns of which siblings are told
NOTED_WAIT_SECONDS: Final = 0.002  # for its turn; from there on a request counts as one that had to wait for a thread
LONG_WAIT_SECONDS: Final = 1.0  # for its turn, before the operator is told
DRAIN_IDLE_SECONDS: Final = 1.0  # how long a kept connection may still bring a request once the server stops
CLOSE_IDLE_SECONDS: Final = 0.02  # the same where a program waits for the stop: a request that is on its way is here


class Dispatcher:
    """All clients of one server. See the module for threads."""

    def __init__(self, poller: Poller, role: Role, bounds: Bounds, machine: Machine = MACHINE) -> None:
        self.poller = poller
        self.role = role
        self.lock = role.lock
        self.clock = machine.monotonic
        self.now = self.clock()  # the present turn's time; fresh enough for every deadline
        self.idle_seconds = bounds.channel_timeout
        self.channels: dict[int, Channel] = {}
        self.ready: deque[tuple[int, int]] = deque()  # (descriptor, mask); mask 0: look at what is buffered
        self.tasks: deque[Job] = deque()  # complete requests, and callbacks, in the order in which they will run
        self.heard_at = self.now  # when events were looked for last: since then the requests in `tasks` are here
        self.state = DispatcherState.SERVING
        self.draining = False  # said of the state by `_begin_drain` alone: every response asks for it
        self.logs = DispatcherLogs(self.clock)
        self.timekeeper = Timekeeper(role, self.logs, self.clock)
        self.limit = self.timekeeper.note_limit  # a request sets its own
        self.ledger: Ledger | None = None  # set before the first turn where requests are counted
        self.blocking = BlockingShare(machine.thread_time, machine.thread_pauses)
        self.bursts = Bursts(self.clock)
        self.held: HeldCalls | None = None  # while threads fight for the interpreter
        self.handshakes: Tally | None = None  # how those of TLS get on; None without a listener that speaks it
        self.wake_watcher: Callable[[], None] | None = None  # set while the watcher sleeps without a tick
        self.bounds = bounds
        self._read_ahead = max(1, bounds.queue_limit)  # requests
        self._sweep_seconds = max(0.01, min(SWEEP_SECONDS, bounds.finest_deadline_seconds / 4))
        self._next_sweep = NEVER
        self._unread = 0  # how many of `ready` belong to this turn and are left for later, being too many
        self._acceptor = Acceptor(poller, self.logs, bounds.connection_limit, bounds.per_client_connection_limit)
        self._arrivals = Arrivals(self, self._acceptor, role.lock)
        self.fresh = self._arrivals.fresh  # accepted, and not known to the poller yet
        self.registered = self.fresh.discard  # the poller knows a channel
        self.is_accepting = self._acceptor.is_accepting  # any thread
        self.admit = self._acceptor.admit  # the client that a balancer connects for
        self._passing = Passing(self, machine)
        self._settling = Settling()
        self._returned = self._settling.waiting  # jobs whose task ended without the role, and tasks that are late
        self._asked: deque[DispatcherState] = deque()  # by other threads
        self._drain_idle_seconds = DRAIN_IDLE_SECONDS
        self._siblings: Siblings | None = None  # other processes that serve the same addresses
        self._tell_at = 0.0  # when these are told next how busy this loop is
        self._moving: Moving | None = None  # while a drain gives connections to those

    # -- any thread

    def add_listener(self, listener: Listener, settings: ChannelSettings) -> None:
        """Accept from a listener. Before the first turn only."""
        self._acceptor.add(listener, settings)
        self.handshakes = self.handshakes if settings.tls is None else settings.tls.tally

    def join(self, siblings: "Siblings") -> None:
        """Share the clients with other processes from now on. The holder of the role, or before the first turn."""
        if not self.draining:
            self._siblings = siblings
            self._acceptor.join(siblings)

    def has_heir(self) -> bool:
        """Whether another process goes on with the connections while this one drains. Any thread."""
        return self._moving is not None and self._moving.has_heir()

    def stop(self, idle_seconds: float = DRAIN_IDLE_SECONDS, *, takes_backlog: bool = True) -> None:
        """Ask for a drain: accept no more, finish what has begun, close what is idle. Safe in a signal handler.

        A kept connection is closed when it has brought no request for `idle_seconds`. Who waits in the backlog is
        served, unless other processes accept from the same sockets and `takes_backlog` is false; these go on with the
        kept connections, too, if there are any that would.
        """
        self._acceptor.takes_backlog = takes_backlog
        self._drain_idle_seconds = min(self._drain_idle_seconds, idle_seconds)
        self._asked.append(DispatcherState.DRAINING)
        self.poller.wake()

    def abort(self) -> None:
        """Ask for the end: cut off whoever is left. Safe in a signal handler."""
        self._asked.append(DispatcherState.ABORTING)
        self.poller.wake()

    def give_back(self, job: Job) -> None:
        """Leave a job that only the holder can settle."""
        self.settle_soon(job)
        if self.state >= DispatcherState.LEADERLESS:  # nobody else will
            self._settling.settle_last()
            self.run_last()

    def settle_soon(self, settlement: Settlement) -> None:
        """Have the holder settle something; nobody does once a stop has cut off all clients."""
        self._returned.append(settlement)
        self.poller.wake()

    @property
    def finished(self) -> bool:
        """Whether the loop has ended, and the threads may be sent home."""
        return self.state is DispatcherState.FINISHED

    # -- what channels ask for: the holder of the role

    def run_in_pool(self, call: Callable[[], object]) -> None:
        """Have somebody else's code called by the pool like a task."""
        self.tasks.append(Callback(call, self.logs.callback, self.now))

    def again(self, fd: int) -> None:
        """Have a channel look at what it has buffered, in the next turn."""
        self.ready.append((fd, 0))

    def forget(self, fd: int, peer: Peer) -> None:
        """A channel closes; it counted as one of that client."""
        channel = self.channels.pop(fd, None)
        if self.ledger is not None and channel is not None:
            self.ledger.forget(channel.received_bytes, channel.sent_bytes)
        self.fresh.discard(fd)
        self._acceptor.release(peer, self.now)
        if self._siblings is not None:
            self._siblings.note_connections(len(self.channels))

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue; False when a thread has it already."""
        return self.role.withdraw(job)

    def expire(self, job: Job) -> None:
        """A request waited too long for a thread."""
        if self.role.withdraw(job):
            self.refuse(job, QUEUE_LATE)

    def refuse(self, job: Job, reason: str) -> bool:
        """Answer a job 503 that waits for a thread; False when it cannot be refused."""
        if not job.refuse(HttpError(503, reason, (("Retry-After", "1"),))):
            return False
        self.logs.refused(self.backlog()[0])
        return True

    # -- the loop

    def lead(self, worker: Worker) -> bool:
        """Serve until the role is lost (True) or everything is finished (False)."""
        self.now = self.clock()  # a task may have run for long since the former holder looked
        self.blocking.note()
        if self.fresh:
            self._arrivals.watch()
        while self._catch_up(worker):
            if not self._unread and not self._turn():
                return False
            self._read_ready(worker)
        return True

    def _read_ready(self, worker: Worker) -> None:
        """Act on the events of this turn, but run nothing yet.

        What a job adds waits for the next turn: between two requests of one client everybody else has one. No more is
        read at once than may wait for a thread, and nothing behind a large body, which is in the processor's cache now;
        what is left is read when those have had their turn.
        """
        left = self._unread or len(self.ready)
        count = left if left < self._read_ahead else self._read_ahead
        self._unread = left - count
        channel = None
        ready, channels = self.ready, self.channels
        # Beside workers that block, the reserve keeps nothing for later: who ends a task in the middle of this finds
        # the next one, and need not be woken for it.
        is_passed_on = worker.is_reserve and self.blocking.share > HAND_OVER_SHARE
        take = self._passing.give_away if is_passed_on else self.tasks.append
        self.held = self._passing.held_calls() if is_passed_on else None
        try:
            for number in range(count):
                fd, mask = ready.popleft()
                channel = channels.get(fd)
                if channel is None:
                    self._arrivals.accept(fd)  # of a listener, or of a channel that was closed since the poll
                else:
                    exchange = channel.on_ready(mask)
                    if exchange is not None:
                        upload = exchange.upload  # behind the next line, the request may be another thread's
                        take(exchange)
                        if upload is not None and upload.is_large:
                            self._unread += count - number - 1
                            break
        except Exception:  # border: a defect of ours costs one client, not all of them
            report_defect("serving %s failed", channel and channel.peer)
            if channel is not None:
                channel.close()

    def _turn(self) -> bool:
        """Look at the deadlines, and wait for events; False when everything is finished."""
        # Those that had passed at the last look for events, which have been served since: nobody is given up for
        # silence whose bytes were here, however long this process was held up itself.
        if self.heard_at >= self._next_sweep:
            self._sweep(self.heard_at)
        self._passing.tell()
        if self.held is not None:
            self._passing.rest()
        events = self.poller.wait(self._timeout())
        self.now = self.heard_at = now = self.clock()
        self.blocking.note()
        if not events and now >= self._next_sweep:
            # A process that was stopped and goes on hears nothing at first, only that the time is over.
            events = self.poller.wait(0)
        if events:
            self.ready.extend(events)
            due = now + self._sweep_seconds  # an event may start a short deadline
            self._next_sweep = due if due < self._next_sweep else self._next_sweep
        if self._asked or self.draining:
            return self._continue_drain()
        if now >= self._acceptor.resume_at:
            self._acceptor.look(now)
        if self._siblings is not None and now >= self._tell_at:
            self._tell_siblings(self._siblings)
        return True

    def _tell_siblings(self, siblings: "Siblings") -> None:
        now, role = self.now, self.role
        siblings.note_turn(now, role.running, len(role.queue))
        if now >= siblings.due:
            self._arrivals.recall(now)
        self._tell_at = now + TELL_SECONDS

    def share(self, count: int) -> int:
        """Give so many connections to siblings that have fewer; return how many these have taken."""
        return 0 if self._siblings is None or self.draining else Moving(self, self._siblings).share(count)

    def _timeout(self) -> float | None:
        if self.ready or self._returned or self.tasks:
            return 0
        if self.draining and self._has_none_left and not self.role.running:
            return 0  # the last client has just gone: the stop is over, not one sweep later
        # Any new deadline is at least one sweep away, so it is enough to look again one interval from now.
        # Written out here and below: min() and max() take a tenth of a microsecond of each turn.
        until = self._next_sweep if self._next_sweep < self._acceptor.resume_at else self._acceptor.resume_at
        if self.draining:  # a callback may be what is waited for, and its end rings no bell
            until = min(until, self.clock() + self._sweep_seconds)
            until = until if self._moving is None else min(until, self._moving.retry_at)
        if self._siblings is not None and self._siblings.due < until:
            until = self._siblings.due
        if until == NEVER:
            return None
        left = until - self.clock()
        return left if left > 0 else 0

    def _start(self, worker: Worker, job: Job) -> bool:
        """Run a job, or have it run by another worker; False when the role is lost."""
        if worker.is_reserve:
            return self._passing.pass_on(job)
        role = self.role
        job.waiting_since = self.heard_at
        job.begin()
        if self.blocking.share > HAND_OVER_SHARE:
            role.hand_over(worker)
            self.run_aside(worker, job)
            return False
        worker.started = started = self.now
        worker.job = job
        cpu_started = self.blocking.started(started) if self.blocking.share else 0.0
        # Put down the claim, run, take it back: if it is still there, nothing at all was spent on threading: no lock,
        # no wake-up, no system call. The bound method is a new object each time, so the watcher tells two tasks apart.
        run = job.run
        worker.claim.append(run)
        wake = self.wake_watcher  # read once: the watcher takes it away when it wakes up by itself
        if wake is not None:
            wake()
        run()
        if not role.keep(worker):
            self._settle_aside(job, started, cpu_started)
            return False
        self.now = now = self.clock()
        if cpu_started or now - started > BLOCKED_SECONDS:
            self.blocking.ended(now - started, cpu_started, is_alone=not role.running, sends=job.send_count)
        job.settle(started)
        return True

    def run_aside(self, worker: Worker, job: Job) -> None:
        """Run a job without the role. The worker's own thread."""
        worker.job = job
        worker.started = started = self.clock()
        cpu_started = self.blocking.started_aside(started)
        job.note(started, 0.0)
        job.run()
        self._settle_aside(job, started, cpu_started)

    def _settle_aside(self, job: Job, started: float, cpu_started: float) -> None:
        forks.end_stray()  # in a child, no task finds its claim again: each comes here
        ended = self.clock()
        if cpu_started != UNCOUNTED:
            self.blocking.ended_aside(ended - started, cpu_started, sends=job.send_count)
        job.note(started, ended)
        with self.role.lock:
            settled = job.settle_aside()
        if not settled:
            self.give_back(job)

    def _catch_up(self, worker: Worker) -> bool:
        """Settle what came back, then run what waits for its turn; False when the role is lost."""
        while self._returned:
            self._settling.settle(self._returned.popleft())
        tasks = self.tasks
        noted = self.heard_at + NOTED_WAIT_SECONDS
        while tasks:
            job = tasks.popleft()
            try:
                if (self.now < noted or self._may_still_run(job)) and not self._start(worker, job):
                    return False
            except Exception:  # border: as for the events
                report_defect("running a request failed")
                job.close()
                if not self.role.still_leads(worker):
                    return False
        return True

    def _may_still_run(self, job: Job) -> bool:
        """Note that a job had to wait for its turn; False when that was too long, and it is refused."""
        job.wait()
        waited = self.now - self.heard_at
        if waited >= LONG_WAIT_SECONDS:
            self.logs.queued(self.backlog)
        return waited < self.bounds.queue_timeout or not self.refuse(job, QUEUE_LATE)

    def backlog(self) -> tuple[int, float]:
        """Say how many requests wait for a thread, and for how long the first of them has. Any thread; a moment ago."""
        # One step, and no lock: a question must not wait for one that is never given back.
        queue = self.role.queue.copy()
        count = len(queue) + len(self.tasks)
        since = queue[0].waiting_since if queue else self.heard_at
        return count, max(0.0, self.clock() - since) if count else 0.0

    # -- time

    def _sweep(self, now: float) -> None:
        """Act on the deadlines that had passed at `now`."""
        # Whatever is ready may begin something with a deadline of its own, and no event will tell.
        earliest = now if self.ready else NEVER
        idle_count = 0
        for channel in list(self.channels.values()):
            if channel.deadline <= now:
                self._end(channel)
            if not channel.is_idle:
                earliest = now
                continue
            idle_count += 1
            channel.connection.forget()
            earliest = min(earliest, channel.deadline)
        if self._siblings is not None:
            self._siblings.note_idle(idle_count)
        # Kept connections alone need no look before the first of them is due; then idling costs nothing.
        self._next_sweep = NEVER if earliest == NEVER else max(earliest, now + self._sweep_seconds)

    @staticmethod
    def _end(channel: Channel) -> None:
        try:
            channel.on_deadline()
        except Exception:  # border: as for the events; the deadline would come again and again
            report_defect("ending %s failed", channel.peer)
            channel.close()

    # -- the end

    def _continue_drain(self) -> bool:
        """One turn of a stop; False when nothing is left."""
        while self._asked:
            if (wanted := self._asked.popleft()) > self.state:  # else that has begun already
                self._become(wanted)
        if not self.draining:
            self._begin_drain()
        if self.now >= self._acceptor.resume_at:
            self._arrivals.accept_last()
        if self._moving is not None:
            self._moving.relieve(self._drain_idle_seconds)
        if self._siblings is not None:
            self._tell_siblings(self._siblings)
        if self.state is DispatcherState.ABORTING:
            self.logs.cut_off(sum(map(has_begun, self.channels.values())))
        elif not self._has_none_left or self.ready or self.tasks or self._returned or self.role.running:
            return True
        self._let_go()
        return False

    @property
    def _has_none_left(self) -> bool:
        """Whether no client is left: neither here, nor in the backlog, nor on its way to a sibling."""
        is_passing = self._siblings is not None and self._siblings.due < NEVER
        return not self.channels and not self._acceptor.is_open and not is_passing

    def _let_go(self) -> None:
        """Cut off whoever is left. From here on nobody leads, and a task that still runs gives back for itself."""
        for channel in list(self.channels.values()):
            channel.give_up(Fault.STOP)
            if channel.exchange.state is not ExchangeState.RUNNING:
                channel.close()
        self._become(DispatcherState.LEADERLESS)
        self._settling.settle_last()
        # The last step: whatever has to be called yet is there before the task workers are sent home.
        self._become(DispatcherState.FINISHED)

    def let_go(self) -> None:
        """Forget every client in a child that was only forked. The child's only thread."""
        self.state = DispatcherState.FINISHED
        for channel in self.channels.values():
            channel.let_go()
        self.poller.close()

    def run_last(self) -> None:
        """Call what nobody will call any more. A task worker that ends; what several of them share is called once."""
        for callback in self.take_callbacks():
            callback.run()

    def take_callbacks(self) -> list[Job]:
        """Take the callbacks that are left. Any thread, once no thread leads any more; each is taken once."""
        callbacks: list[Job] = []
        with contextlib.suppress(IndexError):
            while True:
                callbacks.append(self.tasks.popleft())
        return callbacks + self.role.take_callbacks()

    def close(self) -> None:
        """Give everything back once the threads have ended, or will not. The thread that owns the server."""
        if self.state < DispatcherState.LEADERLESS:  # the event loop never ran, or is ill
            self._let_go()
        with self._settling.last:
            for channel in list(self.channels.values()):
                channel.exchange.revoke(Fault.STOP)
        self.poller.close()

    def _become(self, following: DispatcherState) -> None:
        if following not in TRANSITIONS[self.state]:
            raise ProtocolMisuse(f"an event loop that is {self.state.name} cannot become {following.name}")
        self.state = following

    def _begin_drain(self) -> None:
        self._acceptor.forget_limit()
        self._acceptor.seal(self.now)
        self._arrivals.part()
        if self._siblings is not None and not self._acceptor.takes_backlog:
            self._moving = Moving(self, self._siblings)
        else:
            self.idle_seconds = min(self.idle_seconds, self._drain_idle_seconds)
        with self.role.lock:  # no task settles meanwhile, half before the drain and half after
            self.draining = True
            for channel in self.channels.values():
                if self._moving is None or not channel.can_be_passed:
                    channel.expect_end(self.now + self._drain_idle_seconds)
        self._sweep_seconds = min(self._sweep_seconds, DRAIN_IDLE_SECONDS / 4)
        self._next_sweep = self.now + min(self._sweep_seconds, self.idle_seconds)
