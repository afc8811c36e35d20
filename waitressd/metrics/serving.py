"""How metrics get out: a listener of their own, or a page of the application.

In a worker of a fleet they count where the master sees them, and it is the master that listens.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from waitressd.kinds import text
from waitressd.metrics.adopted import AdoptedRow, adopted_row
from waitressd.metrics.collector import Metrics
from waitressd.metrics.listener import Application, Environ, MetricsListener, check_listen
from waitressd.metrics.render import JSON_TYPE, PROMETHEUS_TYPE, render_json, render_prometheus
from waitressd.metrics.shown import Shown
from waitressd.metrics.view import FleetView
from waitressd.requestlog.options import Options

_PLAIN: Final = "text/plain; charset=utf-8"
_GAUGES_SECONDS: Final = 1.0  # between two looks of a worker at itself

# The metrics of the servers that run in this process, for applications that show them: the last one's.
_running: list[Shown] = []


class ShownMetrics(Metrics):
    """Metrics that applications of the process can show, and a listener if `listen` says where."""

    def __init__(self, listen: str = "") -> None:
        super().__init__()
        self.listen: Final = listen
        self._shown: Shown = self
        self._listener: MetricsListener | None = None
        self._row: AdoptedRow | None = None  # to write gauges to
        self._gauges_due = 0.0

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Let applications see them, and begin to listen. Raises OSError naming the address."""
        row = adopted_row()
        if row is not None:
            self._join_fleet(server, row)
        elif self.listen:
            self._listener = MetricsListener(server.open_beside, make_application(self), self.listen)
        super().start(server)
        _running.append(self._shown)

    @property
    def address(self) -> Any:  # noqa: ANN401 - as getsockname gives it
        """Where the listener is; None without one."""
        return self._listener.address if self._listener is not None else None

    def close(self) -> None:
        """Hide them, and stop the listener; twice is harmless."""
        if self._shown in _running:
            _running.remove(self._shown)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._gauges_due = 0.0
        self._write_gauges(time.monotonic())  # what has ended since the last time
        self._row = None

    def _join_fleet(self, server: Any, row: AdoptedRow) -> None:  # noqa: ANN401 - as in start
        """Count for the master, and show what all workers have counted."""
        self._shown = FleetView(row.area)
        numbers = row.take()
        if numbers is None:
            return  # other metrics of this process count for the fleet already
        self.numbers = numbers

        self._row = row
        server.on_tick.append(self._write_gauges)

    def _write_gauges(self, now: float) -> None:
        if now >= self._gauges_due and self._row is not None and self.server is not None:
            self._gauges_due = now + _GAUGES_SECONDS
            self._row.write(self.server.snapshot(), now)


def make_application(metrics: Shown | None = None) -> Application:
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
    listen = read.take("listen", text(), "")
    read.finish()
    if listen:
        check_listen(listen)
    return ShownMetrics(listen)
