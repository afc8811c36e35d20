"""What PasteDeploy, pserve and loadserver call: the server factory, the server runner, and a demonstration application.

Errors of the configuration are raised while the server is *loaded*, before the application is. pserve guards only the
later call of the server against `SystemExit`, and would turn an error raised there into exit status 0.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import Facts, advise, log_advice
from waitressd.config.inifile import from_factory
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.operatorlog import operator_log
from waitressd.processend import ProcessEnd
from waitressd.server import Server
from waitressd.wsgi.application import trouble_with
from waitressd.wsgi.task import Application

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

_PLAIN: Final = [("Content-Type", "text/plain; charset=utf-8")]

SERVING: Final = "Serving on http://{}:{}"
RELOADER_SECONDS: Final = 0.2  # between two looks of hupper's at what the application has imported


class Runner:
    """A loaded server: configured and checked, waiting for its application. PasteDeploy's ``server(app)``.

    The main thread. With `fast_listen` it is bound from the start.
    """

    def __init__(self, adjustments: Adjustments, global_conf: Mapping[str, str] | None = None) -> None:
        self._server = server = Server(adjusted_for_reloader(adjustments), _loading, global_conf)
        self.end = ProcessEnd(lambda: server.drain_end, server.adjustments.shutdown_timeout)
        server.on_stop = self.end.begin
        self._is_open = False
        if adjustments.fast_listen:
            self.open()
            _keep_from_workers(self._server)

    @property
    def served_certificates(self) -> tuple[ServedCertificate, ...]:
        """The certificates in use; none without TLS."""
        return self._server.served_certificates

    def open(self) -> None:
        """Bind, unless that was done. Raises OSError that names the address which cannot be bound."""
        if not self._is_open:
            self._server.open()
            self._is_open = True

    def __call__(self, application: object, say: Callable[[str], None] | None = None) -> int:
        """Serve until the process is told to stop. Raises OSError that names the address which cannot be bound.

        `say` gets the addresses as well as the log, for a command whose user may not read the log.
        """
        if trouble := trouble_with(application):
            self.close()
            raise TypeError(trouble)
        self._server.application = cast("Application", application)
        self.open()
        hurry_reloader()
        with operator_log.running(), self.end.bounded():
            self._server.print_listen(SERVING)
            if say is not None:
                for line in self._server.announce(SERVING):
                    say(line)
            self._server.run()
        return 0

    def close(self) -> None:
        """Close the listeners if no application was ever given. Harmless after the server has run."""
        self._server.close()


def _keep_from_workers(server: Server) -> None:
    """Close what is bound already in processes that the application starts while it is loaded.

    Those of `multiprocessing` alone: they never come back from there, as a child by `os.fork` may do to serve.
    """
    from multiprocessing.util import register_after_fork  # noqa: PLC0415 - only this setting needs it

    register_after_fork(server, Server.let_go_of_listeners)


def _loading(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Stand in for the application while it is loaded; the server does not run before it has the real one."""
    start_response("503 Service Unavailable", _PLAIN)
    return [b"The application is being loaded.\n"]


def active_hupper() -> Any:  # noqa: ANN401 - hupper has no types
    """Return hupper if this process is its worker. If it was not imported, this process is none."""
    hupper = sys.modules.get("hupper")
    return hupper if hupper is not None and hupper.is_active() else None


def adjusted_for_reloader(adjustments: Adjustments) -> Adjustments:
    """Skip the drain inside hupper, which kills a worker that is not gone within a second of SIGTERM."""
    return replace(adjustments, shutdown_timeout=0.0) if active_hupper() else adjustments


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

    Opens nothing unless `fast_listen` is set. Raises ConfigError with every problem.
    """
    section = from_factory(global_conf, local_conf)
    watch_for_reloader(section.paths)
    adjustments = section.check()
    runner = Runner(adjustments, global_conf)
    log_advice(advise(Facts(adjustments, section.hidden, certificates=runner.served_certificates), only_at_start=True))
    return runner


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
