"""Metrics as the text that Prometheus scrapes."""

import re
import shutil
import subprocess
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledgers import Server, count, lane_with
from waitressd.metrics import layout
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.figures import Figures
from waitressd.metrics.pauses import finish
from waitressd.metrics.render import DELAY_BOUNDS, PHASE_BOUNDS, render_prometheus
from waitressd.metrics.shown import FleetState, Picture, Totals
from waitressd.net.ledger import BOUNDS, Ledger

NO_FIGURES: Final = Figures(connections=dict.fromkeys(layout.STATES, 0))
SAMPLE: Final = re.compile(r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+')


def totals_of(ledger: Ledger | None = None) -> Totals:
    server = Server(lane_with(ledger or Ledger()))
    found = finish(ServerCounts(server).look()).totals
    server.close()
    return found


def lines_of(picture: Picture) -> list[str]:
    return b"".join(render_prometheus(picture)).decode().splitlines()


def filled() -> Ledger:
    ledger = Ledger()
    count(ledger, times=2)
    count(ledger, 0.75, route='/a"b\\c\nd')
    count(ledger, 0.2, status=400, ended_by="refused", route="", method="_OTHER")
    return ledger


def test_every_bound_is_one_that_is_counted() -> None:
    assert {*PHASE_BOUNDS, *DELAY_BOUNDS} <= set(BOUNDS)


def test_requests() -> None:
    lines = lines_of(Picture(5.0, totals_of(filled()), NO_FIGURES))
    labels = 'http_request_method="GET",http_response_status_code="200",http_route="{}",url_scheme="http"'
    odd, plain = labels.format(r"/a\"b\\c\nd"), labels.format("/")
    for line in (
        "waitressd_start_time_seconds 5.000",
        'waitressd_requests_total{status="2xx",ended_by="complete"} 3',
        'waitressd_requests_total{status="4xx",ended_by="refused"} 1',
        f'http_server_request_duration_seconds_bucket{{{plain},le="0.005"}} 2',
        f'http_server_request_duration_seconds_bucket{{{odd},le="0.5"}} 0',
        f'http_server_request_duration_seconds_bucket{{{odd},le="0.75"}} 1',
        f'http_server_request_duration_seconds_bucket{{{odd},le="+Inf"}} 1',
        f"http_server_request_duration_seconds_sum{{{odd}}} 0.750000",
        f"http_server_request_duration_seconds_count{{{plain}}} 2",
        'waitressd_request_queue_seconds_bucket{status="2xx",le="0.001"} 3',
        'waitressd_request_application_seconds_bucket{status="2xx",le="0.5"} 2',
        'waitressd_request_application_seconds_count{status="4xx"} 1',
        'http_server_active_requests{http_request_method="_OTHER",url_scheme="http"} 0',
        "waitressd_series_folded_total 0",
        'waitressd_request_timeouts_total{outcome="still_running"} 0',
        "waitressd_wakeup_delay_seconds_count 0",
    ):
        assert line in lines
    assert not [line for line in lines if "total_seconds_bucket" in line]


def test_gauges_of_one_server_and_of_a_fleet() -> None:
    figures = Figures(
        busy_threads=3, idle_threads=1, queue_depth=2, oldest_wait_seconds=0.5, connections={"idle": 9},
        running={("GET", "https"): 3}, fds=7, cpu_seconds=1.5,
    )  # fmt: skip
    alone = lines_of(Picture(5.0, totals_of(), figures, not_ready=""))
    for line in (
        'waitressd_threads{state="busy"} 3',
        "waitressd_queue_depth 2",
        "waitressd_queue_oldest_wait_seconds 0.500000",
        'waitressd_connections{state="idle"} 9',
        "process_cpu_seconds_total 1.500000",
        "process_open_fds 7",
        "waitressd_ready 1",
        'waitressd_not_ready{reason="queue"} 0',
        'http_server_active_requests{http_request_method="GET",url_scheme="https"} 3',
    ):
        assert line in alone
    assert not [
        line for line in alone if line.startswith(("process_max_fds", "waitressd_finding", "waitressd_workers"))
    ]
    state = FleetState({"serving": 2}, {"killed": 1}, {2: 7.0}, {"done": 3}, 4, {"placed": 5}, {2: 4096}, 3)
    fleet = lines_of(
        Picture(5.0, totals_of(), workers={2: figures}, ages={2: 0.25}, fleet=state, not_ready="no_worker")
    )
    for line in (
        'waitressd_threads{worker="2",state="busy"} 3',
        'process_open_fds{worker="2"} 7',
        'waitressd_gauges_age_seconds{worker="2"} 0.250',
        'waitressd_workers{state="serving"} 2',
        "waitressd_workers_wanted 3",
        'waitressd_worker_restarts_total{reason="killed"} 1',
        'waitressd_worker_age_seconds{worker="2"} 7.000',
        'waitressd_worker_private_bytes{worker="2"} 4096',
        'waitressd_worker_moved_connections_total{reason="placed"} 5',
        'waitressd_reloads_total{result="done"} 3',
        "waitressd_generation 4",
        "waitressd_ready 0",
        'waitressd_not_ready{reason="no_worker"} 1',
    ):
        assert line in fleet


def test_findings_always_have_all_their_series() -> None:
    figures = Figures(findings=frozenset({"WD07"}))
    lines = [line for line in lines_of(Picture(5.0, totals_of(), figures)) if line.startswith("waitressd_finding")]
    assert len(lines) == 12
    assert 'waitressd_finding{code="WD07"} 1' in lines
    assert 'waitressd_finding{code="WD06"} 0' in lines


def test_what_is_known_of_tls_is_shown_where_there_is_any() -> None:
    lines = lines_of(Picture(5.0, totals_of(), NO_FIGURES))
    assert not [line for line in lines if "tls" in line]
    figures = Figures(open_handshakes=4, certificate_ends={"a": 9.0})
    lines = lines_of(Picture(5.0, totals_of(), workers={1: figures}))
    for line in (
        'waitressd_tls_handshakes_open{worker="1"} 4',
        'waitressd_tls_handshakes_total{result="full"} 0',
        'waitressd_tls_certificate_not_after_seconds{worker="1",name="a"} 9',
        'waitressd_tls_reloads_total{result="refused"} 0',
    ):
        assert line in lines


def test_each_family_is_declared_once_and_its_samples_stand_together() -> None:
    state = FleetState({"serving": 2}, {"killed": 1}, {2: 7.0}, {"done": 3}, 4)
    figures = Figures(findings=frozenset(), certificate_ends={"a": 9.0}, connections={"idle": 1}, fds=1)
    picture = Picture(
        5.0, totals_of(filled()), workers={1: figures, 2: figures}, ages={1: 1.0}, fleet=state, not_ready=""
    )
    lines = lines_of(picture)
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared))
    family = ""
    for line in lines:
        if line.startswith("# TYPE"):
            family = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(family)
            assert SAMPLE.fullmatch(line), line


