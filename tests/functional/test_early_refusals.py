"""A refusal reaches a client that is still sending: no reset destroys the answer on its way."""

import contextlib
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import running_server

TIMES = 50
UPLOAD = b"x" * 2_000_000

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "413 by its length": (HEAD + b"Content-Length: 2000000\r\n\r\n" + UPLOAD, 413),
    "413 by its chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1e8480\r\n" + UPLOAD + b"\r\n0\r\n\r\n", 413),
    "431": (HEAD + b"X-A: " + UPLOAD + b"\r\n\r\n", 431),
    "414": (b"GET /" + UPLOAD + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "400 in the head": (b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + UPLOAD, 400),
    "400 in the body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + UPLOAD, 400),
    "501": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + UPLOAD, 501),
}


def send_all(client: Client, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        client.send(data)


@pytest.mark.parametrize("case", REFUSED)
def test_the_answer_is_seen_after_everything_was_sent(case: str) -> None:
    request, status = REFUSED[case]
    with running_server(hello, max_request_body_size=1_000_000) as server:
        for _ in range(TIMES):
            with server.connect() as client:
                client.send(request)
                answer = client.receive()
                assert (answer.status, answer.closes) == (status, True)
                client.expect_closed()


@pytest.mark.parametrize("case", ["413 by its length", "431", "400 in the body"])
def test_the_answer_is_seen_while_sending(case: str) -> None:
    request, status = REFUSED[case]
    with running_server(hello, max_request_body_size=1_000_000) as server:
        for _ in range(TIMES):
            with server.connect() as client:
                sender = threading.Thread(target=send_all, args=(client, request))
                sender.start()
                answer = client.receive()
                assert (answer.status, answer.closes) == (status, True)
                sender.join(10)
                assert not sender.is_alive()


def test_what_follows_an_answer_that_closes_does_not_destroy_it() -> None:
    def closing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Connection", "close")])
        return [b"the last word"]

    with running_server(closing) as server:
        for _ in range(TIMES):
            with server.connect() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3000)
                assert client.receive().body == b"the last word"
                client.expect_closed()
