"""The life of a server: addresses, start, drain, end. What it is made of comes from `wiring.py`."""

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from waitressd import forks
from waitressd.admin import Answers, answers_of
from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.advice import advise, log_advice
from waitressd.config.advicerules import Facts
from waitressd.config.errors import ConfigError, Problem, together
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.dispatch.dispatcher import CLOSE_IDLE_SECONDS, DRAIN_IDLE_SECONDS
from waitressd.dispatch.lane import Lane
from waitressd.dispatch.snapshot import Snapshot, take_snapshot
from waitressd.dispatch.watcher import Watcher
from waitressd.encryption import open_certificates, renewal_of, served_certificates
from waitressd.http.errors import ProtocolMisuse
from waitressd.kinds import show_seconds
from waitressd.life import TRANSITIONS, Life
from waitressd.listeners import check_system, open_admin_listeners, open_first_listeners
from waitressd.listening import Listening
from waitressd.logfiles import Reopener, log_files, reopen_log_files
from waitressd.memory import MemoryKeeper, keep_memory
from waitressd.metrics.serving import counted
from waitressd.net.listener import Listener
from waitressd.net.logs import say
from waitressd.net.pulse import Pulse
from waitressd.operatorlog import operator_log
from waitressd.place import here
from waitressd.processend import say_what_lives
from waitressd.rlimits import raise_descriptor_limit
from waitressd.signals import ServerSignals
from waitressd.standardstreams import fill_descriptors
from waitressd.systemd import Notifier, ServiceManager
from waitressd.wiring import build_lane, build_request_logs
from waitressd.wsgi.application import trouble_with
from waitressd.wsgi.task import Application

if TYPE_CHECKING:
    from waitressd.certificates import Certificates
    from waitressd.requestlog.requestlogger import RequestLogs


_ABORT_SECONDS: Final = 5.0  # for the event loop to cut off whoever is left
NEVER: Final = float("inf")
_CLOSE_MARGIN_SECONDS: Final = 5.0  # what `close` waits beyond the drain's own deadline


@dataclass(frozen=True, slots=True)
class Running:
    """What there is from the start of serving on."""

    thread_id: int  # of the thread inside `run`
    lanes: tuple[Lane, ...]
    watcher: Watcher
    manager: ServiceManager
    pulse: Pulse


