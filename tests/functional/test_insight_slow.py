"""/slow: requests that took long, with the line where they were, and those that failed, with what was raised."""

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.support.client import Client
from tests.support.insight import Insight, insight_into
from tests.support.waiting import wait_until

KEYS: Final = {
    "at", "id", "request_id", "method", "target", "route", "status", "ended_by", "client", "receive_seconds",
    "queue_seconds", "application_seconds", "flush_seconds", "total_seconds", "received_bytes", "sent_bytes", "detail",
    "exception", "place", "stack",
}  # fmt: skip
PHASES: Final = ("receive", "queue", "application", "flush")


class Application:
    """Answers when it is told to, or fails."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["waitressd.route"] = environ["PATH_INFO"]
        if environ["PATH_INFO"] == "/hang":
            self.hang()
        if environ["PATH_INFO"] == "/fail":
            raise KeyError("sku")
        if environ["PATH_INFO"] == "/busy":
            start_response("503 Service Unavailable", [("Content-Length", "4")])
            return [b"busy"]
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    def hang(self) -> None:
        """Wait until the test says so."""
        assert self.go_on.wait(30)


def seen_by(insight: Insight) -> bool:
    """Whether the hanging request was looked at after it had become slow."""
    return any((request["unchanged_seconds"] or 0) > 0 for request in insight.get("/requests")["requests"])


@contextlib.contextmanager
def hanging(insight: Insight, application: Application, target: str = "/hang?token=secret") -> Iterator[Client]:
    """Have one request hang until it is slow and was looked at."""
    with insight.server.connect() as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        try:
            assert wait_until(lambda: seen_by(insight))
            yield client
        finally:
            application.go_on.set()


def test_a_slow_request_is_there_with_the_line_where_it_was() -> None:
    application = Application()
    with insight_into(application, slow_threshold=0.1) as insight:
        begun = time.monotonic()
        with hanging(insight, application) as client:
            (running,) = insight.get("/requests")["requests"]
            application.go_on.set()
            assert client.receive().status == 200
        document = insight.wait_for("/slow", lambda document: document["slow"])
        took = time.monotonic() - begun
    (slow,) = document["slow"]
    assert (document["threshold_seconds"], document["failed"]) == (0.1, [])
    assert set(slow) == KEYS
    assert slow["id"] == running["id"]
    assert (slow["method"], slow["target"], slow["route"], slow["status"]) == ("GET", "/hang", "/hang", 200)
    assert (slow["ended_by"], slow["client"], slow["sent_bytes"]) == ("complete", "127.0.0.1", 5)
    assert 0.1 <= slow["application_seconds"] <= slow["total_seconds"] <= took
    assert abs(sum(slow[f"{phase}_seconds"] for phase in PHASES) - slow["total_seconds"]) < 0.001
    assert re.fullmatch(r"\S*test_insight_slow\.py:\d+ Application\.hang", slow["place"])
    own = [frame for frame in slow["stack"] if frame["own"]]
    assert [frame["function"] for frame in own][-2:] == ["Application.__call__", "Application.hang"]
    assert slow["exception"] is None
    assert slow["detail"] == "The application took its time."
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", slow["at"])


def test_a_query_is_shown_to_those_who_are_told_to_see_it_alone() -> None:
    application = Application()
    with insight_into(application, slow_threshold=0.1, admin_show_query=True) as insight:
        with hanging(insight, application) as client:
            application.go_on.set()
            assert client.receive().status == 200
        (slow,) = insight.wait_for("/slow", lambda document: document["slow"])["slow"]
        assert slow["target"] == "/hang?token=secret"


def test_a_failed_request_is_there_with_what_was_raised_and_where() -> None:
    with insight_into(Application()) as insight:
        with insight.server.connect() as client:
            assert client.get("/fail").status == 500
        (failed,) = insight.wait_for("/slow", lambda document: document["failed"])["failed"]
    assert set(failed) == KEYS
    assert (failed["status"], failed["route"], failed["stack"]) == (500, "/fail", None)
    assert re.fullmatch(r"KeyError: 'sku' \(\S*test_insight_slow\.py:\d+ Application\.__call__\)", failed["exception"])
    assert failed["detail"] == "The application raised an exception."


def test_an_answer_that_says_it_failed_is_there_without_an_exception() -> None:
    with insight_into(Application()) as insight:
        with insight.server.connect() as client:
            assert client.get("/busy").status == 503
            assert client.get("/").status == 200
        (failed,) = insight.wait_for("/slow", lambda document: document["failed"])["failed"]
        assert (failed["status"], failed["exception"]) == (503, None)
        assert failed["detail"] == "The application answered with an error."
        assert insight.get("/slow")["slow"] == []


def test_the_last_ones_are_kept_and_come_first() -> None:
    with insight_into(Application(), slow_requests=3) as insight:
        with insight.server.connect() as client:
            for _ in range(5):
                assert client.get("/busy").status == 503
        # The client has an answer a moment before the server has noted it, the fifth as the others.
        document = insight.wait_for("/slow", lambda document: numbers(document)[:1] == [5])
        assert numbers(document) == [5, 4, 3]


def numbers(document: dict[str, Any]) -> list[int]:
    """Which requests of their connection the failed ones were."""
    return [int(failed["id"].rpartition("-")[2]) for failed in document["failed"]]


def test_a_client_that_has_left_is_told_of_and_a_wrong_request_is_not() -> None:
    application = Application()
    with insight_into(application, slow_threshold=0.1) as insight:
        with insight.server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.receive().status == 400
        with hanging(insight, application) as client:
            client.reset()
            insight.wait_for("/requests", lambda document: document["requests"][0]["client_gone"])
        document = insight.wait_for("/slow", lambda document: document["failed"])
        (failed,) = document["failed"]
        assert (failed["ended_by"], failed["target"]) == ("client", "/hang")
        assert failed["detail"] == "The client left."
        assert failed["place"].endswith("Application.hang")


def test_it_takes_no_parameter() -> None:
    with insight_into(Application()) as insight:
        assert insight.status("/slow?older=3") == 400


def test_without_metrics_nothing_is_kept() -> None:
    with insight_into(Application(), metrics="off") as insight:
        with insight.server.connect() as client:
            assert client.get("/busy").status == 503
        document = insight.get("/slow")
        assert (document["slow"], document["failed"]) == ([], [])
