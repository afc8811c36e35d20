"""close() of what an application returns is called once, whatever becomes of the answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import BrokenAnswerError
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until


class Closing:
    """An iterable that counts its closing."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks
        self.closed = 0
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            self.taken += 1
            yield chunk

    def close(self) -> None:
        self.closed += 1


def serving(result: Closing, status: str = "200 OK") -> Callable[..., Any]:
    def application(environ: dict[str, Any], start_response: Any) -> Closing:
        start_response(status, [])
        return result

    return application


def wait_until_closed(result: Closing) -> None:
    wait_until(lambda: result.closed)
    assert result.closed == 1


def ask(server: RunningServer, request: bytes) -> None:
    with server.connect() as client:
        client.request(request)


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"HEAD / HTTP/1.1", b"GET / HTTP/1.0"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
def test_after_a_good_answer(request_line: bytes, status: str) -> None:
    result = Closing([b"one", b"two"])
    with running_server(serving(result, status)) as server:
        ask(server, request_line + b"\r\nHost: a\r\n\r\n")
        wait_until_closed(result)
    assert result.closed == 1


@pytest.mark.parametrize(
    "chunks", [[ValueError("x")], [b"one", ValueError("x")], [b"one", SystemExit(3)], ["text"], [7]]
)
def test_after_a_failure(chunks: list[Any]) -> None:
    result = Closing(chunks)
    with running_server(serving(result)) as server:
        try:
            ask(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        except BrokenAnswerError:
            assert chunks[0] == b"one"
        wait_until_closed(result)
    assert result.closed == 1


def test_after_a_refused_head() -> None:
    result = Closing([b"one"])
    with running_server(serving(result, "200")) as server:
        ask(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert result.closed == 0  # the application never got as far as to return it


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_when_the_client_leaves_in_the_middle(leave: str) -> None:
    result = Closing([b"x" * 65536] * 4000)
    with running_server(serving(result), outbuf_high_watermark=1 << 20) as server:
        with server.connect(receive_buffer_bytes=4096) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.sock.recv(1000)
            getattr(client, leave)()
        wait_until_closed(result)
    assert result.taken < 4000
    assert result.closed == 1


def test_a_close_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Closing):
        def close(self) -> None:
            super().close()
            raise RuntimeError("on purpose")

    result = Failing([b"one", b"two"])
    with running_server(serving(result)) as server, server.connect() as client:
        assert client.get("/").body == b"onetwo"
        assert client.get("/").body == b"onetwo"
    assert result.closed == 2
    assert "on purpose" in caplog.text
