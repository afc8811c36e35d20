"""Counters of several processes: whatever becomes of these, what they have counted is shown, and never falls."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.functional.test_requestlog_ini import wait_for
from tests.support.client import Address, Client
from tests.support.counting import ROUNDS, STATE
from tests.support.servers import ROOT, running_server
from waitressd.metrics import app_factory, request_log
from waitressd.metrics.adopted import adopt_row, adopted_row, drop_row
from waitressd.metrics.fleet import FleetMetrics
from waitressd.metrics.pauses import finish
from waitressd.metrics.render import render_prometheus
from waitressd.place import set_place

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no worker processes here")


@pytest.fixture
def metrics() -> Iterator[FleetMetrics]:
    """The metrics of a fleet."""
    metrics = FleetMetrics(lambda: STATE)
    yield metrics
    metrics.close()


def scrape(metrics: FleetMetrics) -> str:
    return b"".join(render_prometheus(finish(metrics.view.look()))).decode()


def scrape_at(address: Address) -> str:
    with Client(address) as client:
        answer = client.get("/metrics")
    assert answer.status == 200
    return answer.body.decode()


@contextmanager
def worker(metrics: FleetMetrics, row: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """A worker process that has counted so many requests."""
    command = [sys.executable, "-m", "tests.support.counting", str(metrics.fd), str(row), str(count)]
    with subprocess.Popen(
        command, pass_fds=[metrics.fd], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
            yield process
        finally:
            process.kill()


def test_workers_that_are_killed_while_they_count_lose_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.counting"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    # A worker that is killed between counting and telling has counted one more than it has told of.
    assert found["told"] <= found["counted"] <= found["told"] + ROUNDS + 2
    assert found["told"] > ROUNDS
    assert not found["fell"]
    assert found["places"] == [1]


def test_workers_that_hang_hold_nobody_up(metrics: FleetMetrics) -> None:
    rows = [metrics.claim(place) for place in (1, 2)]
    assert rows == [0, 1]
    with worker(metrics, 0, 300) as first, worker(metrics, 1, 70) as second:
        for process in (first, second):
            process.send_signal(signal.SIGSTOP)
        text = scrape(metrics)
        assert 'waitressd_requests_total{status="2xx",ended_by="complete"} 370\n' in text
        assert 'waitressd_threads{worker="1",state="busy"} 0\n' in text
        assert 'waitressd_threads{worker="2",state="busy"} 0\n' in text
        first.kill()
        first.wait()
        assert 'ended_by="complete"} 370\n' in scrape(metrics)
        metrics.retire(0)
        text = scrape(metrics)
        assert 'ended_by="complete"} 370\n' in text
        assert 'worker="1"' not in text
        assert metrics.claim(1) == 0
        with worker(metrics, 0, 5):
            assert 'ended_by="complete"} 375\n' in scrape(metrics)


def test_a_server_in_a_worker_shows_the_fleet_and_leaves_the_address_to_the_master(metrics: FleetMetrics) -> None:
    row, other = metrics.claim(4), metrics.claim(5)
    assert other is not None
    adopt_row(metrics.fd, row)
    set_place(4, 5)
    log = request_log({}, listen="127.0.0.1:1")  # which nobody could bind
    try:
        with worker(metrics, other, 9), running_server(app_factory({}), request_log=log) as server:
            with server.connect() as client:
                assert client.get("/").status == 200
            wait_for(lambda: 'ended_by="complete"} 10\n' in scrape(metrics))
            idle = re.compile(r'waitressd_threads\{worker="4",state="idle"\} [1-9]')
            wait_for(lambda: idle.search(scrape(metrics)) is not None)
            page = scrape_at(server.address)
        assert 'ended_by="complete"} 10\n' in page
        assert 'waitressd_threads{worker="5",state="idle"} 4\n' in page
        assert "waitressd_generation" not in page  # which the master alone knows
    finally:
        set_place(0, 0)
        found = adopted_row()
        assert found is not None
        drop_row()
        found.area.close()
