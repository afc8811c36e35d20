"""How metrics get out: a listener of their own, or a page of the application.

The listener is a second, small server in this process with threads of its own, so it answers even if every thread of
the application hangs, and a slow or hostile scraper delays no request.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.metrics.collector import Metrics
from waitressd.metrics.render import JSON_TYPE, PROMETHEUS_TYPE, render_json, render_prometheus
from waitressd.requestlog.options import OptionError, Options

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_PLAIN: Final = "text/plain; charset=utf-8"
_STOP_SECONDS: Final = 1.0  # what the listener waits for a scrape that has begun

# The metrics of the servers that run in this process, for applications that show them: the last one's.
_running: list[Metrics] = []


class ShownMetrics(Metrics):
    """Metrics that applications of the process can show, and a listener if it is given settings."""

    def __init__(self, listener: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._listener = listener
        self._server: Any = None  # the small one
        self._thread: threading.Thread | None = None

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Let applications see them, and begin to listen. Raises OSError naming the address."""
        if self._listener is not None:
            self._server = server.open_beside(make_application(self), **self._listener)
            self._server.print_listen("Metrics on http://{}:{}/metrics")
            self._thread = threading.Thread(target=self._server.run, name="metrics", daemon=True)
            self._thread.start()
        super().start(server)
        _running.append(self)

    @property
    def address(self) -> Any:  # noqa: ANN401 - as getsockname gives it
        """Where the listener is."""
        return self._server.getsockname()

    def close(self) -> None:
        """Hide them, and stop the listener; twice is harmless."""
        if self in _running:
            _running.remove(self)
        if self._thread is not None:
            self._server.close()
            self._thread.join(_STOP_SECONDS + 1)
            self._thread = None


def make_application(metrics: Metrics | None = None) -> Application:
    """Make a WSGI application that shows metrics: those given, or the process's own.

    JSON where the path ends in `.json`, else the text format that Prometheus scrapes.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        shown = metrics if metrics is not None else _running[-1] if _running else None
        if shown is None:
            status, kind, text = (
                "503 Service Unavailable",
                _PLAIN,
                "No request log counts; see request_log = metrics.\n",
            )
        elif environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            status, kind, text = "405 Method Not Allowed", _PLAIN, "Metrics can only be read.\n"
        elif environ.get("PATH_INFO", "").endswith(".json"):
            status, kind, text = "200 OK", JSON_TYPE, render_json(shown)
        else:
            status, kind, text = "200 OK", PROMETHEUS_TYPE, render_prometheus(shown)
        start_response(status, [("Content-Type", kind), ("Cache-Control", "no-store")])
        return [text.encode()]

    return application


def app_factory(_global_conf: Mapping[str, str], **_local_conf: str) -> Application:
    """Make the page of the process's metrics, for ``use = call:waitressd.metrics:app_factory``."""
    return make_application()


def request_log(_global_conf: Mapping[str, str], **options: str) -> ShownMetrics:
    """Make the metrics of a server (``egg:waitressd#metrics``). `listen` gives them a listener of their own."""
    read = Options(options)
    listen = read.text("listen")
    read.finish()
    return ShownMetrics(_settings(listen) if listen else None)


def _settings(listen: str) -> dict[str, Any]:
    settings = {"listen": listen, "threads": 1, "ident": "", "connection_limit": 32, "shutdown_timeout": _STOP_SECONDS}
    try:
        Adjustments.from_keywords(**settings)
    except ConfigError as error:
        raise OptionError(*(("listen", problem.text) for problem in error.problems)) from None
    return settings
