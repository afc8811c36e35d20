"""Metrics as text: Prometheus' exposition format 0.0.4, and JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from waitressd.metrics.layout import PHASES
from waitressd.metrics.shown import FleetState, Gauges, Shown, Totals, WorkerGauges

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE: Final = "application/json"

_HELP: Final = {
    "queue": "Seconds that complete requests waited for a thread",
    "application": "Seconds from the call of the application to the end of its answer",
    "flush": "Seconds from the end of the application's work to the last byte with the kernel",
    "total": "Seconds from the first byte of a request to its end",
}
_QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)


def render_prometheus(shown: Shown) -> str:
    """Write everything in the text format that Prometheus scrapes."""
    lines = [*_head("start_time_seconds", "gauge", "When the counters began, in seconds since the epoch")]
    lines.append(f"waitressd_start_time_seconds {shown.started:.3f}")
    totals = shown.totals()
    lines += _requests(totals)
    for phase in PHASES:
        lines += _histogram(totals, phase)
    gauges = shown.gauges()
    if gauges is not None:
        lines += _gauges([("", gauges)])
    workers = [(_label("worker", place), _together(each)) for place, each in shown.worker_gauges().items()]
    if workers:
        lines += _gauges(workers)
        lines += _ages(workers)
    shown_gauges = [("", gauges)] if gauges is not None else workers
    if any(_speaks_tls(totals, each) for _, each in shown_gauges):
        lines += _tls(totals, shown_gauges)
    state = shown.fleet_state()
    if state is not None:
        lines += _fleet(state)
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP waitressd_{name} {text}"
    yield f"# TYPE waitressd_{name} {kind}"


def _requests(totals: Totals) -> Iterator[str]:
    yield from _head("requests_total", "counter", "Requests that are over, by class of status and by who ended them")
    for (status, ended_by), count in sorted(totals.requests.items()):
        yield f'waitressd_requests_total{{status="{status}",ended_by="{ended_by}"}} {count}'
    yield from _head("request_body_bytes_total", "counter", "Bytes of request bodies received")
    yield f"waitressd_request_body_bytes_total {totals.body_bytes_received}"
    yield from _head("response_body_bytes_total", "counter", "Bytes of response bodies sent")
    yield f"waitressd_response_body_bytes_total {totals.body_bytes_sent}"


def _histogram(totals: Totals, phase: str) -> Iterator[str]:
    name = f"request_{phase}_seconds"
    yield from _head(name, "histogram", _HELP[phase])
    for (of, status), histogram in sorted(totals.phases.items()):
        if of != phase:
            continue
        for bound, count in histogram.octaves():
            yield f'waitressd_{name}_bucket{{status="{status}",le="{bound!r}"}} {count}'
        yield f'waitressd_{name}_bucket{{status="{status}",le="+Inf"}} {histogram.count}'
        yield f'waitressd_{name}_sum{{status="{status}"}} {histogram.total_seconds!r}'
        yield f'waitressd_{name}_count{{status="{status}"}} {histogram.count}'


def _gauges(of: Sequence[tuple[str, Gauges]]) -> Iterator[str]:
    """Write the gauges of each; a family's samples have to be together."""
    yield from _head("threads", "gauge", "Threads that run the application, and those that could")
    for label, gauges in of:
        yield _sample("threads", label, 'state="busy"') + f" {gauges.busy_threads}"
        yield _sample("threads", label, 'state="idle"') + f" {gauges.idle_threads}"
    yield from _head("queue_depth", "gauge", "Complete requests that wait for a thread")
    for label, gauges in of:
        yield _sample("queue_depth", label) + f" {gauges.queue_depth}"
    yield from _head("queue_oldest_wait_seconds", "gauge", "How long the first request in the queue has been waiting")
    for label, gauges in of:
        yield _sample("queue_oldest_wait_seconds", label) + f" {gauges.oldest_wait_seconds:.6f}"
    yield from _head("connections", "gauge", "Open connections by state")
    for label, gauges in of:
        for state, count in gauges.connections.items():
            yield _sample("connections", label, f'state="{state}"') + f" {count}"


def _tls(totals: Totals, of: Sequence[tuple[str, Gauges]]) -> Iterator[str]:
    yield from _head("tls_handshakes_open", "gauge", "Handshakes of TLS that are under way")
    for label, gauges in of:
        yield _sample("tls_handshakes_open", label) + f" {gauges.open_handshakes}"
    yield from _head("tls_handshakes_total", "counter", "Handshakes of TLS that are over, by how they ended")
    for result, count in totals.handshakes.items():
        yield _sample("tls_handshakes_total", _label("result", result)) + f" {count}"
    text = "When the certificate expires, in seconds since the epoch"
    yield from _head("tls_certificate_not_after_seconds", "gauge", text)
    for label, gauges in of:
        for name, moment in gauges.certificate_ends.items():
            yield _sample("tls_certificate_not_after_seconds", label, _label("name", name)) + f" {moment:.0f}"
    yield from _head("tls_reloads_total", "counter", "Changes of the certificate files, by what became of them")
    for result, count in totals.reloads.items():
        yield _sample("tls_reloads_total", _label("result", result)) + f" {count}"


