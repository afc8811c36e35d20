"""What there is to show of a server that counts, and how metrics get out as a page of the application.

In a worker of a fleet the page shows what all workers have counted. Addresses are opened by who owns the admin address.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from waitressd.config.addresses import listen_addresses
from waitressd.config.adjustments import Adjustments
from waitressd.metrics.adopted import adopted_row
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.describe import JSON_TYPE, render_json
from waitressd.metrics.look import Watched
from waitressd.metrics.pauses import finish
from waitressd.metrics.render import PROMETHEUS_TYPE, render_prometheus
from waitressd.metrics.shown import Shown
from waitressd.metrics.view import FleetView
from waitressd.requestlog.options import Options
from waitressd.requestlog.record import RequestRecord

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_PLAIN: Final = "text/plain; charset=utf-8"
_NOBODY_COUNTS: Final = "Requests are not counted; set metrics = on.\n"

# What the servers of this process count, for applications that show it: the last one's.
_running: list[Shown] = []


class Counting(Watched, Protocol):
    """A server that may count."""

    adjustments: Adjustments
    on_tick: list[Callable[[float], object]]
    """Called by the thread inside `run`, at least once a second."""


@contextlib.contextmanager
def counted(server: Counting) -> Iterator[None]:
    """Show what a server counts while it runs, to applications of this process; of a worker, to its fleet."""
    if not server.adjustments.counts_requests and adopted_row() is None:
        yield
        return
    shown = shown_of(server)
    _running.append(shown)
    row = adopted_row()
    if row is not None:
        row.begin(server)
        server.on_tick.append(row.on_tick)
    try:
        yield
    finally:
        _running.remove(shown)
        if row is not None:
            row.end()


def shown_of(server: Counting) -> ServerCounts | FleetView:
    """Return what there is to show where a server runs: in a worker, what its fleet has counted."""
    row = adopted_row()
    return ServerCounts(server, server.adjustments.metrics_series) if row is None else FleetView(row.area)


class ShownMetrics:
    """What is left of a request log that counted: it says where metrics are shown (`listen`), and takes no records."""

    takes_records: Final = False

    def __init__(self, listen: str = "") -> None:
        self.listen: Final = listen

    def __call__(self, record: RequestRecord) -> None:
        """Never called: the ledgers of the server count."""


def make_application(shown: Shown | None = None) -> Application:
    """Make a WSGI application that shows metrics: those given, or the process's own.

    JSON where the path ends in `.json`, else the text format that Prometheus scrapes.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        whose = shown if shown is not None else _running[-1] if _running else None
        body: Iterable[bytes]
        if whose is None:
            status, kind, body = "503 Service Unavailable", _PLAIN, [_NOBODY_COUNTS.encode()]
        elif environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            status, kind, body = "405 Method Not Allowed", _PLAIN, [b"Metrics can only be read.\n"]
        elif environ.get("PATH_INFO", "").endswith(".json"):
            status, kind, body = "200 OK", JSON_TYPE, [render_json(finish(whose.look())).encode()]
        else:
            status, kind = "200 OK", PROMETHEUS_TYPE
            body = [b"".join(render_prometheus(finish(whose.look())))]
        start_response(status, [("Content-Type", kind), ("Cache-Control", "no-store")])
        return body

    return application


def app_factory(_global_conf: Mapping[str, str], **_local_conf: str) -> Application:
    """Make the page of the process's metrics, for ``use = call:waitressd.metrics:app_factory``."""
    return make_application()


def request_log(_global_conf: Mapping[str, str], **options: str) -> ShownMetrics:
    """Make the former request log of that name (``egg:waitressd#metrics``): it has the server count requests.

    `listen` is an admin address that answers probes and metrics.
    """
    read = Options(options)
    addresses = read.take("listen", listen_addresses(), ())
    if not options.get("listen", "x").strip():
        read.complain("listen", "expected an address, as 127.0.0.1:9100")
    read.finish()
    return ShownMetrics(" ".join(map(str, addresses)))
