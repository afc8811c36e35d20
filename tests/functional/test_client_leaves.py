"""A client that goes away is noticed; one that only stops sending still gets its answer."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.apps.plain import echo, hello
from tests.support.servers import running_server

KEYS = ["waitressd.client_disconnected", "waitress.client_disconnected"]


class Watching:
    """An application that works until its client has left."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.started = threading.Event()
        self.noticed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        gone: Callable[[], bool] = environ[self.key]
        assert not gone()
        self.started.set()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not gone():
            time.sleep(0.005)
        if gone():
            self.noticed.set()
        start_response("200 OK", [])
        return [b"too late"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_running_application_can_ask_whether_its_client_left(key: str, leave: str) -> None:
    application = Watching(key)
    with running_server(application) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert application.started.wait(10)
            getattr(client, leave)()
        assert application.noticed.wait(10)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_a_client_that_ends_its_side_after_a_request_gets_its_answer(request_bytes: bytes) -> None:
    with running_server(echo) as server, server.connect() as client:
        client.send(request_bytes)
        client.finish_sending()
        assert client.receive().status == 200
        client.expect_closed()


def test_a_half_closed_pipeline_is_answered_to_its_end() -> None:
    with running_server(hello) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
        client.finish_sending()
        for _ in range(20):
            assert client.receive().body == b"Hello, world!"
        client.expect_closed()


def test_a_half_closed_client_of_a_slow_application_gets_its_answer() -> None:
    def slow(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        time.sleep(0.1)
        yield b"two" * 100_000

    with running_server(slow) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish_sending()
        assert client.receive().body == b"one" + b"two" * 100_000
        client.expect_closed()


def test_a_body_that_ends_early_never_reaches_the_application() -> None:
    called = []

    def remembering(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        called.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    with running_server(remembering) as server:
        for sent in (b"Content-Length: 9\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
            with server.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + sent)
                client.finish_sending()
                assert client.receive().status == 400
                client.expect_closed()
    assert called == []
