"""How metrics get out."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.samples import answered
from waitressd import create_server
from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.adopted import adopt_row, adopted_row, drop_row
from waitressd.metrics.area import Area, new_file
from waitressd.metrics.collector import Metrics
from waitressd.metrics.serving import ShownMetrics, app_factory, make_application, request_log
from waitressd.metrics.shown import Totals
from waitressd.requestlog import OptionError


class Server:
    open_beside = staticmethod(create_server)

    def __init__(self) -> None:
        self.on_tick: list[Callable[[float], object]] = []

    def snapshot(self) -> Snapshot:
        return EMPTY


def ask(application: Any, path: str = "/", method: str = "GET") -> tuple[str, str, str]:
    heads: list[tuple[str, dict[str, str]]] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    body = b"".join(application(environ, lambda status, fields: heads.append((status, dict(fields)))))
    ((status, fields),) = heads
    return status, fields["Content-Type"], body.decode()


def test_a_page_of_its_own_metrics() -> None:
    application = make_application(ShownMetrics())
    status, kind, text = ask(application)
    assert (status, kind) == ("200 OK", "text/plain; version=0.0.4; charset=utf-8")
    assert "waitressd_start_time_seconds" in text
    assert ask(application, "/metrics.json")[1] == "application/json"
    assert ask(application, method="POST")[0].startswith("405")


def test_a_page_of_whatever_counts_in_this_process() -> None:
    application = app_factory({})
    assert ask(application)[0].startswith("503")
    metrics = request_log({})
    metrics.start(Server())
    assert ask(application)[0] == "200 OK"
    metrics.close()
    metrics.close()
    assert ask(application)[0].startswith("503")


def test_a_listener_of_its_own() -> None:
    metrics = request_log({}, listen="127.0.0.1:0")
    metrics.close()  # before the start: nothing
    metrics.start(Server())
    assert metrics.address[1] > 0
    metrics.close()
    assert metrics.address is None


@pytest.fixture
def area() -> Iterator[Area]:
    """Counters of a fleet; this process is the worker in place 3."""
    fd = new_file()
    area = Area.create(fd, 4)
    adopt_row(fd, area.claim(3))
    os.close(fd)
    yield area
    row = adopted_row()
    assert row is not None
    drop_row()
    row.area.close()
    area.close()


def test_a_worker_counts_for_its_fleet_and_does_not_listen(area: Area) -> None:
    server, metrics = Server(), request_log({}, listen="127.0.0.1:0")
    metrics.start(server)
    try:
        assert metrics.address is None
        metrics(answered())
        metrics(answered())
        assert Totals(area.totals()).requests == {("2xx", "complete"): 2}
    finally:
        metrics.close()


def test_the_page_of_a_worker_shows_what_all_have_counted(area: Area) -> None:
    other = Metrics()
    other.numbers = area.row(area.claim(1) or 0)
    metrics = request_log({})
    metrics.start(Server())
    try:
        metrics(answered())
        other(answered())
        text = ask(app_factory({}))[2]
    finally:
        metrics.close()
    assert 'waitressd_requests_total{status="2xx",ended_by="complete"} 2' in text


def test_a_worker_writes_its_gauges_once_a_second(area: Area) -> None:
    server, metrics = Server(), request_log({})
    metrics.start(server)
    try:
        assert area.gauges(100.0) == {}
        ages = []
        for now in (100.0, 100.5, 101.0, 101.25):
            for call in server.on_tick:
                call(now)
            (gauges,) = area.gauges(102.0)[3]
            ages.append(gauges.age_seconds)
        assert ages == [2.0, 2.0, 1.0, 1.0]
    finally:
        metrics.close()


def test_a_worker_writes_its_gauges_once_more_when_it_ends(area: Area) -> None:
    server, metrics = Server(), request_log({})
    metrics.start(server)
    for call in server.on_tick:
        call(time.monotonic())
    ((before,),) = area.gauges(0.0).values()
    assert before.age_seconds == 0.0
    now = time.monotonic() + 100.0
    ((before,),) = area.gauges(now).values()
    metrics.close()
    ((after,),) = area.gauges(now).values()
    assert after.age_seconds < before.age_seconds
    for call in server.on_tick:
        call(now)
    ((late,),) = area.gauges(now).values()
    assert late == after


def test_two_logs_of_one_worker_do_not_count_twice(area: Area) -> None:
    server, logs = Server(), [request_log({}), request_log({})]
    for log in logs:
        log.start(server)
    for log in logs:
        log(answered())
        log.close()
    assert Totals(area.totals()).requests == {("2xx", "complete"): 1}
    assert len(server.on_tick) == 1


@pytest.mark.parametrize(
    ("options", "option"),
    [({"listen": "127.0.0.1:99999"}, "listen"), ({"port": "1"}, "port"), ({"listen": ""}, "listen")],
)
def test_wrong_options(options: dict[str, str], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        request_log({}, **options)
    assert caught.value.problems[0][0] == option
