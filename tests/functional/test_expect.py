"""Expect: 100-continue, row by row (RFC 9110, 10.1.1)."""

import json
import logging
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.plain import echo
from tests.support.servers import running_server

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"


def test_100_is_sent_before_any_of_the_body() -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive_head().status == 100
        client.send(b"hello")
        assert json.loads(client.receive().body)["length"] == 5


def test_100_is_sent_once_and_for_each_request_that_asks() -> None:
    with running_server(echo) as server, server.connect() as client:
        for _ in range(3):
            client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            assert client.receive_head().status == 100
            client.send(b"5\r\nhel")
            client.send(b"lo\r\n")
            client.send(b"0\r\n\r\n")
            answer = client.receive()
            assert answer.interim == ()
            assert json.loads(answer.body)["length"] == 5


def test_100_in_a_pipeline_comes_after_the_answer_before_it() -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive().interim == ()
        assert client.receive_head().status == 100
        client.send(b"hello")
        assert json.loads(client.receive().body)["length"] == 5


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 0\r\n"])
def test_without_a_body_there_is_no_100_but_an_answer(fields: bytes) -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(HEAD + fields + b"\r\n")
        answer = client.receive()
        assert (answer.status, answer.interim) == (200, ())


def test_1_0_gets_no_100() -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.is_silent(0.2)
        client.send(b"hello")
        assert client.receive().interim == ()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: x\r\n", 400),
        (b"Content-Length: 5\r\nHost: b\r\n", 400),
        (b"Content-Length: 2000\r\n", 413),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Content-Length: 5\r\nExpect: more\r\n", 417),
    ],
)
def test_a_refusal_comes_at_once_and_instead_of_the_100(fields: bytes, status: int) -> None:
    with running_server(echo, max_request_body_size=1000) as server, server.connect() as client:
        client.send(HEAD + fields + b"\r\n")
        answer = client.receive()
        assert (answer.status, answer.interim, answer.closes) == (status, (), True)
        client.expect_closed()


def test_a_body_that_does_not_wait_is_read_all_the_same() -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\nhello")
        assert json.loads(client.receive().body)["length"] == 5
        assert client.get("/").status == 200


def test_clients_that_wait_for_ever_hold_no_thread() -> None:
    with running_server(echo, threads=1) as server:
        waiting = [server.connect() for _ in range(4)]
        try:
            for each in waiting:
                each.send(HEAD + b"Content-Length: 5\r\n\r\n")
                assert each.receive_head().status == 100
            with server.connect() as client:
                assert client.get("/").status == 200
        finally:
            for each in waiting:
                each.close()


class Uploads:
    """An application that says what came to it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"].read())
        start_response("403 Forbidden" if environ["PATH_INFO"] == "/refuse" else "200 OK", [])
        return [b"answered"]


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.mark.parametrize("settings", [{}, {"early_refusals": True}, {"early_refusals": False}])
def test_the_application_is_called_when_the_body_is_here(uploads: Uploads, settings: dict[str, Any]) -> None:
    """An answer that refuses comes behind the body as well, and the connection stays."""
    with running_server(uploads, threads=4, **settings) as server, server.connect() as client:
        for _ in range(2):
            uploads.bodies.clear()
            client.send(HEAD.replace(b"/", b"/refuse", 1) + b"Content-Length: 5\r\n\r\n")
            assert client.receive_head().status == 100
            client.send(b"hel")
            assert client.is_silent(0.1)
            assert uploads.bodies == []
            client.send(b"lo")
            answer = client.receive()
            assert (answer.status, answer.interim, answer.closes) == (403, (), False)
            assert uploads.bodies == [b"hello"]


@pytest.mark.parametrize("leave", ["close", "reset", "finish_sending"])
def test_the_application_never_hears_of_a_client_that_leaves(uploads: Uploads, leave: str) -> None:
    with running_server(uploads) as server:
        with server.connect() as client:
            client.send(HEAD + b"Content-Length: 5\r\n\r\n")
            assert client.receive_head().status == 100
            client.send(b"hel")
            getattr(client, leave)()
        with server.connect() as other:
            assert other.get("/").status == 200
    assert uploads.bodies == [b""]


def test_a_body_that_does_not_come_is_408(uploads: Uploads) -> None:
    with running_server(uploads, channel_timeout=1) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive_head().status == 100
        assert client.receive().status == 408
        client.expect_closed()
    assert uploads.bodies == []


def test_a_stop_lets_the_body_come(uploads: Uploads) -> None:
    with running_server(uploads) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive_head().status == 100
        stopper = threading.Thread(target=server.server.close)
        stopper.start()
        client.send(b"hello")
        answer = client.receive()
        assert (answer.status, answer.closes) == (200, True)
        client.close()
        stopper.join(10)
        assert not stopper.is_alive()
    assert uploads.bodies == [b"hello"]


def test_a_forced_stop_does_not_wait_for_the_body(uploads: Uploads) -> None:
    with running_server(uploads, shutdown_timeout=0.2) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive_head().status == 100
        server.stop()
        client.expect_closed()
    assert uploads.bodies == []


def test_a_request_log_has_one_record_of_it(uploads: Uploads) -> None:
    records: list[Any] = []
    with running_server(uploads, request_log=records.append) as server, server.connect() as client:
        client.send(HEAD + b"Content-Length: 5\r\n\r\n")
        assert client.receive_head().status == 100
        client.send(b"hello")
        assert client.receive().status == 200
    (record,) = records
    assert (record.status, record.body_bytes_received) == (200, 5)


def test_clients_that_change_their_mind_are_no_defect(uploads: Uploads, caplog: pytest.LogCaptureFixture) -> None:
    with running_server(uploads) as server:
        for number in range(40):
            with server.connect() as client:
                client.send(HEAD + b"Content-Length: 5\r\n\r\n")
                if number % 3:
                    client.sock.recv(100)
                client.send(b"hello"[: number % 6])
                if number % 5:
                    client.reset()
    assert not [record for record in caplog.records if record.levelno >= logging.CRITICAL]
