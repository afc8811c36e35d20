"""A connection serves one request after another, whatever the answers look like."""

from collections.abc import Iterable
from typing import Any

from tests.apps.plain import hello, streamed
from tests.support.servers import running_server


def kinds(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer in the way that the path names."""
    path = environ["PATH_INFO"]
    if path == "/streamed":
        return streamed(environ, start_response)
    if path in {"/204", "/304"}:
        start_response({"/204": "204 No Content", "/304": "304 Not Modified"}[path], [])
        return []
    if path == "/fails":
        raise RuntimeError("on purpose")
    return hello(environ, start_response)


def test_a_connection_serves_many_requests() -> None:
    with running_server(hello) as server, server.connect() as client:
        for _ in range(500):
            answer = client.get("/")
            assert (answer.status, answer.body, answer.closes) == (200, b"Hello, world!", False)


def test_every_kind_of_answer_keeps_the_connection() -> None:
    with running_server(kinds) as server, server.connect() as client:
        for _ in range(3):
            assert client.get("/streamed").chunks == (b"one ", b"two ", b"three")
            assert client.get("/204").status == 204
            assert client.get("/304").status == 304
            assert client.get("/fails").status == 500
            assert client.request(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").get("Content-Length") == "13"
            assert (
                client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").body == b"Hello, world!"
            )
            assert client.get("/").body == b"Hello, world!"


def test_an_idle_connection_is_closed_without_a_word_when_its_time_is_over() -> None:
    with running_server(hello, channel_timeout=1) as server, server.connect() as client:
        assert client.get("/").status == 200
        client.expect_closed()


def test_close_is_obeyed() -> None:
    with running_server(hello) as server, server.connect() as client:
        answer = client.get("/", "Connection: close")
        assert answer.closes
        client.expect_closed()
