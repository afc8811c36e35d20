"""Metrics as text: Prometheus' exposition format 0.0.4, piece by piece.

A piece is a family, or one series of a histogram: it takes a fraction of a millisecond, so that whoever sends them may
pause in between. Every number is one of the picture's: nothing is looked at here.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from waitressd.metrics.figures import Figures
from waitressd.metrics.histogram import Histogram
from waitressd.metrics.layout import FINDINGS, SERIES_BOUNDS, STATUSES
from waitressd.metrics.shown import NOT_READY, FleetState, Picture, Totals
from waitressd.version import __version__

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

PHASE_BOUNDS: Final = (0.001, 0.0025, *SERIES_BOUNDS, 30.0, 60.0)
DELAY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PHASES: Final = {
    "receive": "Seconds from the first byte of requests to the last one",
    "queue": "Seconds that complete requests waited for a thread",
    "application": "Seconds from the call of the application to the end of its answer",
    "flush": "Seconds from the end of the application's work to the last byte with the kernel",
}

Processes = Sequence[tuple[int, Figures]]


def render_prometheus(picture: Picture) -> Iterator[bytes]:
    """Write everything in the text format that Prometheus scrapes."""
    for piece in _pieces(picture):
        yield f"{piece}\n".encode()


def _pieces(picture: Picture) -> Iterator[str]:
    totals, processes = picture.totals, picture.processes
    yield _server(picture)
    yield from _series(totals)
    yield _running(totals, processes)
    yield _requests(totals)
    for phase, text in _PHASES.items():
        yield _head(f"request_{phase}_seconds", "histogram", text)
        for status in STATUSES:
            histogram = totals.phase(phase, status)
            if histogram.count:
                name = f"waitressd_request_{phase}_seconds"
                yield _histogram(name, _label("status", status), histogram, PHASE_BOUNDS)
    yield _bytes(totals)
    yield _busy(processes)
    yield _connections(totals, processes)
    yield _timeouts(totals)
    yield _head("wakeup_delay_seconds", "histogram", "Seconds that timers of the server were late")
    yield _histogram("waitressd_wakeup_delay_seconds", "", totals.delays, DELAY_BOUNDS)
    yield _logs(totals)
    yield from _health(picture)
    if any(figures.certificate_ends for _, figures in processes) or any(totals.handshakes.values()):
        yield _tls(totals, processes)
    yield _processes(processes)
    if picture.ages:
        text = "How long ago the worker wrote its gauges; grows while it hangs"
        lines = (f"{_name('gauges_age_seconds', _worker(place))} {age:.3f}" for place, age in picture.ages.items())
        yield _family("gauges_age_seconds", "gauge", text, lines)
    if picture.fleet is not None:
        yield _fleet(picture.fleet)


# -- families


def _server(picture: Picture) -> str:
    gil = "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off"
    python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    labels = (_label("version", __version__), _label("python", python), _label("gil", gil))
    return "\n".join(
        (
            _family("build_info", "gauge", "Which server this is", [f"{_name('build_info', *labels)} 1"]),
            _family(
                "start_time_seconds",
                "gauge",
                "When the counters began, in seconds since the epoch",
                [f"waitressd_start_time_seconds {picture.started:.3f}"],
            ),
        )
    )


def _series(totals: Totals) -> Iterator[str]:
    name = "http_server_request_duration_seconds"
    yield _head(name, "histogram", "Seconds from the first byte of requests to the end of their answers", prefix="")
    for (route, method, status, scheme), slot in totals.keys.items():
        histogram = totals.series(slot)
        if histogram.count:
            labels = (
                _label("http_request_method", method),
                _label("http_response_status_code", status or ""),
                _label("http_route", route),
                _label("url_scheme", scheme),
            )
            yield _histogram(name, ",".join(labels), histogram, SERIES_BOUNDS)


def _running(totals: Totals, processes: Processes) -> str:
    known = dict.fromkeys(((method, scheme) for _, method, _, scheme in totals.keys), 0)
    for _, figures in processes:
        for kind, count in figures.running.items():
            known[kind] = known.get(kind, 0) + count
    lines = (
        f"http_server_active_requests{{{_label('http_request_method', method)},{_label('url_scheme', scheme)}}} {count}"
        for (method, scheme), count in known.items()
    )
    return _family("http_server_active_requests", "gauge", "Requests that are in the application", lines, prefix="")


def _requests(totals: Totals) -> str:
    lines = (
        f"{_name('requests_total', _label('status', status), _label('ended_by', ended_by))} {count}"
        for (status, ended_by), count in sorted(totals.requests.items())
    )
    text = "Requests that are over, by class of status and by what ended them"
    folded = _counter("series_folded_total", "Requests that are counted without their route", totals.count("folded"))
    return _family("requests_total", "counter", text, lines) + "\n" + folded


def _bytes(totals: Totals) -> str:
    return "\n".join(
        (
            _counter("network_receive_bytes_total", "Bytes that came from clients", totals.count("received_bytes")),
            _counter("network_transmit_bytes_total", "Bytes that went to clients", totals.count("sent_bytes")),
        )
    )


def _busy(processes: Processes) -> str:
    states = ("busy", "idle", "overdue")
    threads = (
        f"{_name('threads', _worker(place), _label('state', state))} {getattr(figures, f'{state}_threads')}"
        for place, figures in processes
        for state in states
    )
    text = "Threads that run the application, those that could, and of the busy ones those past a time limit"
    return "\n".join(
        (
            _family("threads", "gauge", text, threads),
            _gauge("threads_limit", "How many tasks may run at once", processes, "threads_limit"),
            _gauge("queue_depth", "Complete requests that wait for a thread", processes, "queue_depth"),
            _gauge("queue_limit", "How many may wait", processes, "queue_limit"),
            _gauge(
                "queue_oldest_wait_seconds",
                "How long the first request in the queue has been waiting",
                processes,
                "oldest_wait_seconds",
            ),
        )
    )


def _connections(totals: Totals, processes: Processes) -> str:
    lines = (
        f"{_name('connections', _worker(place), _label('state', state))} {count}"
        for place, figures in processes
        for state, count in figures.connections.items()
    )
    return "\n".join(
        (
            _family("connections", "gauge", "Open connections by state", lines),
            _gauge("connections_limit", "How many may be open", processes, "connections_limit"),
            _counter("connections_accepted_total", "Connections that were accepted", totals.count("accepted")),
            _counter(
                "role_takeovers_total",
                "How often the event loop was taken from a task that blocked",
                totals.count("takeovers"),
            ),
        )
    )


def _timeouts(totals: Totals) -> str:
    lines = (
        f"{_name('request_timeouts_total', _label('outcome', outcome))} {count}"
        for outcome, count in totals.timeouts.items()
    )
    text = "Requests past their time limit, by what became of them"
    return _family("request_timeouts_total", "counter", text, lines)


def _logs(totals: Totals) -> str:
    lost = totals.lost_records.items()
    lines = (f"{_name('log_records_dropped_total', _label('log', name))} {count}" for name, count in lost)
    return _family("log_records_dropped_total", "counter", "Records that a request log has lost", lines)


def _health(picture: Picture) -> Iterator[str]:
    reason = picture.not_ready
    if reason is not None:
        lines = (f"{_name('not_ready', _label('reason', each))} {int(each == reason)}" for each in NOT_READY)
        yield _family("ready", "gauge", "Whether requests are wanted", [f"waitressd_ready {int(not reason)}"])
        yield _family("not_ready", "gauge", "Why no requests are wanted", lines)
    known = [(place, figures.findings) for place, figures in picture.processes if figures.findings is not None]
    if known:
        found = (
            f"{_name('finding', _worker(place), _label('code', code))} {int(code in findings)}"
            for place, findings in known
            for code in FINDINGS
        )
        yield _family("finding", "gauge", "What is the matter, by its code in the manual", found)


def _tls(totals: Totals, processes: Processes) -> str:
    ended = (
        f"{_name('tls_handshakes_total', _label('result', result))} {count}"
        for result, count in totals.handshakes.items()
    )
    ends = (
        f"{_name('tls_certificate_not_after_seconds', _worker(place), _label('name', name))} {moment:.0f}"
        for place, figures in processes
        for name, moment in figures.certificate_ends.items()
    )
    reloads = (
        f"{_name('tls_reloads_total', _label('result', result))} {count}" for result, count in totals.reloads.items()
    )
    expiry = "When the certificate expires, in seconds since the epoch"
    changes = "Changes of the certificate files, by what became of them"
    return "\n".join(
        (
            _gauge("tls_handshakes_open", "Handshakes of TLS that are under way", processes, "open_handshakes"),
            _family("tls_handshakes_total", "counter", "Handshakes of TLS that are over, by how they ended", ended),
            _family("tls_certificate_not_after_seconds", "gauge", expiry, ends),
            _family("tls_reloads_total", "counter", changes, reloads),
        )
    )


_PROCESS: Final = (
    ("cpu_seconds_total", "counter", "Seconds of processor time", "cpu_seconds"),
    ("resident_memory_bytes", "gauge", "Memory that is resident", "rss_bytes"),
    ("open_fds", "gauge", "Open descriptors", "fds"),
    ("max_fds", "gauge", "How many descriptors there may be", "fd_limit"),
    ("start_time_seconds", "gauge", "When the process began, in seconds since the epoch", "process_started"),
)


def _processes(processes: Processes) -> str:
    return "\n".join(
        _gauge(f"process_{name}", text, processes, attribute, (kind, "")) for name, kind, text, attribute in _PROCESS
    )


def _fleet(state: FleetState) -> str:
    def rows(name: str, label: str, values: Mapping[str, int]) -> Iterator[str]:
        return (f"{_name(name, _label(label, value))} {count}" for value, count in values.items())

    ages = (f"{_name('worker_age_seconds', _worker(place))} {age:.3f}" for place, age in state.ages.items())
    private = (
        f"{_name('worker_private_bytes', _worker(place))} {count}" for place, count in state.private_bytes.items()
    )
    moved = rows("worker_moved_connections_total", "reason", state.moved)
    exits = rows("worker_restarts_total", "reason", state.exits)
    generation = [f"waitressd_generation {state.generation}"]
    wanted = [f"waitressd_workers_wanted {state.wanted}"]
    return "\n".join(
        (
            _family("workers", "gauge", "Worker processes by stage", rows("workers", "state", state.workers)),
            _family("workers_wanted", "gauge", "How many worker processes there should be", wanted),
            _family("worker_restarts_total", "counter", "Worker processes that have ended, by reason", exits),
            _family("worker_age_seconds", "gauge", "How long the worker has been running", ages),
            _family("worker_private_bytes", "gauge", "Memory that a worker shares with no other process", private),
            _family("worker_moved_connections_total", "counter", "Connections given to another worker", moved),
            _family("reloads_total", "counter", "Reloads by result", rows("reloads_total", "result", state.reloads)),
            _family("generation", "gauge", "Number of the application code that runs", generation),
        )
    )


# -- lines


def _family(name: str, kind: str, text: str, lines: Iterable[str], prefix: str = "waitressd_") -> str:
    return "\n".join((_head(name, kind, text, prefix), *lines))


def _counter(name: str, text: str, count: int) -> str:
    return _family(name, "counter", text, [f"waitressd_{name} {count}"])


def _gauge(
    name: str, text: str, processes: Processes, attribute: str, family: tuple[str, str] = ("gauge", "waitressd_")
) -> str:
    """Write one number of each process; what is not known has no line."""
    kind, prefix = family
    values = ((place, getattr(figures, attribute)) for place, figures in processes)
    known = ((_name(name, _worker(place), prefix=prefix), value) for place, value in values if value is not None)
    lines = (f"{whose} {_number(value)}" for whose, value in known)
    return _family(name, kind, text, lines, prefix)


def _head(name: str, kind: str, text: str, prefix: str = "waitressd_") -> str:
    return f"# HELP {prefix}{name} {text}\n# TYPE {prefix}{name} {kind}"


def _histogram(name: str, labels: str, histogram: Histogram, bounds: Sequence[float]) -> str:
    """Write one series of a histogram, of which every bound is one of its own."""
    more = f"{labels}," if labels else ""
    below = accumulate(histogram.counts) if bounds is histogram.bounds else histogram.at_most(bounds)
    lines = [f'{name}_bucket{{{more}le="{bound:g}"}} {count}' for bound, count in zip(bounds, below, strict=False)]
    lines.append(f'{name}_bucket{{{more}le="+Inf"}} {histogram.count}')
    of = f"{{{labels}}}" if labels else ""
    lines.append(f"{name}_sum{of} {histogram.total_seconds:.6f}")
    lines.append(f"{name}_count{of} {histogram.count}")
    return "\n".join(lines)


def _name(name: str, *labels: str, prefix: str = "waitressd_") -> str:
    given = ",".join(label for label in labels if label)
    return f"{prefix}{name}{{{given}}}" if given else f"{prefix}{name}"


def _worker(place: int) -> str:
    return _label("worker", place) if place else ""


def _label(name: str, value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{text}"'


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
