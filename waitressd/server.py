"""Assembly and life cycle: Adjustments and an application in, a running server out.

This is the only module that knows all the others: it turns settings into the small records that the inner layers take,
and introduces sockets to WSGI.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from waitressd import forks
from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import Facts, advise, log_advice
from waitressd.dispatch.dispatcher import CLOSE_IDLE_SECONDS, DRAIN_IDLE_SECONDS, Dispatcher
from waitressd.dispatch.snapshot import EMPTY, Snapshot, take_snapshot
from waitressd.dispatch.taskpool import TaskPool, build_role
from waitressd.dispatch.watcher import Watcher
from waitressd.http.errors import ProtocolMisuse
from waitressd.listeners import check_system, open_listeners
from waitressd.net.logs import logger, say
from waitressd.net.poller import build_poller
from waitressd.operatorlog import operator_log
from waitressd.processend import handlers_of_logging, say_what_lives
from waitressd.rlimits import raise_descriptor_limit
from waitressd.signals import ServerSignals
from waitressd.standardstreams import fill_descriptors
from waitressd.systemd import Notifier, Supervisor, Watchdog
from waitressd.wiring import bounds, build_request_logs, channel_settings
from waitressd.wsgi.application import trouble_with
from waitressd.wsgi.task import Application

if TYPE_CHECKING:
    from waitressd.net.listener import Listener


class Life(IntEnum):
    """Where a server is in its life."""

    BUILT = 0
    LISTENING = 1  # bound; the system's backlog takes connections
    SERVING = 2
    DRAINING = 3  # accepts no more, finishes what has begun
    ABORTING = 4  # cuts off whoever is left
    STOPPED = 5


class Turn(IntEnum):
    """What moves a server on."""

    OPEN = 0
    RUN = 1
    STOP = 2  # a signal, or `close`
    FORCE = 3  # a second signal, or the deadline of the drain
    END = 4


TRANSITIONS: Final[dict[tuple[Life, Turn], Life]] = {
    (Life.BUILT, Turn.OPEN): Life.LISTENING,
    (Life.BUILT, Turn.END): Life.STOPPED,
    (Life.LISTENING, Turn.RUN): Life.SERVING,
    (Life.LISTENING, Turn.STOP): Life.LISTENING,
    (Life.LISTENING, Turn.END): Life.STOPPED,
    (Life.SERVING, Turn.STOP): Life.DRAINING,
    (Life.SERVING, Turn.END): Life.STOPPED,
    (Life.DRAINING, Turn.STOP): Life.DRAINING,
    (Life.DRAINING, Turn.FORCE): Life.ABORTING,
    (Life.DRAINING, Turn.END): Life.STOPPED,
    (Life.ABORTING, Turn.STOP): Life.ABORTING,
    (Life.ABORTING, Turn.FORCE): Life.ABORTING,
    (Life.ABORTING, Turn.END): Life.STOPPED,
    (Life.STOPPED, Turn.STOP): Life.STOPPED,
    (Life.STOPPED, Turn.END): Life.STOPPED,
}

_ABORT_SECONDS: Final = 5.0  # for the event loop to cut off whoever is left
_REOPEN_SECONDS: Final = 2.0  # for log files that are being opened anew
_CLOSE_MARGIN_SECONDS: Final = 5.0  # what `close` waits beyond the drain's own deadline


class Server:
    """One server, whatever it listens on. `create_server` builds and opens one.

    `run` blocks the thread that calls it; `close` may be called by any thread, also by the application. `global_conf`
    is what factories of request logs get, as PasteDeploy has it. Raises ConfigError: a request log cannot be built.
    """

    def __init__(
        self, adjustments: Adjustments, application: Application, global_conf: Mapping[str, str] | None = None
    ) -> None:
        if trouble := trouble_with(application):
            raise TypeError(trouble)
        self.adjustments = adjustments
        self.application = application
        check_system(adjustments)
        self._request_logs = build_request_logs(adjustments, global_conf or {})
        self._life = Life.BUILT
        # Guards _life, and the moment where `run` begins against a `close`. It can be taken twice: a signal handler may
        # interrupt the main thread while that holds it.
        self._life_lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._dispatcher: Dispatcher | None = None
        self._pool: TaskPool | None = None
        self._watcher: Watcher | None = None
        self._runner: int | None = None  # the thread inside run()
        self._stopped = threading.Event()
        self._stop_signals = 0
        self._unsaid_signal = ""  # what told the server to stop, until that is logged
        self._drain_end = float("inf")
        self.on_stop: Callable[[], object] | None = None
        """Called by the thread inside `run` when a stop has begun; set by who bounds the end of the process itself."""
        self._reopen_asked = False
        self._reopener: threading.Thread | None = None

    # -- addresses

    @property
    def addresses(self) -> list[Any]:
        """The bound addresses as `getsockname` gives them: (host, port, ...) or the path of a Unix socket."""
        return [listener.socket.getsockname() for listener in self._listeners]

    @property
    def effective_listen(self) -> list[tuple[str, int | str]]:
        """The bound addresses as (host, port); ('unix', path) for a Unix socket."""
        return [
            (address[0], address[1]) if isinstance(address, tuple) else ("unix", str(address))
            for address in self.addresses
        ]

    @property
    def effective_host(self) -> str:
        """The host of the first listener."""
        return self.effective_listen[0][0]

    @property
    def effective_port(self) -> int | str:
        """The port of the first listener; with `port = 0` the one that the system chose."""
        return self.effective_listen[0][1]

    def getsockname(self) -> Any:  # noqa: ANN401 - the standard library's own type for addresses
        """Return the address of the first listener, as a socket would."""
        return self.addresses[0]

    def print_listen(self, template: str) -> None:
        """Log a line for each listener; `template` takes the host and the port, as in 'http://{}:{}'."""
        for host, port in self.effective_listen:
            say(logging.INFO, template.format(f"[{host}]" if ":" in host else host, port))

    # -- life

    def open(self) -> None:
        """Bind and listen; connections wait in the backlog until `run`.

        Raises OSError naming the address, or the file of a request log.
        """
        self._move(Turn.OPEN)
        fill_descriptors()
        self._listeners = open_listeners(self.adjustments)
        if self._request_logs is not None:
            try:
                self._request_logs.start(self)
            except BaseException:  # border: plugin
                self._close_listeners()
                raise

    def run(self) -> None:
        """Serve until the server is stopped. Raises OSError when an address cannot be bound or a thread not started.

        In the main thread SIGTERM and SIGINT stop it, a second one at once; SIGHUP and SIGUSR1 reopen log files. What
        the application does with signals is in `waitressd.signals`.
        """
        if self._life is Life.BUILT:
            self.open()
        if threading.current_thread() is not threading.main_thread():
            self._run(Notifier({}))
            return
        raise_descriptor_limit()
        # From the beginning to the very end: a signal that comes while logs are written out must not end the process.
        signals = ServerSignals(self.on_signal, reopens=self._request_logs is not None or bool(log_files()))
        try:
            self._run(Notifier(), signals)
        finally:
            signals.put_back()

    def _run(self, notifier: Notifier, signals: ServerSignals | None = None) -> None:
        with self._life_lock:
            if self._life is Life.STOPPED:
                return  # closed before it began
            self._move(Turn.RUN)
            self._assemble()
            self._runner = threading.get_ident()
            forks.hold(self)
            if self._stop_signals:  # before there was anything to stop
                self._stop()
        try:
            with operator_log.running():
                if signals is not None and (known := signals.describe()):
                    say(logging.INFO, known)
                self._serve(notifier)
                if signals is not None:
                    signals.pass_on(self._drain_end - time.monotonic(), partial(say, logging.INFO))
                    if self.on_stop is None:
                        say_what_lives()
        finally:
            self._stopped.set()

    def _serve(self, notifier: Notifier) -> None:
        assert self._pool is not None
        assert self._watcher is not None
        self._supervisor = self._build_supervisor(notifier)
        serving = self._describe()  # now: a stop closes the listeners, and may come with the first thread
        try:
            self._pool.start()
            self._supervisor.ready(serving)
            self._watcher.watch(self._on_tick)
        finally:
            self._shut()

    def close(self) -> None:
        """Stop: accept no more, finish what has begun within `shutdown_timeout`, give everything back.

        Any thread, any number of times. Returns when the server has stopped, or at once when the caller is a thread
        that the stop would wait for.
        """
        with self._life_lock:
            has_run = self._dispatcher is not None
            if not has_run:
                self._move(Turn.END)
        if not has_run:
            self._close_listeners()
            self._close_request_logs()
            self._stopped.set()
            return
        self._stop(CLOSE_IDLE_SECONDS)
        if self._runner != threading.get_ident() and not self._is_own_thread():
            self._stopped.wait(self.adjustments.shutdown_timeout + _CLOSE_MARGIN_SECONDS)

    @property
    def drain_end(self) -> float:
        """By when a stop should be over (monotonic seconds), infinite while there is none. Any thread."""
        return self._drain_end

    def reopen(self) -> None:
        """Let go of log files that were renamed: those of `logging`, and those of request logs. Any thread."""
        reopen_log_files()
        if self._request_logs is not None:
            self._request_logs.reopen()

    def snapshot(self) -> Snapshot:
        """Say how busy the server is now: threads, the task queue, connections by state. Any thread."""
        return EMPTY if self._dispatcher is None else take_snapshot(self._dispatcher)

    def open_beside(self, app: Application, **settings: Any) -> "Server":  # noqa: ANN401 - settings have many types
        """Build another server in this process and bind its addresses, for a request log that has a page of its own.

        Any thread. Raises ConfigError, or OSError naming the address.
        """
        return create_server(app, **settings)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Act on a signal. The main thread, which may hold any lock, even that of a log: so nothing is logged here."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop_signals += 1
            if self._stop_signals == 1:
                self._unsaid_signal = signal.Signals(number).name
                if self._dispatcher is not None:
                    self._stop()
            else:
                self._drain_end = time.monotonic()
        else:
            self._reopen_asked = True
        if self._watcher is not None:
            self._watcher.ring()

    def _assemble(self) -> None:
        adjustments = self.adjustments
        role = build_role(adjustments.threads)
        dispatcher = Dispatcher(build_poller(), role, bounds(adjustments))
        for listener in self._listeners:
            settings = channel_settings(adjustments, self.application, listener, self._request_logs)
            dispatcher.add_listener(listener, settings)
        self._pool = TaskPool(dispatcher, task_log_seconds=adjustments.task_log_timeout)
        self._watcher = Watcher([self._pool])
        self._dispatcher = dispatcher

    def _build_supervisor(self, notifier: Notifier) -> Supervisor:
        assert self._pool is not None
        assert self._dispatcher is not None
        pool, dispatcher = self._pool, self._dispatcher
        return Supervisor(
            notifier, Watchdog(notifier, dispatcher.poller.wake, lambda: dispatcher.now, lambda: pool.is_whole)
        )

    def _describe(self) -> str:
        listeners = ", ".join(listener.name for listener in self._listeners)
        return f"Serving on {listeners} with {self.adjustments.threads} threads"

    def _stop(self, idle_seconds: float = DRAIN_IDLE_SECONDS) -> None:
        assert self._dispatcher is not None
        with self._life_lock:
            begins = self._life is Life.SERVING
            self._life = TRANSITIONS[self._life, Turn.STOP]
        if begins:
            # A second signal may have come while the first one was handled; it must not be forgotten.
            self._drain_end = min(self._drain_end, time.monotonic() + self.adjustments.shutdown_timeout)
        self._dispatcher.stop(idle_seconds)

    def _on_tick(self, now: float) -> None:
        """Look after the stop and the signals. The thread inside `run`."""
        self._say_signal()
        if self._reopen_asked and not (self._reopener is not None and self._reopener.is_alive()):
            self._reopen_asked = False
            # In a thread of its own: a disk that does not answer, or a plugin, must not keep this one from its work.
            self._reopener = threading.Thread(target=self._reopen, name="waitressd-reopen", daemon=True)
            self._reopener.start()
        if self._life is Life.DRAINING:
            self._tell_stop("Finishing what has begun", self.adjustments.shutdown_timeout)
        self._supervisor.on_tick(now)
        assert self._pool is not None
        assert self._dispatcher is not None
        if now >= self._drain_end and self._life is Life.DRAINING:
            self._move(Turn.FORCE)
            if self._pool.busy_workers():
                self._pool.log_stacks("cut off by the stop")
            self._dispatcher.abort()
        elif now >= self._drain_end + _ABORT_SECONDS and self._life is Life.ABORTING:
            self._pool.give_up()

    def _say_signal(self) -> None:
        if self._unsaid_signal:
            name, self._unsaid_signal = self._unsaid_signal, ""
            say(logging.INFO, "%s: stopping; a second signal ends at once", name)

    def _tell_stop(self, status: str, seconds: float) -> None:
        self._supervisor.stopping(status, seconds)
        if self.on_stop is not None:
            self.on_stop()

    def _reopen(self) -> None:
        try:
            self._supervisor.reopened(self.reopen)
        except Exception:  # border: handlers of logging are anybody's classes
            operator_log.say(logger, logging.ERROR, "log files could not be opened anew", error=True)

    def _shut(self) -> None:
        if self._life is Life.STOPPED:  # in a child that a handler of the application has forked
            forks.leave(sys.exc_info()[1])
        assert self._pool is not None
        assert self._dispatcher is not None
        self._say_signal()  # where the stop was faster than the next tick
        self._tell_stop("Stopping", _CLOSE_MARGIN_SECONDS)
        if not self._dispatcher.finished:  # something went wrong, and the threads know of no stop
            self._dispatcher.abort()
        if self._pool.join():
            forks.drop(self)
        else:
            say(logging.WARNING, "stopped while the application was still running; its threads end with the process")
        self._dispatcher.close()
        self._close_listeners()
        if self._reopener is not None:
            self._reopener.join(_REOPEN_SECONDS)
        self._close_request_logs()
        self._move(Turn.END)

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
        assert self._pool is not None
        self._pool.let_go()

    def let_go_of_listeners(self) -> None:
        """Close what a child has inherited and will not serve; the addresses stay the parent's."""
        for listener in self._listeners:
            listener.socket.close()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _close_request_logs(self) -> None:
        if self._request_logs is not None:
            self._request_logs.close()

    def _is_own_thread(self) -> bool:
        return self._pool is not None and self._pool.owns(threading.current_thread())

    def _move(self, turn: Turn) -> None:
        with self._life_lock:
            following = TRANSITIONS.get((self._life, turn))
            if following is None:
                raise ProtocolMisuse(f"a server cannot {turn.name} when it is {self._life.name}")
            self._life = following


