"""Metrics as text."""

import json
from dataclasses import replace

from tests.support.samples import answered, refused
from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.adopted import AdoptedRow
from waitressd.metrics.area import Area
from waitressd.metrics.collector import Metrics
from waitressd.metrics.render import render_json, render_prometheus
from waitressd.metrics.shown import FleetState
from waitressd.metrics.view import FleetView

ENDED = {"full": 7, "gone": 0}


class Server:
    def snapshot(self) -> Snapshot:
        return Snapshot(3, 1, 2, 0.5, {**EMPTY.connections, "idle": 9})


def filled() -> Metrics:
    metrics = Metrics()
    metrics(answered())
    metrics(answered())
    metrics(refused(b"x"))
    return metrics


def test_prometheus() -> None:
    metrics = filled()
    metrics.start(Server())
    lines = render_prometheus(metrics).splitlines()
    for line in (
        'waitressd_requests_total{status="2xx",ended_by="complete"} 2',
        'waitressd_requests_total{status="4xx",ended_by="refused"} 1',
        "waitressd_request_body_bytes_total 0",
        "waitressd_response_body_bytes_total 66",
        'waitressd_request_queue_seconds_bucket{status="2xx",le="0.5"} 0',
        'waitressd_request_queue_seconds_bucket{status="2xx",le="1.0"} 2',
        'waitressd_request_queue_seconds_bucket{status="2xx",le="+Inf"} 2',
        'waitressd_request_queue_seconds_sum{status="2xx"} 1.0',
        'waitressd_request_queue_seconds_count{status="2xx"} 2',
        'waitressd_threads{state="busy"} 3',
        'waitressd_threads{state="idle"} 1',
        "waitressd_queue_depth 2",
        "waitressd_queue_oldest_wait_seconds 0.500000",
        'waitressd_connections{state="idle"} 9',
        "# TYPE waitressd_request_total_seconds histogram",
    ):
        assert line in lines


def test_handshakes_of_tls() -> None:
    class Secure(Server):
        def snapshot(self) -> Snapshot:
            return replace(super().snapshot(), open_handshakes=4, handshakes=ENDED, certificate_ends={"a": 1.0})

    metrics = filled()
    metrics.start(Secure())
    lines = render_prometheus(metrics).splitlines()
    for line in (
        "waitressd_tls_handshakes_open 4",
        'waitressd_tls_handshakes_total{result="full"} 7',
        'waitressd_tls_handshakes_total{result="gone"} 0',
    ):
        assert line in lines
    found = json.loads(render_json(metrics))["tls"]
    assert (found["open_handshakes"], found["handshakes"]["full"], found["handshakes"]["gone"]) == (4, 7, 0)


def test_each_family_is_declared_once_and_its_samples_stand_together() -> None:
    lines = render_prometheus(filled()).splitlines()
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared))
    family = ""
    for line in lines:
        if line.startswith("# TYPE"):
            family = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(family)
    assert not any(line.startswith("waitressd_threads") for line in lines)


def test_json() -> None:
    metrics = filled()
    found = json.loads(render_json(metrics))
    assert found["requests"] == {"2xx": {"complete": 2}, "4xx": {"refused": 1}}
    assert found["body_bytes"] == {"received": 0, "sent": 66}
    assert found["seconds"]["queue"]["2xx"] == {
        "count": 2, "seconds": 1.0, "p50": 0.625, "p90": 0.625, "p99": 0.625, "p99.9": 0.625,
    }  # fmt: skip
    assert "threads" not in found
    metrics.start(Server())
    found = json.loads(render_json(metrics))
    assert found["threads"] == {"busy": 3, "idle": 1}
    assert found["queue"] == {"depth": 2, "oldest_wait_seconds": 0.5}
    assert found["connections"]["idle"] == 9


class TlsServer:
    def snapshot(self) -> Snapshot:
        return Snapshot(0, 1, 0, 0.0, EMPTY.connections, 2, {"full": 4, "gone": 0})


def test_handshakes_are_shown_where_there_were_any() -> None:
    metrics = filled()
    metrics.start(Server())
    assert "tls" not in render_prometheus(metrics)
    assert "tls" not in json.loads(render_json(metrics))
    metrics.start(TlsServer())
    lines = render_prometheus(metrics).splitlines()
    assert "waitressd_tls_handshakes_open 2" in lines
    assert 'waitressd_tls_handshakes_total{result="full"} 4' in lines
    assert 'waitressd_tls_handshakes_total{result="gone"} 0' in lines
    assert json.loads(render_json(metrics))["tls"]["handshakes"]["full"] == 4


