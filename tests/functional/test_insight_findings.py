"""Each finding that can be provoked appears, names its requests, and goes when its cause does."""

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client, many_clients
from tests.support.insight import Insight, insight_into
from tests.support.waiting import wait_until

ASKS = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Gate:
    """An application that waits until the gate is open."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert self.open.wait(30)
        return hello(environ, start_response)


@contextlib.contextmanager
def waiting_clients(insight: Insight, gate: Gate, count: int) -> Iterator[list[Client]]:
    """Have so many clients ask; when the block ends, all are answered."""
    with many_clients(insight.server.address, count) as clients:
        for client in clients:
            client.send(ASKS)
        yield clients
        gate.open.set()
        for client in clients:
            assert client.receive().status == 200


def ids(insight: Insight, phase: str) -> list[str]:
    return [request["id"] for request in insight.get(f"/requests?phase={phase}")["requests"]]


def test_wd01_an_event_loop_that_hangs() -> None:
    stuck, go_on = threading.Event(), threading.Event()

    class SlowSocket(socket.socket):
        """A listener whose `accept` hangs, as one does that somebody has patched."""

        def accept(self) -> tuple[socket.socket, Any]:
            stuck.set()
            go_on.wait(30)
            return super().accept()

    with SlowSocket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with insight_into(hello, sockets=[listener]) as insight:
            assert insight.findings() == {}
            with Client(listener.getsockname()) as client:
                assert stuck.wait(10)
                finding = insight.wait_for_finding("WD01")
                assert finding["severity"] == "bad"
                go_on.set()
                assert client.get("/").status == 200
            insight.wait_until_over("WD01")


def test_wd03_and_wd04_and_wd06_of_threads_that_hang_in_one_place() -> None:
    gate = Gate()
    with insight_into(gate, threads=4, slow_threshold=0.2) as insight:
        with waiting_clients(insight, gate, 6):
            full = insight.wait_for_finding("WD03")
            assert full["text"].startswith("All 4 threads are busy, and 2 requests wait, the first for ")
            assert sorted(full["ids"]) == sorted(ids(insight, "queued"))
            same = insight.wait_for_finding("WD04")
            running = ids(insight, "application")
            assert sorted(same["ids"]) == sorted(running)
            assert "All 4 busy threads are at the same place, " in same["text"]
            assert "test_insight_findings.py:" in same["text"]
            assert "Gate.__call__" in same["text"]
            greedy = insight.wait_for_finding("WD06")
            assert greedy["text"] == "One client, 127.0.0.1, holds 4 of 4 threads."
            assert sorted(greedy["ids"]) == sorted(running)
        for code in ("WD03", "WD04", "WD06"):
            insight.wait_until_over(code)


def test_wd05_answers_that_wait_for_a_thread_most_of_the_time() -> None:
    def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        threading.Event().wait(0.02)
        return hello(environ, start_response)

    with insight_into(slow, threads=1) as insight, many_clients(insight.server.address, 25) as clients:
        for client in clients:
            client.send(ASKS)
        for client in clients:
            assert client.receive().status == 200
        assert "of the time to answer in the last minute" in insight.wait_for_finding("WD05")["text"]


def test_wd06_one_client_with_many_connections() -> None:
    with insight_into(hello) as insight:
        with many_clients(insight.server.address, 20) as clients:
            for client in clients:
                assert client.get("/").status == 200
            finding = insight.wait_for_finding("WD06")
            assert finding["text"] == "One client, 127.0.0.1, holds 20 of 20 connections."
        insight.wait_until_over("WD06")


def test_wd06_is_not_said_of_a_proxy() -> None:
    trusts = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": "x-forwarded-for"}
    with insight_into(hello, **trusts) as insight, many_clients(insight.server.address, 20) as clients:
        for client in clients:
            assert client.get("/").status == 200
        insight.wait_for("/stats", lambda found: found["window_seconds"] > 2)
        assert insight.findings() == {}


def test_wd07_a_request_past_its_time_limit() -> None:
    gate = Gate()
    with insight_into(gate, threads=2, request_timeout=0.2) as insight, insight.server.connect() as client:
        client.send(ASKS)
        assert client.receive().status == 504
        finding = insight.wait_for_finding("WD07")
        assert finding["text"].startswith("1 request past its time limit still holds a thread, for ")
        assert finding["ids"] == ids(insight, "application")
        assert insight.get("/stats")["threads"]["overdue"] == 1
        (late,) = insight.get("/requests")["requests"]
        assert (late["overdue"], late["limit_seconds"], late["answered_status"]) == (True, 0.2, 504)
        gate.open.set()
        insight.wait_until_over("WD07")
        (failed,) = insight.get("/slow")["failed"]
        assert (failed["status"], failed["ended_by"]) == (504, "timeout")
        assert failed["detail"] == f"The application did not answer request {failed['id']} in time."


def test_wd08_requests_that_are_refused() -> None:
    gate = Gate()
    with insight_into(gate, threads=1, queue_limit=1) as insight, waiting_clients(insight, gate, 1):
        insight.wait_for("/stats", lambda found: found["threads"]["busy"] == 1)
        with insight.server.connect() as second, insight.server.connect() as third:
            second.send(ASKS)
            insight.wait_for("/stats", lambda found: found["queue"]["depth"] == 1)
            third.send(ASKS)
            assert third.receive().status == 503
            finding = insight.wait_for_finding("WD08")
            assert finding["text"] == "1 request was answered 503 in the last minute: the queue was full."
            gate.open.set()
            assert second.receive().status == 200


def test_wd08_requests_that_are_in_the_queue_for_too_long() -> None:
    gate = Gate()
    with insight_into(gate, threads=1, queue_timeout=0.3) as insight, waiting_clients(insight, gate, 1):
        insight.wait_for("/stats", lambda found: found["threads"]["busy"] == 1)
        with insight.server.connect() as late:
            late.send(ASKS)
            assert late.receive().status == 503
        finding = insight.wait_for_finding("WD08")
        assert finding["text"] == "1 request was answered 503 in the last minute: no thread was free in time."


def test_wd09_as_many_connections_as_there_may_be() -> None:
    with insight_into(hello, connection_limit=3) as insight:
        with many_clients(insight.server.address, 3) as clients:
            for client in clients:
                assert client.get("/").status == 200
            finding = insight.wait_for_finding("WD09")
            assert finding["text"] == "3 connections are open, the limit: new clients wait in the backlog."
        insight.wait_until_over("WD09")


def test_wd10_many_answers_are_errors() -> None:
    def fails(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["waitressd.route"] = "/basket"
        raise KeyError("sku")

    with insight_into(fails) as insight:
        with insight.server.connect() as client:
            for _ in range(5):
                assert client.get("/").status == 500
        text = insight.wait_for_finding("WD10")["text"]
        assert text.startswith("100% of the answers in the last minute were 5xx, mostly /basket: KeyError: 'sku' (")
        assert text.endswith("fails).")


def test_wd11_timers_that_are_late(caplog: pytest.LogCaptureFixture) -> None:
    """Calls into C that each keep the interpreter lock for a quarter of a second."""
    done, number = threading.Event(), number_to_multiply()

    def holds(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        while not done.is_set():
            number * (number - 2)
        return hello(environ, start_response)

    with insight_into(holds) as insight, insight.server.connect() as client:
        client.send(ASKS)
        try:
            assert wait_until(lambda: any("WD11: " in message for message in caplog.messages), 30)
        finally:
            done.set()
        assert client.receive().status == 200
        finding = insight.wait_for_finding("WD11")
        assert re.fullmatch(
            r"Timers are late by \S+ s: the interpreter lock or the processor is short\.", finding["text"]
        )


def number_to_multiply() -> int:
    """Return a number so long that it takes a quarter of a second to multiply with another one."""
    number = (1 << 500_000) - 1
    while True:
        begun = time.monotonic()
        number * (number - 2)
        if time.monotonic() - begun > 0.25:
            return number
        number = (number << 500_000) - 1


def test_wd12_a_stop_that_waits_for_a_request() -> None:
    gate = Gate()
    with insight_into(gate, drain_delay=0) as insight, waiting_clients(insight, gate, 1):
        insight.wait_for("/stats", lambda found: found["threads"]["busy"] == 1)
        (running,) = ids(insight, "application")
        stopping = threading.Thread(target=insight.server.server.close)
        stopping.start()
        finding = insight.wait_for_finding("WD12")
        assert finding["text"].startswith("The server has been draining for ")
        assert finding["text"].endswith(f"1 request is left, the oldest is {running}.")
        assert finding["ids"] == [running]
        gate.open.set()
        stopping.join(10)


def test_the_log_says_when_a_finding_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "waitressd")

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if "WD06" in record.getMessage()]

    with insight_into(hello) as insight:
        with many_clients(insight.server.address, 20) as clients:
            for client in clients:
                assert client.get("/").status == 200
            assert wait_until(lambda: len(lines()) == 1)
        assert wait_until(lambda: len(lines()) == 2)
    begun, over = lines()
    assert begun == "WD06: One client, 127.0.0.1, holds 20 of 20 connections."
    assert over.startswith("WD06 is over after ")
    assert over.endswith(": one client holds many threads or connections")


def test_the_line_of_the_queue_names_requests_and_is_the_only_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "waitressd")
    gate = Gate()
    with insight_into(gate, threads=1) as insight:
        with waiting_clients(insight, gate, 2):
            insight.wait_for("/stats", lambda found: found["queue"]["oldest_seconds"] > 2.5)  # a tick has seen it
            (running,) = ids(insight, "application")
            said = [record.getMessage() for record in caplog.records if record.name == "waitressd.queue"]
            assert any(running in line for line in said)
        insight.wait_until_over("WD03")
        assert wait_until(lambda: any("WD03 is over" in record.getMessage() for record in caplog.records))
        assert not [record for record in caplog.records if "WD03: " in record.getMessage()]
