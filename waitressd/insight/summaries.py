"""What has happened, as documents: `/stats`, how much and how fast, and `/slow`, which requests were slow or failed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Final

from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.documents import JSON, answer, members, text
from waitressd.insight.history import PHASES, STEP_SECONDS, STEPS, WINDOWS, Step, Window
from waitressd.insight.monitor import Monitor
from waitressd.insight.parameters import Parameters
from waitressd.insight.percentiles import PERCENTILES
from waitressd.insight.process import process_use
from waitressd.insight.slow import Unusual
from waitressd.net.ledger import BOUNDS
from waitressd.net.stacks import Frame

Head = Callable[[], dict[str, Any]]
"""Returns what every document begins with."""

USUAL_WINDOW: Final = "60"
SHOWN_STATUSES: Final = ("2xx", "3xx", "4xx", "5xx")

_UPPER: Final = (*BOUNDS, None)
_REQUEST_PHASES: Final = tuple(phase for phase in PHASES if phase != "total")


class Summaries:
    """The endpoints about what has happened. The thread of the admin address."""

    def __init__(self, monitor: Monitor, head: Head) -> None:
        self._monitor = monitor
        self._head = head

    def endpoints(self) -> list[Endpoint]:
        """Return them."""
        return [Endpoint("/slow", "slow", self.slow), Endpoint("/stats", "stats", self.stats)]

    def slow(self, query: Query) -> Answer:
        """Answer which requests were slow, and which failed; the last ones first. Raises BadQuestion."""
        Parameters(query)
        slow = self._monitor.slow
        return answer(
            self._head()
            | {
                "threshold_seconds": slow.threshold_seconds,
                "slow": map(unusual_row, slow.slow()),
                "failed": map(unusual_row, slow.failed()),
            }
        )

    def stats(self, query: Query) -> Answer:
        """Answer how much there was in the last seconds and how long it took. Raises BadQuestion."""
        seconds = int(Parameters(query, "window").choice("window", [str(each) for each in WINDOWS]) or USUAL_WINDOW)
        return Answer(200, JSON, self._stats(seconds))

    def _stats(self, seconds: int) -> Iterator[bytes]:
        """Write it part by part, with a pause after each."""
        monitor = self._monitor
        window = monitor.history.window(seconds) if monitor.is_counting else None
        uptime_seconds = round(time.monotonic() - monitor.started, 3)
        yield b"{"
        yield from members(
            self._head()
            | {
                "uptime_seconds": uptime_seconds,
                "window_seconds": window.seconds if window is not None else None,
                "rates": rates(window),
            }
        )
        yield from members({"phases": {phase: phase_row(window, phase) for phase in PHASES}}, follows=True)
        yield from members({"routes": iter(route_rows(window) if window is not None else ())}, follows=True)
        yield from members(self._now(), follows=True)
        yield from members({"findings": [asdict(finding) for finding in monitor.findings()]}, follows=True)
        yield from members({"history": history(monitor.history.steps() if monitor.is_counting else [])}, follows=True)
        yield b"}\n"

    def _now(self) -> dict[str, Any]:
        """How busy the server is."""
        monitor = self._monitor
        adjustments, load, process = monitor.view.adjustments, monitor.load(), process_use()
        busy = len(load.busy)
        return {
            "threads": {
                "busy": busy,
                "idle": load.idle_threads,
                "overdue": monitor.overdue_count(load),
                "limit": load.threads,
            },
            "queue": {
                "depth": len(load.queue),
                "oldest_seconds": _rounded(load.oldest_seconds),
                "limit": adjustments.queue_limit,
            },
            "connections": load.connections,
            "connection_limit": sum(lane.dispatcher.bounds.connection_limit for lane in monitor.view.lanes),
            "process": {
                "rss_bytes": process.rss_bytes,
                "cpu_share": _rounded(monitor.cpu.share),
                "fds": process.fds,
                "fd_limit": process.fd_limit,
            },
        }


def unusual_row(request: Unusual) -> dict[str, Any]:
    """Return a request that was slow or failed as it is shown."""
    row: dict[str, Any] = {each.name: getattr(request, each.name) for each in fields(request)}
    for name, value in row.items():
        if name.endswith("_seconds"):
            row[name] = _rounded(value)
    row["at"] = datetime.fromtimestamp(request.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row["stack"] = [frame_row(frame) for frame in request.stack] if request.stack is not None else None
    return row


def frame_row(frame: Frame) -> dict[str, Any]:
    """Return one step of a stack as it is shown."""
    return {"file": text(frame.file), "line": frame.line, "function": text(frame.function), "own": frame.own}


def rates(window: Window | None) -> dict[str, float | None]:
    """Return requests a second: all of them, by the class of their status, and those that were refused."""
    names = ("requests", "none", *SHOWN_STATUSES, "refused")
    if window is None:
        return dict.fromkeys(names)
    totals = window.totals
    counts = [totals.count, totals["none"], *map(totals.__getitem__, SHOWN_STATUSES), totals.refusals("refused")]
    return {name: _rounded(count / window.seconds) for name, count in zip(names, counts, strict=True)}


def phase_row(window: Window | None, phase: str) -> dict[str, Any]:
    """Return how long one phase took."""
    if window is None:
        return dict.fromkeys(("count", "mean", *PERCENTILES, "buckets"))
    buckets = window.totals.buckets(phase)
    count = sum(buckets)
    mean = window.totals.seconds(phase) / count if count else None
    percentiles = dict(zip(PERCENTILES, window.totals.percentiles(phase), strict=True))
    return {
        "count": count,
        "mean": _rounded(mean),
        **percentiles,
        "buckets": [list(pair) for pair in zip(_UPPER, buckets, strict=True)],
    }


def route_rows(window: Window) -> Iterator[dict[str, Any]]:
    """Yield what is known of each route, that with the most requests first; "" is for those that nobody has named."""
    for route, sums in sorted(window.routes.items(), key=lambda item: -item[1].count):
        yield {
            "route": text(route),
            "requests": sums.count,
            "failed": sums["5xx"],
            **dict(zip(PERCENTILES, sums.percentiles("total"), strict=True)),
            "mean": {phase: _rounded(sums.seconds(phase) / sums.count) for phase in _REQUEST_PHASES},
        }


def history(steps: Sequence[Step]) -> dict[str, Any]:
    """Return five minutes for a chart, the oldest first; null where the server did not exist yet."""
    before: list[Any] = [None] * (STEPS - len(steps))
    rows: Mapping[str, Callable[[Step], Any]] = {
        "requests": lambda step: _rounded(step.sums.count / step.seconds),
        **{status: _rate_of(status) for status in SHOWN_STATUSES},
        **{name: _percentile_of(place) for place, name in enumerate(PERCENTILES)},
        "busy_threads": lambda step: step.busy_threads,
        "queue": lambda step: step.queue_depth,
    }
    return {"step_seconds": STEP_SECONDS} | {name: before + [of(step) for step in steps] for name, of in rows.items()}


def _rate_of(status: str) -> Callable[[Step], float | None]:
    return lambda step: _rounded(step.sums[status] / step.seconds)


def _percentile_of(place: int) -> Callable[[Step], float | None]:
    return lambda step: step.percentiles[place]


def _rounded(seconds: float | None) -> float | None:
    """Without digits that mean nothing, which would make a document of thousands of numbers three times as long."""
    return None if seconds is None else round(seconds, 6)
