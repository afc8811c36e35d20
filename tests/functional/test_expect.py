"""Expect: 100-continue, row by row (RFC 9110, 10.1.1)."""

import json

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