def many() -> Picture:
    """Two hundred routes with whatever a name may have, three methods, six statuses: more than are kept apart."""
    ledger = Ledger(limit=3600)
    for number in range(200):
        for method in ("GET", "POST", "PUT"):
            for status in (200, 201, 302, 404, 409, 500):
                count(ledger, 0.01 * number, route=f'/{number}/"\\\n\t{{x}}é', method=method, status=status)
    server = Server(lane_with(ledger), metrics_series=3600)
    picture = finish(ServerCounts(server, 3600).look())
    server.close()
    return picture


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_prometheus_own_tool_accepts_it() -> None:
    text = b"".join(render_prometheus(many()))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""


def test_a_piece_of_a_large_answer_is_small() -> None:
    sizes = [len(piece) for piece in render_prometheus(many())]
    assert sum(sizes) > 1_000_000
    assert max(sizes) < 10_000


@settings(deadline=None)  # a page each time
@given(st.lists(st.tuples(st.sampled_from(BOUNDS), st.integers(1, 3)), max_size=20))
def test_buckets_rise_to_the_count(durations: list[tuple[float, int]]) -> None:
    ledger = Ledger()
    for seconds, times in durations:
        count(ledger, seconds, times)
    found: dict[str, list[int]] = {}
    for line in lines_of(Picture(5.0, totals_of(ledger), NO_FIGURES)):
        name, _, number = line.rpartition(" ")
        if "_bucket{" in name:
            found.setdefault(re.sub(r',?le="[^"]*"', "", name).replace("_bucket", ""), []).append(int(number))
        elif "_count{" in name:
            buckets = found[name.replace("_count", "")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == int(number) == sum(times for _, times in durations)
