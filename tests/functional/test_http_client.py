"""Python's own http.client, as libraries use it."""

import hashlib
import http.client
import json
from collections.abc import Iterator

import pytest

from tests.apps.plain import echo, streamed
from tests.support.servers import running_server


@pytest.fixture
def client() -> Iterator[http.client.HTTPConnection]:
    with running_server(echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        yield connection
        connection.close()


def test_it_keeps_its_connection(client: http.client.HTTPConnection) -> None:
    client.connect()
    sock = client.sock
    for number in range(20):
        client.request("GET", f"/{number}?a=b", headers={"X-Number": str(number)})
        answer = client.getresponse()
        environ = json.loads(answer.read())["environ"]
        assert (answer.status, environ["PATH_INFO"], environ["HTTP_X_NUMBER"]) == (200, f"/{number}", str(number))
    assert client.sock is sock


def test_it_sends_bodies_with_a_length(client: http.client.HTTPConnection) -> None:
    body = bytes(range(256)) * 3000
    client.request("POST", "/", body)
    seen = json.loads(client.getresponse().read())
    assert seen["sha256"] == hashlib.sha256(body).hexdigest()


def test_it_sends_bodies_in_chunks(client: http.client.HTTPConnection) -> None:
    client.request(
        "PUT", "/", iter([b"one", b"two" * 50_000]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    seen = json.loads(client.getresponse().read())
    assert seen["sha256"] == hashlib.sha256(b"one" + b"two" * 50_000).hexdigest()


def test_it_asks_for_heads(client: http.client.HTTPConnection) -> None:
    client.request("HEAD", "/")
    answer = client.getresponse()
    assert answer.read() == b""
    assert int(answer.headers["Content-Length"]) > 0
    client.request("GET", "/")
    assert client.getresponse().status == 200


def test_it_reads_chunks() -> None:
    with running_server(streamed) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.read() == b"one two three"
        connection.close()