def reopen_log_files() -> None:
    """Open the files of all logging handlers anew, so that a rotated file is let go. Any thread."""
    for handler in log_files():
        try:
            _reopen(handler)
        except OSError:
            operator_log.say(logger, logging.ERROR, "cannot reopen the log file %s", handler.baseFilename, error=True)


def log_files() -> set[logging.FileHandler]:
    """Return the handlers of `logging` that write to files. Any thread."""
    return {handler for handler in handlers_of_logging() if isinstance(handler, logging.FileHandler)}


def _reopen(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        stream = handler.stream
        if stream is not None:
            # A handler without a stream opens its file at the next line, also if that is not possible now.
            handler.stream = None
            stream.close()
            handler.stream = handler._open()  # noqa: SLF001 - documented as the hook that opens the file
    finally:
        handler.release()


def create_server(app: Application, **settings: Any) -> Server:  # noqa: ANN401 - settings have many types
    """Build a server and bind its addresses. Raises ConfigError, or OSError naming the address."""
    adjustments = Adjustments.from_keywords(**settings)
    log_advice(advise(Facts(adjustments), only_at_start=True))
    server = Server(adjustments, app)
    server.open()
    return server


def serve(app: Application, *, _quiet: bool = False, **settings: Any) -> None:  # noqa: ANN401 - settings have many types
    """Serve an application until the process is told to stop. Raises ConfigError, or OSError naming the address.

    With `_quiet`, as in waitress, the addresses are not logged and `logging` is left as it is.
    """
    if not _quiet:
        logging.basicConfig()
    server = create_server(app, **settings)
    with operator_log.running():
        if not _quiet:
            server.print_listen("Serving on http://{}:{}")
        server.run()