def test_handshakes_of_a_fleet_are_a_sum_and_those_under_way_are_each_workers() -> None:
    area = Area.private(2)
    for place in (1, 2):
        AdoptedRow(area, area.claim(place) or 0).write(TlsServer().snapshot(), 1.0)
    lines = render_prometheus(FleetView(area)).splitlines()
    assert 'waitressd_tls_handshakes_open{worker="2"} 2' in lines
    assert 'waitressd_tls_handshakes_total{result="full"} 8' in lines
    assert json.loads(render_json(FleetView(area)))["tls"]["open_handshakes"] == 4


class SecureServer:
    def snapshot(self) -> Snapshot:
        return replace(
            EMPTY, certificate_ends={"a.example": 1.5e9, 'b"\\': 1.6e9}, reloads={"renewed": 2, "refused": 1}
        )


def test_certificates() -> None:
    metrics = Metrics()
    metrics.start(SecureServer())
    lines = render_prometheus(metrics).splitlines()
    for line in (
        'waitressd_tls_certificate_not_after_seconds{name="a.example"} 1500000000',
        r'waitressd_tls_certificate_not_after_seconds{name="b\"\\"} 1600000000',
        'waitressd_tls_reloads_total{result="renewed"} 2',
        'waitressd_tls_reloads_total{result="refused"} 1',
    ):
        assert line in lines
    assert json.loads(render_json(metrics))["tls"]["reloads"] == {"renewed": 2, "refused": 1}


def test_certificates_of_a_fleet_are_each_workers_and_the_first_to_expire_is_shown_where_two_share_a_place() -> None:
    area = Area.private(3)
    for place, end in ((1, 1.6e9), (2, 1.5e9), (2, 1.4e9)):
        snapshot = replace(EMPTY, certificate_ends={"a.example": end}, reloads={"renewed": 1})
        AdoptedRow(area, area.claim(place) or 0).write(snapshot, 1.0)
    lines = render_prometheus(FleetView(area)).splitlines()
    assert 'waitressd_tls_certificate_not_after_seconds{worker="1",name="a.example"} 1600000000' in lines
    assert 'waitressd_tls_certificate_not_after_seconds{worker="2",name="a.example"} 1400000000' in lines
    assert 'waitressd_tls_reloads_total{result="renewed"} 3' in lines
    assert json.loads(render_json(FleetView(area)))["tls"]["not_after"] == {"a.example": 1.4e9}


STATE = FleetState({"serving": 2, "draining": 1}, {'killed by "SIGKILL"': 1}, {1: 2.5, 2: 70.0}, {"done": 3}, 4)


def fleet() -> FleetView:
    """Three processes in two places; each has nine idle connections and five threads."""
    area = Area.private(4)
    for place in (2, 1, 2):
        AdoptedRow(area, area.claim(place) or 0).write(Server().snapshot(), 1.0)
    return FleetView(area, lambda: STATE)


def test_gauges_of_a_fleet_have_the_place_of_the_worker() -> None:
    lines = render_prometheus(fleet()).splitlines()
    for line in (
        'waitressd_threads{worker="1",state="busy"} 3',
        'waitressd_threads{worker="2",state="busy"} 6',
        'waitressd_queue_depth{worker="1"} 2',
        'waitressd_queue_oldest_wait_seconds{worker="2"} 0.500000',
        'waitressd_connections{worker="2",state="idle"} 18',
    ):
        assert line in lines
    assert any(line.startswith('waitressd_gauges_age_seconds{worker="2"} ') for line in lines)


def test_what_the_master_says() -> None:
    lines = render_prometheus(fleet()).splitlines()
    for line in (
        'waitressd_workers{stage="serving"} 2',
        'waitressd_workers{stage="draining"} 1',
        'waitressd_worker_exits_total{reason="killed by \\"SIGKILL\\""} 1',
        'waitressd_worker_age_seconds{worker="1"} 2.500',
        'waitressd_reloads_total{result="done"} 3',
        "waitressd_generation 4",
    ):
        assert line in lines


def test_each_family_of_a_fleet_is_declared_once_and_no_sample_comes_twice() -> None:
    lines = render_prometheus(fleet()).splitlines()
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    samples = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(declared) == len(set(declared))
    assert len(samples) == len(set(samples))


def test_json_of_a_fleet() -> None:
    found = json.loads(render_json(fleet()))
    assert found["threads"] == {"busy": 9, "idle": 3}
    assert found["queue"] == {"depth": 6, "oldest_wait_seconds": 0.5}
    assert found["workers"]["2"]["connections"]["idle"] == 18
    assert found["workers"]["1"]["gauges_age_seconds"] > 0
    assert found["fleet"] == {
        "workers": {"serving": 2, "draining": 1}, "worker_exits": {'killed by "SIGKILL"': 1},
        "worker_age_seconds": {"1": 2.5, "2": 70.0}, "reloads": {"done": 3}, "generation": 4,
    }  # fmt: skip
