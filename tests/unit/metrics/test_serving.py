"""How metrics get out."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ledgers import Server, count, lane_with
from tests.support.samples import answered
from waitressd.memoryfile import new_file
from waitressd.metrics.adopted import adopt_row, adopted_row, drop_row
from waitressd.metrics.area import Area
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.serving import ShownMetrics, app_factory, counted, make_application, request_log
from waitressd.metrics.shown import Totals
from waitressd.net.ledger import Ledger
from waitressd.requestlog import OptionError


@pytest.fixture
def ledger() -> Ledger:
    """Where requests are counted."""
    return Ledger()


@pytest.fixture
def server(ledger: Ledger) -> Iterator[Server]:
    """A server that counts."""
    server = Server(lane_with(ledger), metrics="on")
    yield server
    server.close()


def ask(application: Any, path: str = "/", method: str = "GET") -> tuple[str, str, str]:
    heads: list[tuple[str, dict[str, str]]] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    body = b"".join(application(environ, lambda status, fields: heads.append((status, dict(fields)))))
    ((status, fields),) = heads
    return status, fields["Content-Type"], body.decode()


def test_a_page_of_what_it_is_given(server: Server, ledger: Ledger) -> None:
    application = make_application(ServerCounts(server))
    count(ledger, times=7)
    status, kind, text = ask(application)
    assert (status, kind) == ("200 OK", "text/plain; version=0.0.4; charset=utf-8")
    assert 'waitressd_requests_total{status="2xx",ended_by="complete"} 7\n' in text
    assert ask(application, "/metrics.json")[1] == "application/json"
    assert ask(application, method="POST")[0].startswith("405")


def test_a_page_of_whatever_counts_in_this_process(server: Server) -> None:
    application = app_factory({})
    assert ask(application)[0].startswith("503")
    with counted(server):
        assert ask(application)[0] == "200 OK"
    assert ask(application)[0].startswith("503")
    with counted(Server()):  # which does not count
        assert ask(application)[0].startswith("503")
    assert server.on_tick == []


def test_the_former_log_takes_no_records_and_says_where_metrics_are_shown() -> None:
    metrics = request_log({}, listen=" 127.0.0.1:9100  unix:/run/m.sock")
    assert not metrics.takes_records
    metrics(answered())
    assert metrics.listen == "127.0.0.1:9100 unix:/run/m.sock"
    assert request_log({}).listen == ShownMetrics().listen == ""


@pytest.fixture
def area() -> Iterator[Area]:
    """Counters of a fleet; this process is the worker in place 3."""
    fd = new_file("test")
    area = Area.create(fd, 4)
    adopt_row(fd, area.claim(3))
    os.close(fd)
    yield area
    row = adopted_row()
    assert row is not None
    drop_row()
    row.area.close()
    area.close()


def test_a_worker_counts_for_its_fleet(area: Area, server: Server, ledger: Ledger) -> None:
    with counted(server):
        count(ledger, times=2)
        for call in server.on_tick:
            call(1000.0)
        assert Totals(area.totals()).requests == {("2xx", "complete"): 2}
        count(ledger)
    assert Totals(area.totals()).requests == {("2xx", "complete"): 3}


def test_the_page_of_a_worker_shows_what_all_have_counted(area: Area, server: Server, ledger: Ledger) -> None:
    with counted(server):
        count(ledger)
        for call in server.on_tick:
            call(1000.0)
        text = ask(app_factory({}))[2]
    assert 'waitressd_requests_total{status="2xx",ended_by="complete"} 1\n' in text
    assert 'waitressd_threads{worker="3",state="busy"} 0\n' in text


@pytest.mark.parametrize(
    ("options", "option"),
    [({"listen": "127.0.0.1:99999"}, "listen"), ({"port": "1"}, "port"), ({"listen": ""}, "listen")],
)
def test_wrong_options(options: dict[str, str], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        request_log({}, **options)
    assert caught.value.problems[0][0] == option
