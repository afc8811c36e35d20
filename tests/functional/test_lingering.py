"""The last answer of a connection reaches a slow client whole, whatever that client still sends."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import running_server
from tests.support.waiting import wait_until

BIG = b"z" * 400_000
CLOSE = b"Host: a\r\nConnection: close\r\n"


def big(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [BIG]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", b""),
        (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", b"\r\n"),
        (b"POST / HTTP/1.1\r\n" + CLOSE + b"Content-Length: 3\r\n\r\nabc", b"\r\n"),
        (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", b"\r\n"),
        (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n" + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 8000, b""),
    ],
    ids=["nothing", "a line end", "a line end behind a body", "a line end behind a body, HTTP/1.0", "more requests"],
)
def test_what_still_comes_destroys_no_answer(first: bytes, second: bytes) -> None:
    with running_server(big) as server, server.connect(receive_buffer_bytes=8192) as client:
        client.send(first)
        time.sleep(0.05)
        if second:
            client.send(second)
        time.sleep(0.1)  # the server has given the answer to the kernel, and most of it is still there
        answer = client.receive()
        assert (answer.body, answer.closes) == (BIG, True)
        client.expect_closed()


@pytest.mark.parametrize("second", [b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HT"])
def test_what_comes_while_the_last_request_runs_destroys_no_answer(second: bytes) -> None:
    """The client asked for the end and sends more all the same: it sees the end, and no reset."""
    started, go_on = threading.Event(), threading.Event()

    def application(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        started.set()
        assert go_on.wait(10)
        start_response("200 OK", [])
        return [b"all of it"]

    with running_server(application) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert started.wait(10)
        client.send(second)
        go_on.set()
        answer = client.receive()
        assert (answer.body, answer.closes) == (b"all of it", True)
        client.expect_closed()


def test_a_file_that_breaks_off_destroys_no_earlier_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The framing of the second answer shows that it is cut off; a reset would take the first one with it."""
    path = tmp_path / "file"
    path.write_bytes(bytes(16 << 20))

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/big":
            return big(environ, start_response)
        start_response("200 OK", [])
        result: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return result

    with running_server(application) as server, server.connect(receive_buffer_bytes=8192) as client:
        client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wait_until(lambda: server.server.snapshot().connections["flushing"] == 1)
        os.truncate(path, 1000)
        assert client.receive().body == BIG
        assert client.receive_head().get("Content-Length") == str(16 << 20)
        assert len(client.receive_rest()) < 16 << 20
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "bytes more were promised" in caplog.text


def test_a_small_answer_needs_no_lingering() -> None:
    def small(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"small"]

    with running_server(small, linger_timeout=300) as server, server.connect() as client:
        answer = client.request(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert (answer.body, answer.closes) == (b"small", True)
        client.expect_closed()
        assert server.server.snapshot().connections["lingering"] == 0