def _speaks_tls(totals: Totals, gauges: Gauges) -> bool:
    return bool(gauges.certificate_ends) or any(totals.handshakes.values())


def _ages(workers: Iterable[tuple[str, WorkerGauges]]) -> Iterator[str]:
    yield from _head("gauges_age_seconds", "gauge", "How long ago the worker wrote its gauges; grows while it hangs")
    for label, gauges in workers:
        yield _sample("gauges_age_seconds", label) + f" {gauges.age_seconds:.3f}"


def _fleet(state: FleetState) -> Iterator[str]:
    yield from _head("workers", "gauge", "Worker processes by stage")
    for stage, count in state.workers.items():
        yield _sample("workers", _label("stage", stage)) + f" {count}"
    yield from _head("worker_exits_total", "counter", "Worker processes that have ended, by reason")
    for reason, count in state.exits.items():
        yield _sample("worker_exits_total", _label("reason", reason)) + f" {count}"
    yield from _head("worker_age_seconds", "gauge", "How long the worker has been running")
    for place, seconds in state.ages.items():
        yield _sample("worker_age_seconds", _label("worker", place)) + f" {seconds:.3f}"
    yield from _head("reloads_total", "counter", "Reloads by result")
    for result, count in state.reloads.items():
        yield _sample("reloads_total", _label("result", result)) + f" {count}"
    yield from _head("generation", "gauge", "Number of the application code that runs")
    yield f"waitressd_generation {state.generation}"


def _sample(name: str, *labels: str) -> str:
    given = ",".join(label for label in labels if label)
    return f"waitressd_{name}{{{given}}}" if given else f"waitressd_{name}"


def _label(name: str, value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{text}"'


def _together(gauges: Sequence[WorkerGauges]) -> WorkerGauges:
    """Add up the gauges of several processes; of waiting, the longest."""
    connections: dict[str, int] = {}
    for each in gauges:
        for state, count in each.connections.items():
            connections[state] = connections.get(state, 0) + count
    return WorkerGauges(
        busy_threads=sum(each.busy_threads for each in gauges),
        idle_threads=sum(each.idle_threads for each in gauges),
        queue_depth=sum(each.queue_depth for each in gauges),
        oldest_wait_seconds=max(each.oldest_wait_seconds for each in gauges),
        connections=connections,
        open_handshakes=sum(each.open_handshakes for each in gauges),
        age_seconds=max(each.age_seconds for each in gauges),
        certificate_ends={
            name: min(each.certificate_ends[name] for each in gauges if name in each.certificate_ends)
            for name in dict.fromkeys(name for each in gauges for name in each.certificate_ends)
        },
    )


def describe(shown: Shown) -> dict[str, Any]:
    """Return everything as one object."""
    totals = shown.totals()
    requests: dict[str, dict[str, int]] = {}
    for (status, ended_by), count in sorted(totals.requests.items()):
        requests.setdefault(status, {})[ended_by] = count
    phases: dict[str, dict[str, Any]] = {phase: {} for phase in PHASES}
    for (phase, status), histogram in sorted(totals.phases.items()):
        phases[phase][status] = {
            "count": histogram.count,
            "seconds": histogram.total_seconds,
            **{f"p{share * 100:g}": histogram.quantile(share) for share in _QUANTILES},
        }
    found: dict[str, Any] = {
        "started": shown.started,
        "requests": requests,
        "body_bytes": {"received": totals.body_bytes_received, "sent": totals.body_bytes_sent},
        "seconds": phases,
    }
    gauges, workers = shown.gauges(), shown.worker_gauges()
    if workers:
        gauges = _together([each for several in workers.values() for each in several])
    if gauges is not None:
        found |= _describe_gauges(gauges)
        if _speaks_tls(totals, gauges):
            found["tls"] = _describe_tls(totals, gauges)
    if workers:
        found["workers"] = {str(place): _describe_worker(_together(each)) for place, each in workers.items()}
    state = shown.fleet_state()
    if state is not None:
        found["fleet"] = _describe_fleet(state)
    return found


def _describe_gauges(gauges: Gauges) -> dict[str, Any]:
    return {
        "threads": {"busy": gauges.busy_threads, "idle": gauges.idle_threads},
        "queue": {"depth": gauges.queue_depth, "oldest_wait_seconds": gauges.oldest_wait_seconds},
        "connections": dict(gauges.connections),
    }


def _describe_tls(totals: Totals, gauges: Gauges) -> dict[str, Any]:
    return {
        "open_handshakes": gauges.open_handshakes,
        "handshakes": totals.handshakes,
        "not_after": dict(gauges.certificate_ends),
        "reloads": totals.reloads,
    }


def _describe_worker(gauges: WorkerGauges) -> dict[str, Any]:
    return {**_describe_gauges(gauges), "gauges_age_seconds": gauges.age_seconds}


def _describe_fleet(state: FleetState) -> Mapping[str, Any]:
    return {
        "workers": dict(state.workers),
        "worker_exits": dict(state.exits),
        "worker_age_seconds": {str(place): seconds for place, seconds in state.ages.items()},
        "reloads": dict(state.reloads),
        "generation": state.generation,
    }


def render_json(shown: Shown) -> str:
    """Write everything as one JSON object."""
    return json.dumps(describe(shown), indent=2) + "\n"
