"""Each state of a connection has one deadline: what ends it, how soon, and what the client is told."""

import threading
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

import pytest

from tests.apps.plain import echo, hello
from tests.support.client import BrokenAnswerError, Client
from tests.support.servers import running_server

SOON = 3.0  # seconds; the deadlines here are below one, the machine may be busy
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def streaming(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with 64 MiB in blocks; the path says whether their number is announced."""
    blocks = 1024
    fields = [] if environ["PATH_INFO"] == "/unknown" else [("Content-Length", str(blocks * 65536))]
    start_response("200 OK", fields)
    return (bytes(65536) for _ in range(blocks))


def trickle(client: Client, data: bytes, seconds: float = SOON) -> None:
    """Send `data` again and again, a bit at a time, until an answer comes or the connection is gone."""
    deadline = time.monotonic() + seconds
    client.sock.settimeout(0.04)
    while time.monotonic() < deadline and not client.buffer:
        try:
            client.send(data)
            client.buffer += client.sock.recv(1)
        except TimeoutError:
            continue
    client.sock.settimeout(10)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_between_requests_the_end_is_silent(sent: bytes) -> None:
    with running_server(hello, channel_timeout=0.3) as server, server.connect() as client:
        if sent:
            assert client.request(sent).status == 200
        begun = time.monotonic()
        client.expect_closed()
        assert 0.2 < time.monotonic() - begun < SOON


@pytest.mark.parametrize("beginning", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX-"])
def test_the_deadline_of_a_head_is_absolute(beginning: bytes) -> None:
    with running_server(hello, request_header_timeout=0.4) as server, server.connect() as client:
        client.send(beginning)
        begun = time.monotonic()
        trickle(client, b"x")
        answer = client.receive()
        assert time.monotonic() - begun < SOON
        assert (answer.status, answer.closes) == (408, True)
        client.expect_closed()


def test_a_second_head_has_the_same_deadline() -> None:
    with running_server(hello, request_header_timeout=0.3) as server, server.connect() as client:
        assert client.get("/").status == 200
        client.send(b"GET / HT")
        assert client.receive().status == 408
        client.expect_closed()


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n"])
def test_a_body_that_stops_is_408(framing: bytes) -> None:
    with running_server(echo, channel_timeout=0.4) as server, server.connect() as client:
        client.send(POST + framing + b"x")
        answer = client.receive("POST")
        assert (answer.status, answer.closes) == (408, True)
        client.expect_closed()


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (b"Content-Length: 100000\r\n\r\n", b"x"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ],
)
def test_a_body_below_the_minimum_rate_is_408(framing: bytes, piece: bytes) -> None:
    settings = {"min_rate_grace": 0.3, "request_body_min_rate": 1000}
    with running_server(echo, **settings) as server, server.connect() as client:
        client.send(POST + framing)
        begun = time.monotonic()
        trickle(client, piece)
        assert client.receive("POST").status == 408
        assert time.monotonic() - begun < SOON


def test_a_body_above_the_minimum_rate_may_take_its_time() -> None:
    settings = {"min_rate_grace": 0.2, "request_body_min_rate": 100, "channel_timeout": 0.5}
    with running_server(echo, **settings) as server, server.connect() as client:
        client.send(POST + b"Content-Length: 1000\r\n\r\n")
        for _ in range(10):
            client.send(b"x" * 100)
            time.sleep(0.08)
        assert client.receive("POST").status == 200


def test_a_request_that_waits_too_long_is_503() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hanging(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        entered.set()
        leave.wait(20)
        return hello(environ, start_response)

    with running_server(hanging, threads=1, queue_timeout=0.3) as server, server.connect() as first:
        first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)
        with server.connect() as second:
            begun = time.monotonic()
            answer = second.get("/")
            assert 0.2 < time.monotonic() - begun < SOON
            assert (answer.status, answer.closes) == (503, True)
            assert int(answer.get("Retry-After") or "") > 0
            second.expect_closed()
        leave.set()
        assert first.receive().status == 200


@pytest.mark.parametrize("path", ["/known", "/unknown"])
def test_a_client_that_takes_nothing_never_takes_a_cut_answer_for_a_whole_one(path: str) -> None:
    with running_server(streaming, send_timeout=0.3) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(1)
        with pytest.raises((BrokenAnswerError, ConnectionError)):
            client.receive()


def test_the_end_of_an_http_1_0_answer_that_was_cut_is_a_reset() -> None:
    """Where the end of the connection is the end of the body, only that tells a cut answer from a whole one."""
    with running_server(streaming, send_timeout=0.3) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(b"GET /unknown HTTP/1.0\r\n\r\n")
        time.sleep(1)
        with pytest.raises(ConnectionResetError):
            client.receive_rest()


def test_a_client_below_the_minimum_rate_is_cut_off() -> None:
    settings = {"min_rate_grace": 0.3, "response_min_rate": 1 << 30, "send_timeout": 20}
    with running_server(streaming, **settings) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(b"GET /known HTTP/1.1\r\nHost: a\r\n\r\n")
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            while client.sock.recv(100):
                time.sleep(0.02)
                assert time.monotonic() - begun < 2 * SOON


def test_a_refused_client_may_go_on_sending_only_for_so_long() -> None:
    with running_server(hello, linger_timeout=0.4) as server, server.connect() as client:
        client.send(b"BAD\r\n\r\n")
        assert client.receive().status == 400
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < begun + SOON:
                client.send(b"x" * 100)
                time.sleep(0.02)
        assert time.monotonic() - begun < SOON


class Endless:
    """An application without end, iterated or written, that says how each of its answers ended."""

    def __init__(self) -> None:
        self.endings: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            return hello(environ, start_response)
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] == "/iterated":
            return self.blocks()
        try:
            with closing(self.blocks()) as blocks:
                for block in blocks:
                    write(block)
        except BaseException as error:  # border: what it is, is the question
            self.endings.append(type(error).__name__)
            raise
        return []

    def blocks(self) -> Generator[bytes]:
        try:
            while True:
                yield bytes(65536)
        except GeneratorExit:
            self.endings.append("closed")
            raise


@pytest.mark.parametrize(
    ("path", "endings"), [("/iterated", {"closed"}), ("/written", {"closed", "ClientDisconnected"})]
)
def test_a_task_that_writes_to_a_client_that_takes_nothing_is_freed(path: str, endings: set[str]) -> None:
    application = Endless()
    settings = {"threads": 1, "send_timeout": 0.4, "outbuf_high_watermark": 1 << 20, "outbuf_overflow": 1 << 16}
    with running_server(application, **settings) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with server.connect() as other:
            assert other.get("/").status == 200  # by the only thread
        assert set(application.endings) == endings
        assert len(application.endings) == len(endings)
