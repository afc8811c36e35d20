"""Metrics as they are scraped: through pserve, while every thread hangs, and as a page of the application."""

import json
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.functional.test_requestlog_ini import HEAD, LOGGING, PSERVE, wait_for
from tests.support.client import Address, Client
from tests.support.servers import running_server, server_process
from waitressd import create_server
from waitressd.config.requestlogs import RequestLog
from waitressd.metrics import app_factory, request_log

SAMPLE: Final = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+')


def scrape(address: Address, path: str = "/metrics") -> str:
    with Client(address) as client:
        answer = client.get(path)
    assert answer.status == 200
    return answer.body.decode()


def test_pserve_with_a_listener_of_its_own(tmp_path: Path) -> None:
    sections = "[request_log:metrics]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"
    (tmp_path / "a.ini").write_text(f"{HEAD}request_log = metrics\n{sections}{LOGGING}", encoding="utf-8")
    with server_process([str(tmp_path / "a.ini")], command=PSERVE) as server:
        port = int(server.wait_for_output(r"Metrics on http://127\.0\.0\.1:(\d+)/metrics")[1])
        served = int(server.wait_for_output(r"Serving on http://127\.0\.0\.1:(\d+)")[1])
        with Client(("127.0.0.1", served)) as client:
            client.get("/")
            client.get("/nothing")
        metrics = ("127.0.0.1", port)
        wait_for(lambda: 'waitressd_requests_total{status="4xx",ended_by="complete"} 1' in scrape(metrics))
        text = scrape(metrics)
        found = json.loads(scrape(metrics, "/metrics.json"))
        assert server.terminate() == 0
    assert 'waitressd_requests_total{status="2xx",ended_by="complete"} 1' in text
    assert all(SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    assert found["requests"] == {"2xx": {"complete": 1}, "4xx": {"complete": 1}}
    assert found["seconds"]["total"]["2xx"]["count"] == 1


def test_they_answer_while_every_thread_hangs() -> None:
    leave, entered = threading.Event(), threading.Semaphore(0)

    def hanging(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.release()
        assert leave.wait(30)
        start_response("200 OK", [])
        return [b""]

    with running_server(hanging, request_log=request_log({}, listen="127.0.0.1:0"), threads=2) as server:
        clients = [server.connect() for _ in range(4)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(2):
            assert entered.acquire(timeout=10)
        wait_for(lambda: "waitressd_queue_depth 2" in scrape(server.server.admin_addresses[0]))
        text = scrape(server.server.admin_addresses[0])
        leave.set()
        for client in clients:
            client.receive()
            client.close()
    assert 'waitressd_threads{state="busy"} 2' in text
    assert 'waitressd_threads{state="idle"} 0' in text
    assert 'waitressd_connections{state="running"} 2' in text
    assert 'waitressd_connections{state="queued"} 2' in text
    assert float(re.search(r"oldest_wait_seconds ([\d.]+)", text)[1]) > 0  # type: ignore[index] # no match is the failure


def test_a_listener_that_cannot_be_bound_stops_the_start() -> None:
    with running_server(app_factory({})) as server:
        log = request_log({}, listen=f"127.0.0.1:{server.port}")
        with pytest.raises(OSError, match=str(server.port)):
            create_server(app_factory({}), listen="127.0.0.1:0", request_log=log)


def test_they_can_be_a_page_of_the_application() -> None:
    log = RequestLog("metrics", "metrics")
    with running_server(app_factory({}), request_log=log) as server, server.connect() as client:
        assert "waitressd_requests_total" in client.get("/").body.decode()
        wait_for(lambda: json.loads(client.get("/m.json").body)["requests"].get("2xx", {}).get("complete", 0) >= 1)
        assert client.request(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status == 405


def test_without_a_log_the_page_says_so() -> None:
    with running_server(app_factory({})) as server, server.connect() as client:
        answer = client.get("/")
    assert answer.status == 503
    assert b"metrics = on" in answer.body
