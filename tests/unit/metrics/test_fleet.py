"""The master's side of the metrics."""

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.ledgers import Server, count, lane_with
from waitressd import create_server
from waitressd.config.adjustments import Adjustments
from waitressd.config.requestlogs import RequestLog
from waitressd.metrics import request_log
from waitressd.metrics.adopted import AdoptedRow
from waitressd.metrics.area import Area
from waitressd.metrics.fleet import FleetMetrics, listen_addresses
from waitressd.metrics.shown import FleetState
from waitressd.net.ledger import Ledger

STATE = FleetState({"serving": 1}, {}, {1: 2.0}, {}, 3)


@pytest.fixture
def metrics() -> Iterator[FleetMetrics]:
    """Metrics of a fleet of at most three."""
    metrics = FleetMetrics(lambda: STATE, rows=3)
    yield metrics
    metrics.close()


def scrape(address: Any) -> dict[str, Any]:
    with Client(address) as client:
        found: dict[str, Any] = json.loads(client.get("/metrics.json").body)
    return found


def test_what_workers_count_is_shown_also_after_their_end(metrics: FleetMetrics) -> None:
    metrics.open(["127.0.0.1:0"], create_server)
    (address,) = metrics.bound()
    area = Area.attach(metrics.fd)
    for place in (1, 2, 1, 2):
        row = metrics.claim(place)
        assert row is not None
        ledger = Ledger()
        server, worker = Server(lane_with(ledger)), AdoptedRow(area, row)
        worker.begin(server)
        count(ledger)
        worker.end()
        server.close()
        metrics.retire(row)
    area.close()
    assert scrape(address)["requests"] == {"2xx": {"complete": 4}}
    assert scrape(address)["fleet"]["generation"] == 3


def test_there_may_be_more_workers_than_rows(metrics: FleetMetrics) -> None:
    assert [metrics.claim(1) for _ in range(4)] == [0, 1, 2, None]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_a_reload_may_change_the_address(metrics: FleetMetrics) -> None:
    first, second = (f"127.0.0.1:{port}" for port in free_ports(2))
    metrics.open([first], create_server)
    metrics.open([first, second, second], create_server)
    assert len(metrics.bound()) == 2
    metrics.keep([second])
    assert metrics.bound() == [("127.0.0.1", int(second.rpartition(":")[2]))]
    metrics.keep([])
    assert metrics.bound() == []


def test_an_address_that_cannot_be_bound_changes_nothing(metrics: FleetMetrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics.open(["127.0.0.1:0"], create_server)
        before = metrics.bound()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            metrics.open([f"127.0.0.1:{free_ports(1)[0]}", f"127.0.0.1:{port}"], create_server)
        assert metrics.bound() == before
        scrape(before[0])


def test_nothing_is_left_when_they_are_closed() -> None:
    metrics = FleetMetrics(lambda: STATE)
    metrics.open(["127.0.0.1:0"], create_server)
    metrics.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(metrics.fd)


AT = {"listen": "127.0.0.1:9100"}


@pytest.mark.parametrize(
    "log",
    [
        RequestLog("counts", "metrics", AT),
        RequestLog("counts", "egg:waitressd#metrics", AT),
        RequestLog("counts", "egg:Waitressd#metrics", AT),
        RequestLog("counts", "call:waitressd.metrics:request_log", AT),
        RequestLog("counts", "waitressd.metrics:request_log", AT),
        RequestLog("counts", "waitressd.metrics.serving:request_log", AT),
        request_log({}, listen="127.0.0.1:9100"),
    ],
)
def test_the_address_is_found_however_the_log_is_named(log: object) -> None:
    assert listen_addresses(Adjustments.from_keywords(request_log=[log, log, "common"])) == ("127.0.0.1:9100",)


@pytest.mark.parametrize(
    "logs", [(), ("common", "metrics"), (request_log({}),), (RequestLog("x", "combined", {"listen": "1"}),)]
)
def test_without_metrics_or_their_listener_there_is_no_address(logs: tuple[object, ...]) -> None:
    assert listen_addresses(Adjustments.from_keywords(request_log=logs)) == ()
