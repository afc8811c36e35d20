"""wsgiref.validate stands between the server and the applications, and finds nothing to complain about."""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from tests.apps import plain
from tests.support.servers import running_server

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a%20b/%C3%A9?c=d HTTP/1.1\r\nHost: a:80\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=b\r\n\r\n",
    b"GET http://example.com/a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n",
]


def writing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written")
    return [b"returned"]


def using_the_rest(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Use what an application rarely touches: the errors stream, and wsgi.input in all its ways."""
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].writelines([])
    environ["wsgi.errors"].flush()
    body = environ["wsgi.input"]
    seen = [body.read(1), body.readline(1), body.readline(), *body.readlines(), *body]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(seen)]


@pytest.mark.parametrize(
    "application",
    [plain.hello, plain.echo, plain.mirror, plain.named, plain.streamed, writing, using_the_rest],
    ids=lambda each: each.__name__,
)
def test_nothing_is_found(application: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> None:
    with running_server(validator(application)) as server:
        for request in REQUESTS:
            with server.connect() as client:
                assert client.request(request).status == 200
    assert "Error" not in capfd.readouterr().err


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_nothing_is_found_about_answers_without_content(status: str) -> None:
    def bodiless(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [])
        return []

    with running_server(validator(bodiless)) as server, server.connect() as client:
        assert f"{client.get('/').status}" in status
        assert f"{client.get('/').status}" in status


def test_nothing_is_found_about_head() -> None:
    def headed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        return []

    with running_server(validator(headed)) as server, server.connect() as client:
        assert client.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").get("Content-Length") == "9"
