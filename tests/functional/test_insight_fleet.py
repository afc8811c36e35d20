"""The admin address of a fleet: the master answers for its workers, whatever becomes of them."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.fleets import Fleet, needs_a_fleet, serving
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet


@contextmanager
def asked_fleet(folder: Path, **settings: Any) -> Iterator[tuple[Fleet, str]]:
    path = f"{folder}/admin.sock"
    site = Site(folder, workers=2, admin_listen=f"unix:{path}", **settings)
    with serving(site) as fleet:
        assert wait_until(lambda: document(path, "/ready")[0] == 200)
        yield fleet, path


def document(path: str, target: str) -> tuple[int, dict[str, Any]]:
    with Client(path) as client:
        answer = ask(client, target, host="localhost")
        found: dict[str, Any] = json.loads(answer.body)
        return answer.status, found


def test_requests_of_all_workers_are_listed_with_the_line_where_they_are(tmp_path: Path) -> None:
    with asked_fleet(tmp_path, threads=2) as (fleet, path):
        clients = [Client(fleet.address) for _ in range(4)]
        try:
            for client in clients:
                client.send(b"GET /sleep/20 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wait_until(lambda: document(path, "/requests")[1]["total"] == 4)
            _, found = document(path, "/requests?stack=1")
            assert {row["worker"] for row in found["workers"]} == {1, 2}
            assert all(row["answered"] for row in found["workers"])
            running = [row for row in found["requests"] if row["phase"] == "application"]
            assert running
            assert all(row["place"].endswith(" page") for row in running)
            assert all(row["id"].startswith(f"{row['worker']}-") for row in running)
            status, one = document(path, f"/requests/{running[0]['id']}")
            assert (status, one["id"]) == (200, running[0]["id"])
            assert document(path, "/connections")[1]["total"] == 4
            assert document(path, "/live")[0] == document(path, "/stats")[0] == document(path, "/threads")[0] == 200
        finally:
            for client in clients:
                client.close()
        fleet.cut_off()


def test_a_worker_that_cannot_answer_keeps_nobody_waiting(tmp_path: Path) -> None:
    with asked_fleet(tmp_path) as (fleet, path), Client(fleet.address) as client:
        client.send(b"GET /hold/3 HTTP/1.1\r\nHost: a\r\n\r\n")

        def silent() -> list[int]:
            rows = document(path, "/requests")[1]["workers"]
            return [row["worker"] for row in rows if not row["answered"]]

        assert wait_until(lambda: len(silent()) == 1, 3)
        assert document(path, "/live")[0] == document(path, "/ready")[0] == 200
        findings = document(path, "/stats")[1]["findings"]
        assert [row["code"] for row in findings if row["code"] == "WD02"] in ([], ["WD02"])
        assert client.receive().status == 200
        assert wait_until(lambda: not silent())
        assert fleet.terminate() == 0


def test_a_killed_worker_and_a_reload_do_not_close_the_address(tmp_path: Path) -> None:
    with asked_fleet(tmp_path) as (fleet, path), Client(path) as probe:
        assert ask(probe, "/live", host="localhost").status == 200  # one that says nothing is closed after a while
        before = {row["pid"] for row in document(path, "/threads")[1]["workers"]}
        fleet.reload()
        after = {row["pid"] for row in document(path, "/threads")[1]["workers"]}
        assert len(after) == 2
        assert not before & after
        assert {row["generation"] for row in document(path, "/threads")[1]["workers"]} == {2}
        assert ask(probe, "/live", host="localhost").status == 200, "the same connection"
        assert fleet.terminate() == 0
    assert not Path(path).exists()


def test_a_fleet_leaves_before_it_stops(tmp_path: Path) -> None:
    with asked_fleet(tmp_path, drain_delay="1.5", admin_control="drain") as (fleet, path):
        with Client(path) as client:
            answer = ask(client, "/control/drain", "X-Waitressd-Control: 1", method="POST", host="localhost")
            assert answer.status == 202
        assert wait_until(lambda: document(path, "/ready")[1].get("reason") == "leaving")
        fleet.signal(signal.SIGTERM)  # the first one, after the hook of an orchestrator
        with Client(fleet.address) as client:
            assert client.get("/quick").status == 200
        assert document(path, "/live")[0] == 200
        assert fleet.wait(30) == 0
        assert fleet.output.count("not ready from now on, stopping in 1.5 s") == 1
        assert "again: what is left is cut off" not in fleet.output


def test_a_second_signal_ends_a_fleet_that_leaves(tmp_path: Path) -> None:
    with asked_fleet(tmp_path, drain_delay="600") as (fleet, path):
        fleet.signal(signal.SIGTERM)
        assert wait_until(lambda: document(path, "/ready")[1].get("reason") == "leaving")
        begun = time.monotonic()
        fleet.signal(signal.SIGTERM)
        assert fleet.wait(30) == 0
        assert time.monotonic() - begun < 30


def test_an_address_in_use_stops_the_start(tmp_path: Path) -> None:
    import socket

    from tests.support.fleets import started

    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = Site(tmp_path, workers=2, admin_listen="{}:{}".format(*taken.getsockname()))
        with started(site) as fleet:
            assert fleet.wait(30) == 1
            assert "admin_listen: cannot listen on" in fleet.output
