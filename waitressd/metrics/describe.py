"""Metrics as one JSON object, with quantiles."""

import json
from collections.abc import Mapping
from typing import Any, Final

from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import PHASES, STATUSES
from waitressd.metrics.shown import FleetState, Picture, Totals, together

JSON_TYPE: Final = "application/json"
_QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)


def describe(picture: Picture) -> dict[str, Any]:
    """Return everything as one object."""
    totals = picture.totals
    requests: dict[str, dict[str, int]] = {}
    for (status, ended_by), count in sorted(totals.requests.items()):
        requests.setdefault(status, {})[ended_by] = count
    found: dict[str, Any] = {
        "started": picture.started,
        "requests": requests,
        "network_bytes": {"received": totals.count("received_bytes"), "sent": totals.count("sent_bytes")},
        "seconds": {phase: _phase(totals, phase) for phase in PHASES},
    }
    every = [figures for _, figures in picture.processes]
    if every:
        figures = together(every)
        found |= _describe_gauges(figures)
        if figures.certificate_ends or any(totals.handshakes.values()):
            found["tls"] = _describe_tls(totals, figures)
    if picture.workers:
        found["workers"] = {
            str(place): {**_describe_gauges(figures), "gauges_age_seconds": picture.ages[place]}
            for place, figures in picture.workers.items()
        }
    if picture.fleet is not None:
        found["fleet"] = _describe_fleet(picture.fleet)
    return found


def render_json(picture: Picture) -> str:
    """Write everything as one JSON object."""
    return json.dumps(describe(picture), indent=2) + "\n"


def _phase(totals: Totals, phase: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in STATUSES:
        histogram = totals.phase(phase, status)
        if histogram.count:
            found[status] = {
                "count": histogram.count,
                "seconds": histogram.total_seconds,
                **{f"p{share * 100:g}": histogram.quantile(share) for share in _QUANTILES},
            }
    return found


def _describe_gauges(figures: Figures) -> dict[str, Any]:
    return {
        "threads": {
            "busy": figures.busy_threads,
            "idle": figures.idle_threads,
            "overdue": figures.overdue_threads,
            "limit": figures.threads_limit,
        },
        "queue": {"depth": figures.queue_depth, "oldest_wait_seconds": figures.oldest_wait_seconds},
        "connections": dict(figures.connections),
    }


def _describe_tls(totals: Totals, figures: Figures) -> dict[str, Any]:
    return {
        "open_handshakes": figures.open_handshakes,
        "handshakes": totals.handshakes,
        "not_after": dict(figures.certificate_ends),
        "reloads": totals.reloads,
    }


def _describe_fleet(state: FleetState) -> Mapping[str, Any]:
    return {
        "workers": dict(state.workers),
        "workers_wanted": state.wanted,
        "worker_exits": dict(state.exits),
        "worker_age_seconds": {str(place): seconds for place, seconds in state.ages.items()},
        "worker_private_bytes": {str(place): count for place, count in state.private_bytes.items()},
        "moved_connections": dict(state.moved),
        "reloads": dict(state.reloads),
        "generation": state.generation,
    }
