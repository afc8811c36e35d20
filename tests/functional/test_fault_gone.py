"""Clients that leave: running applications can ask, queued requests never run, half-closed clients get their answer."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import running_server

KEYS = ["waitressd.client_disconnected", "waitress.client_disconnected"]
HOLD = b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"


class Holding:
    """An application whose /hold runs until it may leave, or its client has; everything else is remembered."""

    def __init__(self, key: str = KEYS[0]) -> None:
        self.key = key
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.saw_it_gone = threading.Event()
        self.paths: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.paths.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/hold":
            self.entered.set()
            deadline = time.monotonic() + 20
            while not self.leave.wait(0.01) and time.monotonic() < deadline:
                if environ[self.key]():
                    self.saw_it_gone.set()
        return hello(environ, start_response)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("leave", ["reset", "close", "finish_sending"])
@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_running_task_sees_that_its_client_left(key: str, leave: str, beginning: bytes) -> None:
    """On the first request of a connection and on later ones, with default settings."""
    application = Holding(key)
    with running_server(application) as server, server.connect() as client:
        if beginning:
            assert client.request(beginning).status == 200
        client.send(HOLD)
        assert application.entered.wait(10)
        assert not application.saw_it_gone.wait(0.1)
        getattr(client, leave)()
        assert application.saw_it_gone.wait(5)
        application.leave.set()


def test_a_client_that_stays_is_never_taken_for_gone() -> None:
    application = Holding()
    with running_server(application, threads=1) as server, server.connect() as client:
        client.send(HOLD)
        assert application.entered.wait(10)
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")  # more to read is no sign of leaving
        assert not application.saw_it_gone.wait(0.3)
        application.leave.set()
        assert [client.receive().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_a_queued_request_of_a_client_that_left(leave: str) -> None:
    """After a reset nobody can read the answer; after a mere FIN somebody may."""
    application = Holding()
    with running_server(application, threads=1) as server, server.connect() as first:
        first.send(HOLD)
        assert application.entered.wait(10)
        second = Client(server.address)
        second.send(b"GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        getattr(second, leave)()
        time.sleep(0.2)
        application.leave.set()
        assert first.receive().status == 200
        with server.connect() as third:
            assert third.get("/last").status == 200
    assert ("/dropped" in application.paths) == (leave == "close")


def test_half_closed_clients_get_their_answers_whatever_state_they_are_in() -> None:
    application = Holding()
    with running_server(application, threads=1) as server:
        running, queued, pipelined = server.connect(), server.connect(), server.connect()
        with running, queued, pipelined:
            running.send(HOLD)
            assert application.entered.wait(10)
            queued.send(b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n")
            pipelined.send(b"GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
            for client in (running, queued, pipelined):
                client.finish_sending()
            time.sleep(0.1)
            application.leave.set()
            for client, count in ((running, 1), (queued, 1), (pipelined, 5)):
                assert [client.receive().status for _ in range(count)] == [200] * count
                client.expect_closed()


def test_leaving_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ended = threading.Event()

    def streaming(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield bytes(65536)
        finally:
            ended.set()

    with running_server(streaming) as server:
        client = server.connect()
        client.send(b"GET /stream?secret HTTP/1.1\r\nHost: a\r\n\r\n")
        client.sock.recv(1000)
        client.reset()
        assert ended.wait(5)
    ours = [record for record in caplog.records if record.name.startswith("waitressd")]
    assert [record.levelno for record in ours if "left before" in record.getMessage()] == [logging.INFO]
    assert "GET /stream" in caplog.text
    assert "secret" not in caplog.text
    assert max(record.levelno for record in ours) == logging.INFO


def test_storms_of_resets_leave_nothing_in_the_log_but_calm(caplog: pytest.LogCaptureFixture) -> None:
    stages = [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
        HOLD[:-2] + b"X: y\r\n\r\n",
    ]
    application = Holding()
    application.leave.set()
    with running_server(application) as server:
        for number in range(60):
            client = Client(server.address)
            client.send(stages[number % 4])
            client.reset()
        with server.connect() as client:
            assert client.get("/").status == 200
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