class Server(Listening):
    """One server, whatever it listens on. `create_server` builds and opens one.

    `run` blocks the thread that calls it; `close` may be called by any thread, also by the application. `global_conf`
    is what factories of request logs get, as PasteDeploy has it. Raises ConfigError: a request log cannot be built.
    """

    def __init__(
        self, adjustments: Adjustments, application: Application, global_conf: Mapping[str, str] | None = None
    ) -> None:
        if trouble := trouble_with(application):
            raise TypeError(trouble)
        super().__init__()
        self.adjustments = adjustments
        self.application = application
        self._answers: Answers
        self._certificates: Certificates | None
        self._request_logs: RequestLogs | None
        _, self._answers, self._certificates, self._request_logs = together(
            partial(check_system, adjustments),
            partial(answers_of, adjustments),
            partial(open_certificates, adjustments),
            partial(build_request_logs, adjustments, global_conf or {}),
        )
        self._renewal = renewal_of(adjustments, self._certificates)
        self._life = Life.BUILT
        self._life_since = time.monotonic()
        # Guards _life, and the moment where `run` begins against a `close`. It can be taken twice: a signal handler may
        # interrupt the main thread while that holds it.
        self._life_lock = threading.RLock()
        self._running: Running | None = None
        self._stopped = threading.Event()
        self._signals: ServerSignals | None = None  # while `run` is in the main thread
        self._stop_signals = 0
        self._unsaid_signal = ""  # what told the server to stop, until that is logged
        self._drain_asked_at = NEVER  # by another thread
        self._leave_end = NEVER
        self._drain_end = NEVER
        self._pulse: Pulse | None = None  # once the threads are there
        self.on_stop: Callable[[], object] | None = None
        """Called by the thread inside `run` when a stop has begun; set by who bounds the end of the process itself."""
        self.on_ready: list[Callable[[str], object]] = []
        """Called by the thread inside `run` once requests are served, with a sentence that says where."""
        self.notifier: Notifier | None = None
        """Who is told of the life of the server; None for the service manager, if there is one."""
        self.says_signals = True
        """Whether it is logged which signal stops it; a worker's master says that in words of its own."""
        self.on_tick: list[Callable[[float], object]] = []
        """Called by the thread inside `run` with the monotonic time, at least once a second while it serves."""
        self._reopener = Reopener(self._reopen)
        self._memory = MemoryKeeper()

    @property
    def admin_addresses(self) -> list[Any]:
        """The admin addresses that are bound, as `getsockname` gives them."""
        return self._answers.addresses

    def adopt_admin(self, sock: socket.socket) -> None:
        """Answer what the master of this worker asks on a connection. Any thread."""
        self._answers.adopt(sock)

    def open(self, listeners: Sequence[Listener] | None = None) -> None:
        """Bind and listen; connections wait in the backlog until `run`.

        With `listeners`, those are served and closed in the end, and nothing is bound. Raises OSError naming the
        address, or the file of a request log.
        """
        self._become(Life.LISTENING)
        fill_descriptors()
        self._listeners = open_first_listeners(self.adjustments) if listeners is None else list(listeners)
        try:
            if not here.number:  # of a worker, the master says how it is
                self._answers.open(open_admin_listeners(self.adjustments))
            if self._request_logs is not None:
                self._request_logs.start(self)
        except BaseException:  # border: plugin
            self._close_listeners()
            self._answers.close()
            raise

    def run(self) -> None:
        """Serve until the server is stopped. Raises OSError when an address cannot be bound or a thread not started.

        In the main thread SIGTERM and SIGINT stop it, a second one at once; SIGHUP and SIGUSR1 reopen log files. What
        the application does with signals is in `waitressd.signals`.
        """
        if self._life is Life.BUILT:
            self.open()
        try:
            if threading.current_thread() is threading.main_thread():
                self._run_with_signals()
            else:
                self._run(self.notifier or Notifier({}))
        finally:
            self._stopped.set()

    def _run_with_signals(self) -> None:
        raise_descriptor_limit()
        keep_memory()
        # From the beginning to the very end: a signal that comes while logs are written out must not end the process.
        has_files = self._request_logs is not None or self._certificates is not None
        reopens = has_files or bool(self.adjustments.admin_token_file or log_files())
        self._signals = signals = ServerSignals(self.on_signal, reopens=reopens)
        try:
            self._run(self.notifier or Notifier(), signals)
        finally:
            signals.put_back()

    def _run(self, notifier: Notifier, signals: ServerSignals | None = None) -> None:
        with self._life_lock:
            if self._life is Life.STOPPED:
                return  # closed before it began
            self._become(Life.SERVING)
            self._running = running = self._build(notifier)
            forks.hold(self)
            if self._stop_signals:  # before there was anything to stop
                self._stop(running)
        with operator_log.running(), contextlib.closing(self._answers), counted(self):
            if signals is not None and (known := signals.describe()):
                say(logging.INFO, known)
            self._serve(running)
            if signals is not None:
                signals.pass_on(self._drain_end - time.monotonic(), partial(say, logging.INFO))
                if self.on_stop is None:
                    say_what_lives()

    def _serve(self, running: Running) -> None:
        # Named now: a stop closes the listeners, and may come with the first thread.
        listeners = ", ".join(listener.name for listener in self._listeners)
        try:
            self._answers.start(self)
            for lane in running.lanes:
                lane.start()
            self._pulse = running.pulse
            for call in (running.manager.ready, *self.on_ready):
                call(f"Serving on {listeners} with {self.adjustments.threads} threads")
            running.watcher.watch(partial(self._on_tick, running))
        finally:
            self._shut(running)

    def close(self) -> None:
        """Stop: accept no more, finish what has begun within `shutdown_timeout`, give everything back.

        Any thread, any number of times. Returns when the server has stopped, or at once when the caller is a thread
        that the stop would wait for.
        """
        with self._life_lock:
            running = self._running
            if running is None:
                self._become(Life.STOPPED)
        if running is None:
            self._close_listeners()
            self._close_request_logs()
            self._answers.close()
            self._stopped.set()
            return
        self._stop(running, CLOSE_IDLE_SECONDS)
        thread = threading.current_thread()
        if running.thread_id != thread.ident and not any(lane.owns(thread) for lane in running.lanes):
            self._stopped.wait(self.adjustments.shutdown_timeout + _CLOSE_MARGIN_SECONDS)

    def stop(self, seconds: float, *, takes_backlog: bool = True) -> None:
        """Begin a stop as SIGTERM does, that takes so many seconds at most. Any thread, while the server serves.

        Whoever waits in the backlog of the listeners is served too, unless another process will take them
        (`takes_backlog`).
        """
        if (running := self._running) is not None:
            if self._signals is not None:
                self._signals.count_stop(signal.SIGTERM)
            self._stop(running, seconds=seconds, takes_backlog=takes_backlog)
            running.watcher.ring()

    def abort(self) -> None:
        """Cut off what a stop still waits for. Any thread, once a stop has begun."""
        self._drain_end = time.monotonic()
        if self._running is not None:
            self._running.watcher.ring()

    def drain(self) -> None:
        """Stop as SIGTERM does, with `drain_delay`. Any thread; returns at once, and asked again it changes nothing."""
        self._drain_asked_at = time.monotonic()
        if self._running is not None:
            self._running.watcher.ring()

    @property
    def drain_end(self) -> float:
        """By when a stop should be over (monotonic seconds), infinite while there is none. Any thread."""
        return self._drain_end

    @property
    def served_certificates(self) -> tuple[ServedCertificate, ...]:
        """The certificates in use; none without TLS. Any thread."""
        return served_certificates(self._certificates)

    def reopen(self) -> None:
        """Let go of log files that were renamed: those of `logging`, and those of request logs. Any thread."""
        reopen_log_files()
        if self._request_logs is not None:
            self._request_logs.reopen()

    def reopen_soon(self) -> None:
        """Have that done by a thread of its own, as a signal has. Any thread, also in a signal handler."""
        self._reopener.ask()
        if self._running is not None:
            self._running.watcher.ring()

    @property
    def life(self) -> Life:
        """Where the server is in its life. Any thread."""
        return self._life

    @property
    def life_since(self) -> float:
        """Since when (monotonic seconds). Any thread."""
        return self._life_since

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The event loops with their threads; none before `run`. Any thread."""
        return () if self._running is None else self._running.lanes

    @property
    def pulse(self) -> Pulse | None:
        """Whether the loops live; None before they have begun. Any thread."""
        return self._pulse

    def snapshot(self) -> Snapshot:
        """Say how busy the server is now: threads, the task queue, connections by state. Any thread."""
        return replace(take_snapshot([lane.dispatcher for lane in self.lanes]), **self._renewal.figures())

    def own_figures(self) -> dict[str, Any]:
        """Say for the metrics when certificates expire, and what request logs have lost. Any thread."""
        lost = self._request_logs.lost_records() if self._request_logs is not None else {}
        return {"lost_records": lost, **self._renewal.figures()}

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Act on a signal. The main thread, which may hold any lock, even that of a log: so nothing is logged here."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop_signals += 1
            if self._stop_signals == 1:
                self._unsaid_signal = signal.Signals(number).name
                if self._running is not None:
                    self._leave(self._running)
            else:
                self._drain_end = time.monotonic()
        else:
            if number != getattr(signal, "SIGUSR1", None):  # which is for logs alone
                self._renewal.ask()
            self._reopener.ask()
        if self._running is not None:
            self._running.watcher.ring()

    def _build(self, notifier: Notifier) -> Running:
        logs, certificates = self._request_logs, self._certificates
        lanes = (build_lane(self.adjustments, self.application, self._listeners, logs, certificates),)
        pulse = Pulse(lanes)
        return Running(threading.get_ident(), lanes, Watcher(lanes), ServiceManager(notifier, pulse), pulse)

    def _leave(self, running: Running) -> None:
        """Begin a stop: first nobody should send requests here any more, and `drain_delay` later none is accepted."""
        with self._life_lock:
            if self._life is not Life.SERVING:
                return
            self._become(Life.LEAVING)
        delay = self._drain_delay
        self._leave_end = time.monotonic() + delay
        self._drain_end = min(self._drain_end, self._leave_end + self.adjustments.shutdown_timeout)
        if delay:
            running.watcher.due = self._leave_end
        else:
            self._stop(running)

    def _stop(
        self,
        running: Running,
        idle_seconds: float = DRAIN_IDLE_SECONDS,
        seconds: float | None = None,
        *,
        takes_backlog: bool = True,
    ) -> None:
        with self._life_lock:
            if self._life is Life.SERVING:
                self._become(Life.LEAVING)
            if self._life is Life.LEAVING:
                self._become(Life.DRAINING)
        # The first deadline holds. A second signal may have come while the first one was handled, too.
        seconds = self.adjustments.shutdown_timeout if seconds is None else seconds
        self._drain_end = min(self._drain_end, time.monotonic() + seconds)
        for lane in running.lanes:
            lane.dispatcher.stop(idle_seconds, takes_backlog=takes_backlog)

    def _on_tick(self, running: Running, now: float) -> None:
        """Look after the stop and the signals. The thread inside `run`."""
        self._say_signal()
        self._reopener.on_tick()
        self._renewal.on_tick(now)
        self._look_after_leaving(running, now)
        loops = [lane.dispatcher for lane in running.lanes]
        self._memory.look(now, sum(len(loop.channels) for loop in loops), max(loop.heard_at for loop in loops))
        if self._life is Life.DRAINING:
            self._tell_stop(running, "Finishing what has begun", self.adjustments.shutdown_timeout)
        for call in (running.manager.on_tick, *self.on_tick):
            call(now)
        if now >= self._drain_end and self._life is Life.DRAINING:
            self._become(Life.ABORTING)
            for lane in running.lanes:
                lane.cut_off()
        elif now >= self._drain_end + _ABORT_SECONDS and self._life is Life.ABORTING:
            say(logging.CRITICAL, "the event loop does not end; the process ends without it")
            running.watcher.give_up()

    @property
    def _drain_delay(self) -> float:
        # Balancers know the fleet and not its workers: when one of those ends, the others serve on.
        return 0.0 if here.number else self.adjustments.drain_delay

    def _look_after_leaving(self, running: Running, now: float) -> None:
        """Begin to leave if another thread has asked for it, and to drain when the time has come."""
        if now >= self._drain_asked_at:
            self._drain_asked_at = NEVER
            if self._signals is not None:
                self._signals.count_stop(signal.SIGTERM)
            self._leave(running)
        if self._life is Life.LEAVING:
            seconds = self._drain_delay + self.adjustments.shutdown_timeout
            self._tell_stop(running, "Leaving: not ready, and still serving", seconds)
            if now >= min(self._leave_end, self._drain_end):
                self._stop(running)

    def _say_signal(self) -> None:
        if self._unsaid_signal:
            name, self._unsaid_signal = self._unsaid_signal, ""
            if self.says_signals:
                delay = self._drain_delay
                what = f"not ready from now on, stopping in {show_seconds(delay)} s" if delay else "stopping"
                say(logging.INFO, "%s: %s; a second signal ends at once", name, what)

    def _tell_stop(self, running: Running, status: str, seconds: float) -> None:
        running.manager.stopping(status, seconds)
        if self.on_stop is not None:
            self.on_stop()

    def _reopen(self) -> None:
        if self._running is not None:
            self._running.manager.reopened(self._reload)

    def _reload(self) -> None:
        self.reopen()
        self._renewal.look_if_asked()
        self._answers.reload()

    def _shut(self, running: Running) -> None:
        if self._life is Life.STOPPED:  # in a child that a handler of the application has forked
            forks.leave(sys.exc_info()[1])
        self._say_signal()  # where the stop was faster than the next tick
        self._tell_stop(running, "Stopping", _CLOSE_MARGIN_SECONDS)
        ended = [lane.end() for lane in running.lanes]
        if all(ended):
            forks.drop(self)
        else:
            say(logging.WARNING, "stopped while the application was still running; its threads end with the process")
        self._close_listeners()
        self._reopener.join()
        self._renewal.join()
        self._close_request_logs()
        self._become(Life.STOPPED)

    def let_go(self) -> None:
        """Be stopped in a child that was only forked: nothing is served there, and nobody waits for it.

        A child that lives on would keep addresses in use, and clients waiting for the end of their answers.
        """
        self._life = Life.STOPPED
        # Whoever held the lock, or would set the event, does not exist here.
        self._life_lock = threading.RLock()
        self._stopped = threading.Event()
        self._stopped.set()
        self.let_go_of_listeners()
        if self._running is not None:
            for lane in self._running.lanes:
                lane.let_go()

    def let_go_of_listeners(self) -> None:
        """Close what a child has inherited and will not serve; the addresses stay the parent's."""
        for listener in self._listeners:
            listener.socket.close()
        self._answers.let_go()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _close_request_logs(self) -> None:
        if self._request_logs is not None:
            self._request_logs.close()

    def _become(self, following: Life) -> None:
        with self._life_lock:
            if following not in TRANSITIONS[self._life]:
                raise ProtocolMisuse(f"a server that is {self._life.name} cannot become {following.name}")
            self._life, self._life_since = following, time.monotonic()


def create_server(app: Application, **settings: Any) -> Server:  # noqa: ANN401 - settings have many types
    """Build a server in this process and bind its addresses. Raises ConfigError, or OSError naming the address."""
    adjustments = Adjustments.from_keywords(**settings)
    _refuse_fleet(adjustments)
    server = Server(adjustments, app)
    log_advice(advise(Facts(adjustments, certificates=server.served_certificates), only_at_start=True))
    server.open()
    return server


def _refuse_fleet(adjustments: Adjustments) -> None:
    """Raise ConfigError where worker processes are asked for: a `Server` lives in the process that builds it."""
    if adjustments.may_be_fleet:
        name = "workers" if adjustments.workers != 1 else "supervise"
        value = SETTINGS[name].kind.show(getattr(adjustments, name))
        text = "create_server builds one server in this process; for workers use serve, pserve or the command waitressd"
        raise ConfigError([Problem(adjustments.origin_of(name).place, f"{name} = {value}", text)])
