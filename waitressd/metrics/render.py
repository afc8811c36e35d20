"""Metrics as text: Prometheus' exposition format 0.0.4, and JSON."""

import json
from collections.abc import Iterator
from typing import Any, Final

from waitressd.metrics.collector import PHASES, Gauges, Metrics

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE: Final = "application/json"

_HELP: Final = {
    "queue": "Seconds that complete requests waited for a thread",
    "application": "Seconds from the call of the application to the end of its answer",
    "flush": "Seconds from the end of the application's work to the last byte with the kernel",
    "total": "Seconds from the first byte of a request to its end",
}
_QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)


def render_prometheus(metrics: Metrics) -> str:
    """Write everything in the text format that Prometheus scrapes."""
    lines = [*_head("start_time_seconds", "gauge", "When the counters began, in seconds since the epoch")]
    lines.append(f"waitressd_start_time_seconds {metrics.started:.3f}")
    with metrics.lock:
        lines += _requests(metrics)
        for phase in PHASES:
            lines += _histogram(metrics, phase)
    gauges = metrics.gauges()
    if gauges is not None:
        lines += _gauges(gauges)
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP waitressd_{name} {text}"
    yield f"# TYPE waitressd_{name} {kind}"


def _requests(metrics: Metrics) -> Iterator[str]:
    yield from _head("requests_total", "counter", "Requests that are over, by class of status and by who ended them")
    for (status, ended_by), count in sorted(metrics.requests.items()):
        yield f'waitressd_requests_total{{status="{status}",ended_by="{ended_by}"}} {count}'
    yield from _head("request_body_bytes_total", "counter", "Bytes of request bodies received")
    yield f"waitressd_request_body_bytes_total {metrics.body_bytes_received}"
    yield from _head("response_body_bytes_total", "counter", "Bytes of response bodies sent")
    yield f"waitressd_response_body_bytes_total {metrics.body_bytes_sent}"


def _histogram(metrics: Metrics, phase: str) -> Iterator[str]:
    name = f"request_{phase}_seconds"
    yield from _head(name, "histogram", _HELP[phase])
    for (of, status), histogram in sorted(metrics.phases.items()):
        if of != phase:
            continue
        for bound, count in histogram.octaves():
            yield f'waitressd_{name}_bucket{{status="{status}",le="{bound!r}"}} {count}'
        yield f'waitressd_{name}_bucket{{status="{status}",le="+Inf"}} {histogram.count}'
        yield f'waitressd_{name}_sum{{status="{status}"}} {histogram.total_seconds!r}'
        yield f'waitressd_{name}_count{{status="{status}"}} {histogram.count}'


def _gauges(gauges: Gauges) -> Iterator[str]:
    yield from _head("threads", "gauge", "Threads that run the application, and those that could")
    yield f'waitressd_threads{{state="busy"}} {gauges.busy_threads}'
    yield f'waitressd_threads{{state="idle"}} {gauges.idle_threads}'
    yield from _head("queue_depth", "gauge", "Complete requests that wait for a thread")
    yield f"waitressd_queue_depth {gauges.queue_depth}"
    yield from _head("queue_oldest_wait_seconds", "gauge", "How long the first request in the queue has been waiting")
    yield f"waitressd_queue_oldest_wait_seconds {gauges.oldest_wait_seconds:.6f}"
    yield from _head("connections", "gauge", "Open connections by state")
    for state, count in gauges.connections.items():
        yield f'waitressd_connections{{state="{state}"}} {count}'
    if gauges.handshakes:
        yield from _head("tls_handshakes_open", "gauge", "Handshakes of TLS that are under way")
        yield f"waitressd_tls_handshakes_open {gauges.open_handshakes}"
        yield from _head("tls_handshakes_total", "counter", "Handshakes of TLS that are over, by how they ended")
        for result, count in gauges.handshakes.items():
            yield f'waitressd_tls_handshakes_total{{result="{result}"}} {count}'
    if gauges.certificate_ends:
        text = "When the certificate expires, in seconds since the epoch"
        yield from _head("tls_certificate_not_after_seconds", "gauge", text)
        for name, moment in gauges.certificate_ends.items():
            yield f'waitressd_tls_certificate_not_after_seconds{{name="{_label(name)}"}} {moment:.0f}'
        yield from _head("tls_reloads_total", "counter", "Changes of the certificate files, by what became of them")
        for result, count in gauges.reloads.items():
            yield f'waitressd_tls_reloads_total{{result="{result}"}} {count}'


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def describe(metrics: Metrics) -> dict[str, Any]:
    """Return everything as one object."""
    with metrics.lock:
        requests: dict[str, dict[str, int]] = {}
        for (status, ended_by), count in sorted(metrics.requests.items()):
            requests.setdefault(status, {})[ended_by] = count
        phases: dict[str, dict[str, Any]] = {phase: {} for phase in PHASES}
        for (phase, status), histogram in sorted(metrics.phases.items()):
            phases[phase][status] = {
                "count": histogram.count,
                "seconds": histogram.total_seconds,
                **{f"p{share * 100:g}": histogram.quantile(share) for share in _QUANTILES},
            }
        found: dict[str, Any] = {
            "started": metrics.started,
            "requests": requests,
            "body_bytes": {"received": metrics.body_bytes_received, "sent": metrics.body_bytes_sent},
            "seconds": phases,
        }
    gauges = metrics.gauges()
    if gauges is not None:
        found["threads"] = {"busy": gauges.busy_threads, "idle": gauges.idle_threads}
        found["queue"] = {"depth": gauges.queue_depth, "oldest_wait_seconds": gauges.oldest_wait_seconds}
        found["connections"] = dict(gauges.connections)
        if gauges.handshakes:
            found["tls"] = {"open_handshakes": gauges.open_handshakes, "handshakes": dict(gauges.handshakes)}
        if gauges.certificate_ends:
            certificates = {"not_after": dict(gauges.certificate_ends), "reloads": dict(gauges.reloads)}
            found.setdefault("tls", {}).update(certificates)
    return found


def render_json(metrics: Metrics) -> str:
    """Write everything as one JSON object."""
    return json.dumps(describe(metrics), indent=2) + "\n"
