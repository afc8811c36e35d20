"""What PasteDeploy, pserve and loadserver call: the server factory, the server runner, and a demonstration application.

Errors of the configuration are raised while the server is *loaded*, before the application is. pserve guards only the
later call of the server against `SystemExit`, and would turn an error raised there into exit status 0.
"""

import logging
import math
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from waitressd import console
from waitressd.command import LINK_VARIABLE
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.inifile import from_factory
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.fdstore import keep_while_serving
from waitressd.listeners import open_first_listeners
from waitressd.listening import log_lines
from waitressd.logsetup import LogSetup
from waitressd.net.listener import Listener
from waitressd.operatorlog import operator_log
from waitressd.processend import ProcessEnd
from waitressd.server import Server
from waitressd.signals import show_stacks_of_a_crash
from waitressd.standardstreams import fill_descriptors
from waitressd.startadvice import log_start_advice
from waitressd.wsgi.application import trouble_with
from waitressd.wsgi.task import Application

if TYPE_CHECKING:
    from waitressd.fleet.hazards import Hazard
    from waitressd.fleet.recruit import Recruit

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

_PLAIN: Final = [("Content-Type", "text/plain; charset=utf-8")]

_logger: Final = logging.getLogger("waitressd")

WRONG: Final = 2  # the exit status for a wrong configuration
SERVING: Final = "Serving on http://{}:{}"
RELOADER_SECONDS: Final = 0.2  # between two looks of hupper's at what the application has imported


class Runner:
    """A loaded server: configured and checked, waiting for its application. PasteDeploy's ``server(app)``.

    The main thread. With `fast_listen` it is bound from the start. `logs` says how logging was set up, for a master of
    worker processes, which does the same.
    """

    def __init__(
        self,
        adjustments: Adjustments,
        global_conf: Mapping[str, str] | None = None,
        logs: LogSetup | None = None,
    ) -> None:
        fill_descriptors()
        show_stacks_of_a_crash()  # also of one while the application is loaded
        self._server = server = Server(adjusted_for_reloader(adjustments), _loading, global_conf)
        self._logs = logs or LogSetup()
        self._listeners: list[Listener] = []
        self._recruit = _recruit()
        is_watched = console.is_screen(sys.stderr) and self._logs.level < logging.WARNING
        self._waiting = console.Waiting(operator_log.write if is_watched else None)
        self._known = _known_before() if server.adjustments.may_be_fleet or self._recruit is not None else []
        self.end = ProcessEnd(lambda: server.drain_end, server.adjustments.shutdown_timeout)
        server.on_stop = self.end.begin
        if adjustments.fast_listen:
            self.open()
            _keep_from_workers(self._listeners)

    @property
    def served_certificates(self) -> tuple[ServedCertificate, ...]:
        """The certificates in use; none without TLS."""
        return self._server.served_certificates

    def open(self) -> None:
        """Bind, unless that was done, here or by a master. Raises OSError that names the address."""
        if not self._listeners and self._recruit is None:
            fill_descriptors()
            self._listeners = open_first_listeners(self._server.adjustments)

    def __call__(self, application: object, say: Callable[[str], None] | None = None) -> int:
        """Serve until the process is told to stop. Raises OSError that names the address which cannot be bound.

        `say` gets the addresses as well as the log, for a command whose user may not read the log. Where there are
        worker processes, this never returns: the process becomes their master, or is one of them.
        """
        if trouble := trouble_with(application):
            self.close()
            raise TypeError(trouble)
        server = self._server
        server.application = cast("Application", application)
        if self._recruit is not None:
            self._recruit.serve_under_master(server, self._known)
        self.open()
        if server.adjustments.may_be_fleet:
            self._lead(prints=say is not None)
        hurry_reloader()
        server.open(self._listeners)
        server.on_ready.append(partial(self._announce, server.announce(SERVING), say))
        keep_while_serving(server.on_ready, self._listeners)
        with operator_log.running(), self.end.bounded():
            server.on_tick.append(self._say_what_is_waited_for)
            server.run()
            self._waiting.end()
        return 0

    def _announce(self, lines: Sequence[str], say: Callable[[str], None] | None, _serving: str) -> None:
        """Say where requests are served, now that they are and that signals are heard."""
        log_lines(lines)
        if self._waiting.is_watched:
            self._greet(lines)
        elif say is not None:
            for line in lines:
                say(line)

    def _greet(self, lines: Sequence[str]) -> None:
        """Show somebody at a terminal what has begun."""
        adjustments = self._server.adjustments
        start = console.Start(
            addresses=[line.removeprefix(SERVING.partition("{")[0].removesuffix("http://")) for line in lines],
            threads=adjustments.threads,
            config=self._logs.config,
            admin=str(next(iter(adjustments.admin_listen), "")),
        )
        operator_log.write(console.banner(start, coloured=console.takes_colours(sys.stderr)))

    def _say_what_is_waited_for(self, now: float) -> None:
        end = self._server.drain_end
        if self._waiting.is_watched and end != math.inf:
            figures = self._server.snapshot()
            requests = figures.busy_threads + figures.queue_depth
            self._waiting.look(now, console.finishing(requests, "request", end - now))

    def lead_unloaded(self, *, prints: bool) -> None:
        """Become the master now, where each worker loads the application for itself and this process need not.

        Raises OSError that names the address which cannot be bound.
        """
        adjustments = self._server.adjustments
        if self._recruit is None and adjustments.may_be_fleet and adjustments.preload is False:
            self.open()
            self._lead(prints=prints)

    def _lead(self, *, prints: bool) -> None:
        """Become the master of worker processes, if there are to be any."""
        from waitressd.fleet import lead  # noqa: PLC0415 - a single process pays nothing for it

        if lead.is_master_needed(self._server):
            lead.lead(self._server, lead.Program(self._listeners, self._logs, self._known, prints=prints))

    def close(self) -> None:
        """Close the listeners if no application was ever given. Harmless after the server has run."""
        for listener in self._listeners:
            listener.close()
        self._server.close()


