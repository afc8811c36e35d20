"""What runs, asked of a real server while it hangs in every way."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until
from waitressd.net.listener import Listener

if TYPE_CHECKING:
    from tests.support.client import Client

ROUNDED = 0.0002  # seconds, by which a time that is shown may differ from what it was


def totals(gate: threading.Event) -> None:
    gate.wait(60)  # here they hang


LINE = totals.__code__.co_firstlineno + 1


class Shop:
    """An application that hangs at /hang until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered: dict[str, float] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/hang":
            environ["waitressd.route"] = "/hang"
            self.entered[environ["QUERY_STRING"]] = time.monotonic()
            totals(self.gate)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


class Hung:
    """A server, and what hangs in it."""

    def __init__(self, running: RunningServer, shop: Shop) -> None:
        self.running, self.shop = running, shop
        self.server = running.server
        self.sent: list[float] = []  # the moment before each request was sent
        self.arrived: list[float] = []  # when each was found to be there
        self.clients: list[Client] = []

    def hang(self, count: int) -> None:
        """Have so many more requests hang or wait, one after the other."""
        for number in range(len(self.sent), len(self.sent) + count):
            client = self.running.connect(timeout=60)
            self.sent.append(time.monotonic())
            client.send(f"GET /hang?{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.clients.append(client)

            def has_arrived(number: int = number) -> bool:
                role = self.server.lanes[0].dispatcher.role
                return len(self.shop.entered) + len(role.queue) == number + 1

            assert wait_until(has_arrived)
            self.arrived.append(time.monotonic())

    def ask(self, path: str, **fields: str) -> Any:
        """Ask the admin address; return the document."""
        status, body = self.get(path, **fields)
        assert status == 200, body
        return json.loads(body)

    def get(self, path: str, **fields: str) -> tuple[int, bytes]:
        host, port = self.server.admin_addresses[0][:2]
        connection = http.client.HTTPConnection(host, port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=fields)
            response = connection.getresponse()
            return response.status, response.read()

    def let_go(self) -> None:
        self.shop.gate.set()
        for client in self.clients:
            assert client.receive().status == 200
            client.close()


@contextlib.contextmanager
def hung_server(count: int = 0, **settings: Any) -> Iterator[Hung]:
    shop = Shop()
    with running_server(shop, admin_listen="127.0.0.1:0", **settings) as running:
        assert wait_until(lambda: running.server.lanes and running.server.pulse is not None)
        hung = Hung(running, shop)
        try:
            hung.hang(count)
            yield hung
        finally:
            hung.let_go()


def test_all_threads_hang_and_many_wait() -> None:
    with hung_server(20, threads=8) as hung:
        before = time.monotonic()
        found = hung.ask("/requests?stack=1&group=1")
        after = time.monotonic()
        rows = found["requests"]
        assert found["total"] == len(rows) == 20
        assert [row["phase"] for row in rows].count("application") == 8
        assert [row["phase"] for row in rows].count("queued") == 12
        assert [row["age_seconds"] for row in rows] == sorted((row["age_seconds"] for row in rows), reverse=True)
        for number, row in enumerate(rows):  # the oldest first, as they were sent
            oldest, youngest = after - hung.sent[number] + ROUNDED, before - hung.arrived[number] - ROUNDED
            assert youngest <= row["age_seconds"] <= oldest
            assert (row["method"], row["target"], row["has_query"]) == ("GET", "/hang", True)
            if row["phase"] == "application":
                assert row["place"].endswith(f"test_insight_listings.py:{LINE} totals")
                assert row["route"] == "/hang"
                assert row["thread"].startswith("waitressd-")
                assert row["stack"][-1]["own"] is False
                assert [frame["function"] for frame in row["stack"] if frame["own"]][-2:] == ["Shop.__call__", "totals"]
                assert before - hung.shop.entered[str(number)] - ROUNDED <= row["phase_seconds"] <= oldest
            else:
                assert row["queue_seconds"] == row["phase_seconds"]
                assert (row["place"], row["thread"], row["stack"], row["route"]) == (None, None, None, None)
        (place,) = found["places"]
        assert (place["count"], place["place"]) == (8, rows[0]["place"])
        one = hung.ask(f"/requests/{rows[0]['id']}")
        assert [frame["code"] for frame in one["stack"] if frame["own"]][-1] == "gate.wait(60)  # here they hang"
        assert hung.get("/requests/1-0-0")[0] == 404


def test_the_lock_of_the_role_is_never_given_back() -> None:
    with hung_server(3, threads=2) as hung, hung.server.lanes[0].dispatcher.role.lock:
        assert sorted(row["phase"] for row in hung.ask("/requests")["requests"]) == [
            "application", "application", "queued",
        ]  # fmt: skip
        assert hung.ask("/connections")["states"]["running"]["count"] == 2
        threads = hung.ask("/threads?stack=1")["threads"]
        assert [thread["role"] for thread in threads].count("task") == 2
        assert any(thread["name"] == threading.current_thread().name for thread in threads)
        assert hung.get("/threads", Accept="text/plain")[0] == 200


def test_the_event_loop_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, gate = threading.Event(), threading.Event()
    accept = Listener.accept

    def hang_in_accept(listener: Listener) -> Any:
        if listener.socket.getsockname() == hung.server.getsockname():
            stuck.set()
            gate.wait(60)
        return accept(listener)

    with hung_server(1, threads=2) as hung:
        monkeypatch.setattr(Listener, "accept", hang_in_accept)
        try:
            with hung.running.connect():
                assert stuck.wait(20)
                (row,) = hung.ask("/requests")["requests"]
                assert row["phase"] == "application"
                assert hung.ask("/connections")["total"] == 1
                threads = hung.ask("/threads?stack=1")["threads"]
                (dispatcher,) = [thread for thread in threads if thread["role"] == "dispatcher"]
                assert dispatcher["place"].endswith("hang_in_accept")
        finally:
            gate.set()
            monkeypatch.undo()


def test_many_connections_that_are_idle() -> None:
    count = 300
    with hung_server(connection_limit=1000) as hung, contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(hung.running.connect())
        channels = hung.server.lanes[0].dispatcher.channels
        assert wait_until(lambda: len(channels) == count)
        found = hung.ask("/connections?limit=1000")
        assert (found["total"], found["limit_count"], len(found["connections"])) == (count, 1000, count)
        assert found["states"]["idle"]["count"] == count
        assert found["clients"] == [{"client": "127.0.0.1", "count": count}]
        assert len({row["peer"] for row in found["connections"]}) == count
        assert len(hung.ask("/connections?limit=10&offset=295")["connections"]) == 5
        assert hung.ask("/requests")["total"] == 0


def test_the_settings() -> None:
    with hung_server(threads=3) as hung:
        settings = {row["name"]: row for row in hung.ask("/config")["settings"]}
        assert (settings["threads"]["value"], settings["threads"]["changed"]) == ("3", True)
        assert settings["threads"]["origin"] == "Python argument"


def test_hostile_targets_are_text() -> None:
    with hung_server(threads=1, admin_show_query=True) as hung, hung.running.connect() as client:
        client.send(b"GET /hang?<script>%00%1b[2J&" + b"x" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wait_until(lambda: hung.ask("/requests")["total"] == 1)
        status, body = hung.get("/requests")
        assert status == 200
        assert body.isascii()
        assert not set(body) & set(b"<>&")
        (row,) = json.loads(body)["requests"]
        assert row["target"].startswith("/hang?<script>%00%1b[2J&xxx")
        assert len(row["target"]) == 1024
        hung.shop.gate.set()
        assert client.receive().status == 200


def test_a_wrong_question_is_answered_by_what_is_allowed() -> None:
    with hung_server() as hung:
        status, body = hung.get("/requests?phase=<script>")
        assert status == 400
        assert "one of head, body, queued, application, flush" in json.loads(body)["error"]
        assert hung.get("/connections?nonsense=1")[0] == 400


def test_every_answer_begins_alike() -> None:
    with hung_server() as hung:
        for path in ("/requests", "/connections", "/threads", "/config"):
            found = hung.ask(path)
            assert list(found)[:5] == ["at", "server", "version", "life", "workers"]
            assert found["life"] == "serving"
            assert [worker["worker"] for worker in found["workers"]] == [1]
