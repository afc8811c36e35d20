"""Metrics as JSON."""

import json

from tests.support.ledgers import Server, count, lane_with
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.describe import render_json
from waitressd.metrics.figures import Figures
from waitressd.metrics.pauses import finish
from waitressd.metrics.shown import FleetState, Picture, Totals
from waitressd.net.ledger import Ledger


def totals() -> Totals:
    ledger = Ledger()
    count(ledger, times=9)
    count(ledger, 0.4)
    count(ledger, 0.2, status=400, ended_by="refused")
    server = Server(lane_with(ledger))
    found = finish(ServerCounts(server).look()).totals
    server.close()
    return found


def test_one_server() -> None:
    found = json.loads(render_json(Picture(5.0, totals(), Figures(busy_threads=3, connections={"idle": 9}))))
    assert found["started"] == 5.0
    assert found["requests"] == {"2xx": {"complete": 10}, "4xx": {"refused": 1}}
    assert found["network_bytes"] == {"received": 0, "sent": 0}
    application = found["seconds"]["application"]["2xx"]
    assert application.pop("seconds") > 0.4
    assert application == {"count": 10, "p50": 0.001, "p90": 0.001, "p99": 0.4, "p99.9": 0.4}
    assert found["seconds"]["total"]["2xx"]["count"] == 10
    assert found["threads"] == {"busy": 3, "idle": 0, "overdue": 0, "limit": 0}
    assert found["connections"] == {"idle": 9}
    assert not {"tls", "workers", "fleet"} & found.keys()


def test_a_fleet() -> None:
    workers = {1: Figures(busy_threads=1), 2: Figures(busy_threads=2, certificate_ends={"a": 3.0})}
    state = FleetState({"serving": 2}, {"killed": 1}, {2: 7.0}, {"done": 3}, 4, {"placed": 5}, {2: 4096}, 3)
    found = json.loads(render_json(Picture(5.0, totals(), workers=workers, ages={1: 0.5, 2: 0.25}, fleet=state)))
    assert found["threads"]["busy"] == 3
    assert found["workers"]["2"]["threads"]["busy"] == 2
    assert found["workers"]["1"]["gauges_age_seconds"] == 0.5
    assert found["tls"]["not_after"] == {"a": 3.0}
    assert found["fleet"] == {
        "workers": {"serving": 2},
        "workers_wanted": 3,
        "worker_exits": {"killed": 1},
        "worker_age_seconds": {"2": 7.0},
        "worker_private_bytes": {"2": 4096},
        "moved_connections": {"placed": 5},
        "reloads": {"done": 3},
        "generation": 4,
    }