def _known_before() -> "list[Hazard]":
    """Return what would be a hazard for forks if the application had left it; it is not loaded yet."""
    from waitressd.fleet.hazards import find_hazards  # noqa: PLC0415 - a single process pays nothing for it

    return find_hazards()


def _recruit() -> "Recruit | None":
    """Return what makes a process of a fleet of this one, if a master has started it."""
    if LINK_VARIABLE not in os.environ:
        return None
    from waitressd.fleet.recruit import recruited  # noqa: PLC0415 - a single process pays nothing for it

    return recruited()


def _keep_from_workers(listeners: Sequence[Listener]) -> None:
    """Close what is bound already in processes that the application starts while it is loaded.

    Those of `multiprocessing` alone: they never come back from there, as a child by `os.fork` may do to serve.
    """
    from multiprocessing.util import register_after_fork  # noqa: PLC0415 - only this setting needs it

    for listener in listeners:
        register_after_fork(listener.socket, socket.socket.close)


def _loading(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Stand in for the application while it is loaded; the server does not run before it has the real one."""
    start_response("503 Service Unavailable", _PLAIN)
    return [b"The application is being loaded.\n"]


def active_hupper() -> Any:  # noqa: ANN401 - hupper has no types
    """Return hupper if this process is its worker. If it was not imported, this process is none."""
    hupper = sys.modules.get("hupper")
    return hupper if hupper is not None and hupper.is_active() else None


def adjusted_for_reloader(adjustments: Adjustments) -> Adjustments:
    """Skip the drain inside hupper, which kills a worker that is not gone within a second of SIGTERM.

    For the same reason, and because every change of a file starts it anew, that is the only process.
    """
    if not active_hupper():
        return adjustments
    if adjustments.may_be_fleet:
        operator_log.say(_logger, logging.INFO, "under a reloader there is one process: workers counts as 1")
    return replace(adjustments, shutdown_timeout=0.0, drain_delay=0.0, workers=1, supervise=None)


def hurry_reloader() -> None:
    """Let the end of hupper's worker take less than the second after which hupper kills it.

    The worker's last step is to wait for a thread that looks for imported modules once a second.
    """
    hupper = active_hupper()
    watches = getattr(getattr(hupper, "worker", None), "WatchSysModules", None)
    for thread in threading.enumerate():
        if watches is not None and isinstance(thread, watches):
            thread.poll_interval = RELOADER_SECONDS


def watch_for_reloader(paths: Sequence[str]) -> None:
    """Have hupper start again when a file changes that the section uses; pserve names the outermost alone."""
    hupper = active_hupper()
    if hupper:
        hupper.get_reloader().watch_files(list(paths))


def server_factory(global_conf: Mapping[str, str], **local_conf: str) -> Runner:
    """Check the configuration and return the server that waits for its application (``paste.server_factory``).

    Opens nothing unless `fast_listen` is set. Raises ConfigError with every problem; where worker processes are
    configured, pserve ends with status 2 then, as the command does, so that a supervisor need not try again.
    """
    try:
        return _checked_runner(global_conf, local_conf)
    except ConfigError as error:
        if local_conf.get("workers", "1") != "1" or "supervise" in local_conf:
            error.end_with(WRONG)
        raise


def _checked_runner(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> Runner:
    section = from_factory(global_conf, local_conf)
    watch_for_reloader(section.paths)
    adjustments = section.check()
    runner = Runner(adjustments, global_conf, _log_setup(global_conf))
    log_start_advice(adjustments, section.hidden, runner.served_certificates)
    return runner


def _log_setup(global_conf: Mapping[str, str]) -> LogSetup:
    """Say how pserve has set logging up: from the file that names the application, with its variables."""
    variables = {name: value for name, value in global_conf.items() if name not in ("here", "__file__")}
    return LogSetup(global_conf.get("__file__", ""), variables)


def server_runner(application: Application, global_conf: Mapping[str, str], **local_conf: str) -> int:
    """Serve an application until the process is told to stop (``paste.server_runner``)."""
    return server_factory(global_conf, **local_conf)(application)


def demo(global_conf: Mapping[str, str], greeting: str = "waitressd works.", **_settings: str) -> Application:
    """Make the demonstration application of ``configs/*.ini`` (``paste.app_factory``)."""
    del global_conf  # the same everywhere
    page = f"{greeting}\n\nPOST to /echo; GET /count for a streamed answer, /error for a failure.\n".encode()

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case (("GET" | "HEAD"), "/"):
                start_response("200 OK", _PLAIN)
                return [page]
            case "POST", "/echo":
                start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE") or "application/octet-stream")])
                return iter(lambda: environ["wsgi.input"].read(65536), b"")
            case (("GET" | "HEAD"), "/count"):
                start_response("200 OK", _PLAIN)
                return (b"%d\n" % number for number in range(1, 1001))
            case (("GET" | "HEAD"), "/error"):
                raise RuntimeError("this page fails, to show what happens then")
            case _, ("/" | "/echo" | "/count" | "/error"):
                start_response("405 Method Not Allowed", _PLAIN)
                return [b"This page does not take that method.\n"]
            case _:
                start_response("404 Not Found", _PLAIN)
                return [b"There is no such page.\n"]

    return application
