"""Whether a server lives and is ready, by a server that runs."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until
from waitressd import create_server
from waitressd.config.adjustments import Adjustments
from waitressd.dispatch.role import Worker
from waitressd.insight.answers import BadQuestion, Query
from waitressd.insight.health import Health
from waitressd.life import Life
from waitressd.server import Server

LIVE = Query("GET", "/live", {}, "")
READY = Query("GET", "/ready", {}, "")


class Application:
    """Hangs at /hang until it is let go on."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.hanging = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/hang":
            self.hanging.release()
            self.gate.wait(30)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"here"]


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    yield made
    made.gate.set()


def admin(server: RunningServer) -> Client:
    """Connect to the admin address once the server serves."""
    assert wait_until(lambda: server.server.pulse is not None)
    return Client(server.server.admin_addresses[0])


def asked(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    response = ask(client, path)
    document: dict[str, Any] = json.loads(response.body)
    return response.status, document


def test_a_server_that_serves_is_alive_and_ready(application: Application) -> None:
    with running_server(application, admin_listen="127.0.0.1:0") as server, admin(server) as client:
        status, document = asked(client, "/live")
        assert (status, document["live"]) == (200, True)
        status, document = asked(client, "/ready")
        assert (status, document["ready"]) == (200, True)
        text = ask(client, "/ready", "Accept: text/plain")
        assert (text.body, text.get("Content-Type")) == (b"ready\n", "text/plain; charset=utf-8")
        assert ask(client, "/live", "Accept: text/plain").body == b"live\n"
        assert ask(client, "/ready?wait=1").status == 400


def test_hung_threads_of_the_application_are_no_reason(application: Application) -> None:
    settings = {"admin_listen": "127.0.0.1:0", "threads": 2, "live_timeout": 0.2}
    with running_server(application, **settings) as server, admin(server) as client, server.connect() as first:
        first.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        with server.connect() as second, server.connect() as third:
            for each in (second, third):
                each.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            assert application.hanging.acquire(timeout=10)
            assert application.hanging.acquire(timeout=10)
            assert asked(client, "/live")[0] == 200
            assert asked(client, "/ready")[0] == 200
            application.gate.set()
            assert first.receive().status == 200


def test_a_queue_that_waits_is_a_reason_where_it_is_wanted(application: Application) -> None:
    settings = {"admin_listen": "127.0.0.1:0", "threads": 1, "ready_queue_wait": 0.05}
    with running_server(application, **settings) as server, admin(server) as client, server.connect() as first:
        first.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        assert application.hanging.acquire(timeout=10)
        with server.connect() as second:
            second.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wait_until(lambda: asked(client, "/ready")[0] == 503)
            _, document = asked(client, "/ready")
            assert document["reason"] == "queue"
            assert 0 <= document["since_seconds"] < 10
            assert asked(client, "/live")[0] == 200
            application.gate.set()
            assert second.receive().status == 200
            assert asked(client, "/ready")[0] == 200


def test_a_loop_that_does_not_turn_is_dead_for_live(application: Application) -> None:
    stuck, gate = threading.Event(), threading.Event()
    settings = {"admin_listen": "127.0.0.1:0", "live_timeout": 0.1}
    with running_server(application, **settings) as server, admin(server) as client:
        dispatcher = server.server.lanes[0].dispatcher
        wait = dispatcher.poller.wait

        def hold(timeout: float | None) -> list[tuple[int, int]]:
            stuck.set()
            gate.wait(30)
            return wait(timeout)  # type: ignore[no-any-return]  # the poller is not typed here

        dispatcher.poller.wait = hold
        server.server.lanes[0].wake()
        assert stuck.wait(10)
        try:
            assert wait_until(lambda: asked(client, "/live")[0] == 503)
            _, document = asked(client, "/live")
            assert document["reason"] == "dispatcher"
            assert document["turn_age_seconds"] >= 0.1
        finally:
            dispatcher.poller.wait = wait
            gate.set()
        assert wait_until(lambda: asked(client, "/live")[0] == 200)


def test_before_it_serves_it_is_starting() -> None:
    server = create_server(Application(), listen="127.0.0.1:0")
    try:
        health = Health(server)
        assert (health.not_live()[0], health.not_ready()[0]) == ("", "starting")
        assert health.not_ready()[1] >= 0
        server._life = Life.SERVING  # the threads are still to come
        assert health.not_ready()[0] == "starting"
    finally:
        server._life = Life.LISTENING
        server.close()


@pytest.mark.parametrize(
    ("life", "reason"),
    [(Life.LEAVING, "leaving"), (Life.DRAINING, "draining"), (Life.ABORTING, "draining"), (Life.STOPPED, "draining")],
)
def test_who_leaves_is_alive_and_not_ready(life: Life, reason: str) -> None:
    server = Server(Adjustments(), Application())
    health = Health(server)
    server._life, server._life_since = life, time.monotonic() - 5
    assert health.not_ready()[0] == reason
    assert 5 <= health.not_ready()[1] < 20
    assert health.not_live()[0] == ""
    assert json.loads(b"".join(health.answer_ready(READY).body))["reason"] == reason


def test_a_thread_that_is_gone_is_a_reason(application: Application) -> None:
    with running_server(application, admin_listen="127.0.0.1:0") as server, admin(server) as client:
        lane = server.server.lanes[0]
        dead = threading.Thread(target=lambda: None)
        dead.start()
        dead.join()
        gone = Worker("gone")
        gone.thread = dead
        lane.workers.append(gone)
        try:
            assert asked(client, "/live")[1]["reason"] == "pool"
        finally:
            lane.workers.remove(gone)


def test_since_when_accepting_rests(application: Application) -> None:
    with running_server(application, admin_listen="127.0.0.1:0") as server, admin(server):
        health = Health(server.server)
        acceptor = server.server.lanes[0].dispatcher._acceptor
        resume_at, heard = acceptor.resume_at, acceptor._heard
        acceptor.resume_at, acceptor._heard = 1e12, set()
        try:
            health.look(time.monotonic() - 3)
            reason, seconds = health.not_ready()
            assert (reason, seconds >= 3) == ("paused", True)
        finally:
            acceptor.resume_at, acceptor._heard = resume_at, heard
        assert health.not_ready() == ("", 0.0)


def test_probes_take_no_parameters() -> None:
    server = create_server(Application(), listen="127.0.0.1:0")
    health = Health(server)
    for answer in (health.answer_live, health.answer_ready):
        with pytest.raises(BadQuestion):
            answer(Query("GET", "/live", {"a": "1"}, ""))
    server.close()
