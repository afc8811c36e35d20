"""What runs, as documents."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.loop import GET
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.inspector import PHASES, Inspector, RequestView
from waitressd.insight.listings import Listings
from waitressd.insight.threads import ROLES
from waitressd.net import phases, stacks

REQUEST_KEYS = [
    "id", "request_id", "worker", "phase", "age_seconds", "phase_seconds", "queue_seconds", "method", "target",
    "has_query", "route", "client", "peer", "listener", "received_bytes", "expected_bytes", "sent_bytes",
    "pending_bytes", "status", "thread", "native_id", "cpu_share", "place", "unchanged_seconds", "limit_seconds",
    "overdue", "answered_status", "client_gone", "stack",
]  # fmt: skip
CONNECTION_KEYS = [
    "id", "state", "state_seconds", "age_seconds", "deadline_seconds", "client", "peer", "listener", "requests",
    "received_bytes", "sent_bytes", "pending_bytes", "method", "target",
]  # fmt: skip
THREAD_KEYS = ["name", "role", "native_id", "busy_seconds", "request", "cpu_share", "place", "stack"]


class Asked:
    """A server with two hung requests, two that wait, and a connection that is idle; and what it says of itself."""

    def __init__(self, service: Service) -> None:
        self.service = service
        inspector = Inspector(lambda: [service.lane], worker=2)
        listings = Listings(inspector, lambda: {"at": "now", "life": "serving"}, 0)
        self.endpoints: dict[str, Endpoint] = {each.path: each for each in listings.endpoints()}

    def ask(self, path: str, accept: str = "", **parameters: str) -> Answer:
        endpoint = self.endpoints["/requests/" if path.startswith("/requests/") else path]
        return endpoint.answer(Query("GET", path, parameters, accept))

    def document(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self.ask(path, **parameters)
        assert (answer.status, answer.content_type) == (200, "application/json")
        found: dict[str, Any] = json.loads(b"".join(answer.body))
        assert list(found)[:2] == ["at", "life"]
        return found


def has_queued(service: Service, count: int) -> bool:
    return len(service.dispatcher.role.queue) == count


@pytest.fixture
def asked() -> Iterator[Asked]:
    with Service(2).run() as service, service.all_hung(2), contextlib.ExitStack() as stack:
        first, second, _idle = (stack.enter_context(service.connect()) for _ in range(3))
        for number, client in enumerate((first, second), 1):
            client.send(GET)
            assert wait_until(partial(has_queued, service, number))
        assert wait_until(lambda: len(service.dispatcher.channels) == 5)
        yield Asked(service)
        service.gate.set()
        for client in (first, second):
            assert client.receive().status == 200


def test_requests_the_oldest_first(asked: Asked) -> None:
    found = asked.document("/requests")
    assert (found["total"], found["stacks_missing"]) == (4, None)
    rows = found["requests"]
    assert [list(row) for row in rows] == [REQUEST_KEYS] * 4
    assert [row["age_seconds"] for row in rows] == sorted((row["age_seconds"] for row in rows), reverse=True)
    assert sorted(row["phase"] for row in rows) == ["application", "application", "queued", "queued"]
    assert [row["stack"] for row in rows] == [None] * 4
    assert {row["worker"] for row in rows} == {2}


def test_stacks_are_for_who_asks_for_them(asked: Asked) -> None:
    rows = asked.document("/requests", stack="1")["requests"]
    for row in rows:
        if row["phase"] == "queued":
            assert row["stack"] is None
        else:
            assert [list(frame) for frame in row["stack"]] == [["file", "line", "function", "own"]] * len(row["stack"])
            own = [frame for frame in row["stack"] if frame["own"]][-1]
            assert row["place"] == f"{own['file']}:{own['line']} {own['function']}"


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"phase": "queued"}, 2),
        ({"phase": "application"}, 2),
        ({"phase": "flush"}, 0),
        ({"older": "0"}, 4),
        ({"older": "3600"}, 0),
        ({"worker": "2"}, 4),
        ({"worker": "1"}, 0),
        ({"route": ""}, 4),
        ({"route": "/x"}, 0),
    ],
)
def test_requests_are_chosen(asked: Asked, parameters: dict[str, str], count: int) -> None:
    found = asked.document("/requests", **parameters)
    assert found["total"] == len(found["requests"]) == count


def test_a_limit_cuts_rows_and_not_the_count(asked: Asked) -> None:
    found = asked.document("/requests", limit="3", group="1")
    assert (found["total"], len(found["requests"])) == (4, 3)
    (place,) = found["places"]
    assert list(place) == ["place", "count", "oldest_seconds", "ids"]
    assert (place["count"], len(place["ids"])) == (2, 2)
    assert place["place"].endswith("Service._handle")
    assert asked.document("/requests", limit="0")["requests"] == []


def test_one_request_with_its_source(asked: Asked) -> None:
    row = asked.document("/requests", phase="application")["requests"][0]
    found = asked.document(f"/requests/{row['id']}")
    assert [key for key in found if key not in ("at", "life", "stacks_missing")] == REQUEST_KEYS
    assert found["id"] == row["id"]
    assert [frame["code"] for frame in found["stack"] if frame["own"]][-1] == "self.gate.wait(30)"
    queued = asked.document("/requests", phase="queued")["requests"][0]
    assert asked.document(f"/requests/{queued['id']}")["stack"] is None


@pytest.mark.parametrize("name", ["", "2-0-0", "x" * 1000, "\udc80<script>"])
def test_a_request_that_is_not_there(asked: Asked, name: str) -> None:
    answer = asked.ask(f"/requests/{name}")
    assert answer.status == 404
    error = json.loads(b"".join(answer.body))
    assert "There is no request" in error["error"]
    assert len(error["error"]) < 250


def test_connections(asked: Asked) -> None:
    found = asked.document("/connections")
    assert (found["total"], found["limit_count"]) == (5, 1000)
    assert list(found["states"]) == list(phases.STATES)
    assert {state: each["count"] for state, each in found["states"].items() if each["count"]} == {
        "running": 2, "queued": 2, "idle": 1,
    }  # fmt: skip
    assert all((each["oldest_seconds"] is None) == (not each["count"]) for each in found["states"].values())
    assert found["clients"] == [{"client": "127.0.0.1", "count": 5}]
    assert [list(row) for row in found["connections"]] == [CONNECTION_KEYS] * 5
    ages = [row["age_seconds"] for row in found["connections"]]
    assert ages == sorted(ages, reverse=True)
    running = next(row for row in found["connections"] if row["state"] == "running")
    assert (running["method"], running["target"], running["requests"]) == ("GET", "/hang", 1)


@pytest.mark.parametrize(
    ("parameters", "total", "rows"),
    [
        ({"state": "queued"}, 2, 2),
        ({"client": "127.0.0.1"}, 5, 5),
        ({"client": "10.0.0.1"}, 0, 0),
        ({"older": "3600"}, 0, 0),
        ({"limit": "2"}, 5, 2),
        ({"limit": "3", "offset": "4"}, 5, 1),
        ({"offset": "50"}, 5, 0),
    ],
)
def test_connections_are_chosen(asked: Asked, parameters: dict[str, str], total: int, rows: int) -> None:
    found = asked.document("/connections", **parameters)
    assert (found["total"], len(found["connections"])) == (total, rows)
    assert sum(each["count"] for each in found["states"].values()) == 5  # whatever is shown


def test_threads(asked: Asked) -> None:
    rows = asked.document("/threads")["threads"]
    assert [list(row) for row in rows] == [THREAD_KEYS] * len(rows)
    assert [row["stack"] for row in rows] == [None] * len(rows)
    tasks = [row for row in rows if row["role"] == "task"]
    running = asked.document("/requests", phase="application")["requests"]
    assert {row["request"] for row in tasks} == {row["id"] for row in running}
    assert {row["name"] for row in tasks} == {row["thread"] for row in running}
    with_stacks = asked.document("/threads", stack="1")["threads"]
    assert all(row["stack"] for row in with_stacks)
    me = next(row for row in with_stacks if row["native_id"] == threading.get_native_id())
    assert any(frame["function"] == "test_threads" for frame in me["stack"])


def test_threads_as_tracebacks(asked: Asked) -> None:
    answer = asked.ask("/threads", accept="text/plain")
    assert answer.content_type == "text/plain; charset=utf-8"
    text = b"".join(answer.body).decode()
    assert len([line for line in text.splitlines() if line.startswith("Thread ")]) == len(
        asked.document("/threads")["threads"]
    )
    hung = next(part for part in text.split("\n\n") if "request 2-" in part)
    assert "(task, native id " in hung
    assert hung.splitlines()[-1].startswith(f'  File "{threading.__file__}", line ')
    assert "in Service._handle" in hung


def test_an_interpreter_without_stacks(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "REFUSAL", "they cannot be had")
    monkeypatch.setattr("waitressd.insight.looks.REFUSED", stacks.Stack((), "they cannot be had"))
    found = asked.document("/requests", stack="1", group="1")
    assert found["stacks_missing"] == "they cannot be had"
    assert (found["total"], found["places"]) == (4, [])
    assert [row["stack"] for row in found["requests"]] == [None] * 4
    assert [row["place"] for row in found["requests"]] == [None] * 4
    assert asked.document("/threads")["stacks_missing"] == "they cannot be had"
    assert b"they cannot be had" in b"".join(asked.ask("/threads", accept="text/plain").body)


@pytest.mark.parametrize(
    ("path", "parameters", "allowed"),
    [
        ("/requests", {"phase": "idle"}, "head, body, queued, application, flush"),
        ("/requests", {"state": "idle"}, "phase, route, older, worker, stack, group, limit"),
        ("/requests", {"limit": "many"}, "0 to 100000"),
        ("/requests", {"older": "-1"}, "seconds"),
        ("/connections", {"state": "application"}, "proxy, handshake, idle, head, body, queued, running"),
        ("/connections", {"stack": "1"}, "state, older, client, limit, offset"),
        ("/threads", {"stack": "2"}, "0, 1"),
        ("/requests/2-1-1", {"stack": "1"}, "no parameter"),
    ],
)
def test_a_wrong_parameter_is_answered_by_those_that_there_are(
    asked: Asked, path: str, parameters: dict[str, str], allowed: str
) -> None:
    with pytest.raises(BadQuestion, match=allowed):
        asked.ask(path, **parameters)


def test_what_is_asked_for_is_a_value() -> None:
    """A view can be kept: nothing in it changes, and nothing of the application is in it."""
    with Service(1).run() as service, service.all_hung(1):
        inspector = Inspector(lambda: [service.lane])
        steps = inspector.requests()
        with pytest.raises(StopIteration) as ended:
            for _ in range(1000):
                next(steps)
                time.sleep(0)
        (view,) = ended.value.value
        assert isinstance(view, RequestView)
        with pytest.raises(AttributeError):
            view.phase = "flush"  # type: ignore[misc]  # which is the law


def test_the_manual_explains_every_key() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "insight-endpoints.rst").read_text(encoding="utf-8")
    for key in {*REQUEST_KEYS, *CONNECTION_KEYS, *THREAD_KEYS, *phases.STATES, *PHASES, *ROLES}:
        assert f"``{key}``" in manual, key
