"""/stats agrees with what clients did, and says how busy the server is."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from tests.apps.plain import hello
from tests.support.client import many_clients
from tests.support.insight import Insight, insight_into

KEYS: Final = {
    "at", "server", "version", "life", "workers", "uptime_seconds", "window_seconds", "rates", "phases", "routes",
    "threads", "queue", "connections", "connection_limit", "process", "findings", "history",
}  # fmt: skip
PHASES: Final = ("total", "queue", "application", "receive", "flush")


def answers(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the status that the path names, and name the route."""
    status = environ["PATH_INFO"][1:4]
    environ["waitressd.route"] = f"/{status}/{{rest}}"
    start_response(f"{status} Said", [("Content-Length", "0")])
    return []


def ask(insight: Insight, *statuses: int, clients: int = 4) -> None:
    """Have several clients ask for answers with these statuses, each for all of them."""
    with many_clients(insight.server.address, clients) as asking:
        for client in asking:
            for status in statuses:
                assert client.get(f"/{status}/x").status == status


def test_it_agrees_with_what_clients_did() -> None:
    with insight_into(answers) as insight:
        ask(insight, 200, 200, 200, 304, 404, 500, clients=5)
        with insight.server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.receive().status == 400
        document = insight.wait_for("/stats?window=10", lambda found: found["phases"]["total"]["count"] == 31)
        seconds = document["window_seconds"]
        counts = {name: round(rate * seconds) for name, rate in document["rates"].items()}
        assert counts == {"requests": 31, "none": 0, "2xx": 15, "3xx": 5, "4xx": 6, "5xx": 5, "refused": 1}
        routes = {row["route"]: (row["requests"], row["failed"]) for row in document["routes"]}
        assert routes == {
            "/200/{rest}": (15, 0),
            "/304/{rest}": (5, 0),
            "/404/{rest}": (5, 0),
            "/500/{rest}": (5, 5),
            "": (1, 0),
        }
        assert document["routes"][0]["route"] == "/200/{rest}"
        for window in ("60", "300"):
            assert insight.get(f"/stats?window={window}")["phases"]["total"]["count"] == 31
        insight.wait_for("/stats", lambda found: _requests(found) in (31, 62))


def _requests(document: dict[str, Any]) -> int:
    """How many requests the chart has: twice as many if they came in its first place, and that is one second long."""
    rates: list[float] = [rate or 0.0 for rate in document["history"]["requests"]]
    return round(sum(rates) * 2)


def test_each_phase_has_its_times() -> None:
    with insight_into(answers) as insight:
        ask(insight, 200)
        document = insight.wait_for("/stats?window=10", lambda found: found["phases"]["total"]["count"] == 4)
        assert set(document["phases"]) == set(PHASES)
        for phase in document["phases"].values():
            assert sum(count for _, count in phase["buckets"]) == phase["count"] <= 4
            assert phase["p50"] <= phase["p90"] <= phase["p99"]
        bounds = [bound for bound, _ in document["phases"]["total"]["buckets"]]
        assert bounds[:-1] == sorted(bounds[:-1])
        assert bounds[-1] is None


def test_it_has_all_its_keys_from_the_first_moment() -> None:
    with insight_into(hello, threads=3, queue_limit=77, connection_limit=99) as insight:
        document = insight.get("/stats")
        assert set(document) == KEYS
        assert document["threads"] == {"busy": 0, "idle": 3, "overdue": 0, "limit": 3}
        assert document["queue"] == {"depth": 0, "oldest_seconds": 0.0, "limit": 77}
        assert (document["connections"], document["connection_limit"]) == (0, 99)
        assert set(document["process"]) == {"rss_bytes", "cpu_share", "fds", "fd_limit"}
        assert document["findings"] == []
        assert document["history"]["step_seconds"] == 2
        assert {len(line) for name, line in document["history"].items() if name != "step_seconds"} == {150}


def test_without_metrics_it_says_what_is_and_not_what_was() -> None:
    with insight_into(hello, metrics="off") as insight, insight.server.connect() as client:
        assert client.get("/").status == 200
        document = insight.get("/stats")
        assert set(document) == KEYS
        assert document["connections"] == 1
        assert set(document["rates"].values()) == {None}
        assert {phase["count"] for phase in document["phases"].values()} == {None}


@pytest.mark.parametrize("question", ["window=30", "window=", "seconds=10"])
def test_a_wrong_question_is_told_what_is_allowed(question: str) -> None:
    with insight_into(hello) as insight:
        assert insight.status(f"/stats?{question}") == 400


def test_it_answers_while_a_lock_of_the_server_is_never_given_back() -> None:
    with insight_into(hello) as insight:
        before = insight.get("/stats")
        with insight.server.server.lanes[0].dispatcher.role.lock:
            assert insight.get("/stats")["threads"] == before["threads"]
            assert insight.get("/slow")["slow"] == []


def test_threads_and_the_queue_are_as_they_are() -> None:
    go_on = threading.Event()

    def hangs(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert go_on.wait(30)
        return hello(environ, start_response)

    with insight_into(hangs, threads=2) as insight, many_clients(insight.server.address, 5) as clients:
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        # One figure after the other is read, so they may be of two moments.
        threads = {"busy": 2, "idle": 0, "overdue": 0, "limit": 2}
        document = insight.wait_for(
            "/stats", lambda found: found["queue"]["depth"] == 3 and found["threads"] == threads
        )
        assert document["queue"]["oldest_seconds"] > 0
        assert document["connections"] == 5
        insight.wait_for("/stats", lambda found: 2 in found["history"]["busy_threads"])
        go_on.set()
        for client in clients:
            assert client.receive().status == 200
        insight.wait_for("/stats", lambda found: found["threads"]["busy"] == 0)


def test_a_request_that_was_answered_504_took_its_time() -> None:
    """The time is that of the request, not of the short while in which the server answered in its place."""
    release = threading.Event()

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        release.wait(30)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with insight_into(application, request_timeout=0.3) as insight:
        try:
            with insight.server.connect() as client:
                assert client.get("/").status == 504
            found = insight.wait_for("/slow", lambda document: document["failed"])["failed"][0]
        finally:
            release.set()
    assert (found["status"], found["ended_by"]) == (504, "timeout")
    assert found["total_seconds"] >= 0.3
    assert found["application_seconds"] >= 0.3
