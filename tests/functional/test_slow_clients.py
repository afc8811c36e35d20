"""Clients that are slow, silent or never read cost a socket, not a thread: others are answered at once."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.apps.plain import bulk, echo, hello
from tests.support.client import Client, many_clients
from tests.support.servers import RunningServer, running_server

THREADS = 2
SLOW_CLIENTS = 6


def both(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return bulk(environ, start_response) if environ["PATH_INFO"] == "/bulk" else echo(environ, start_response)


def stay_silent(_client: Client) -> None:
    """Connect, and that is all."""


def send_part_of_a_head(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-")


def send_part_of_a_body(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")


def send_part_of_a_chunk(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello")


def never_read_4_megabytes(client: Client) -> None:
    client.send(b"GET /bulk?64 HTTP/1.1\r\nHost: a\r\n\r\n")


def never_read_20_megabytes(client: Client) -> None:
    client.send(b"GET /bulk?320 HTTP/1.1\r\nHost: a\r\n\r\n")


@contextmanager
def slow_clients(server: RunningServer, behave: Callable[[Client], None]) -> Iterator[list[Client]]:
    with many_clients(server.address, SLOW_CLIENTS) as clients:
        for client in clients:
            behave(client)
        yield clients


@pytest.mark.parametrize(
    "behave",
    [
        stay_silent,
        send_part_of_a_head,
        send_part_of_a_body,
        send_part_of_a_chunk,
        never_read_4_megabytes,
        never_read_20_megabytes,
    ],
    ids=lambda each: each.__name__,
)
def test_others_are_answered_at_once(behave: Callable[[Client], None]) -> None:
    with running_server(both, threads=THREADS) as server, slow_clients(server, behave):
        for _ in range(3):
            with server.connect() as client:
                begun = time.monotonic()
                assert client.get("/").status == 200
                assert time.monotonic() - begun < 3


def test_trickling_clients_do_not_delay_others_and_get_their_answers() -> None:
    request = b"GET /trickled HTTP/1.1\r\nHost: a\r\n\r\n"
    with running_server(hello, threads=1) as server, many_clients(server.address, 4) as clients:
        for index in range(len(request)):
            for client in clients:
                client.send(request[index : index + 1])
            if index % 8 == 0:
                with server.connect() as other:
                    assert other.get("/").status == 200
        for client in clients:
            assert client.receive().body == b"Hello, world!"


def test_a_head_that_takes_too_long_is_408() -> None:
    with running_server(hello, request_header_timeout=1) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n")
        answer = client.receive()
        assert (answer.status, answer.closes) == (408, True)
        client.expect_closed()


def test_a_head_that_trickles_is_408_all_the_same() -> None:
    with running_server(hello, request_header_timeout=1) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n")
        client.sock.settimeout(0.05)
        deadline = time.monotonic() + 10
        while not client.buffer and time.monotonic() < deadline:
            try:
                client.send(b"X-A: b\r\n")
                client.buffer += client.sock.recv(1)
            except TimeoutError:
                continue
        client.sock.settimeout(10)
        assert client.receive().status == 408


def test_a_body_that_stops_is_408() -> None:
    with running_server(echo, channel_timeout=1) as server, server.connect() as client:
        send_part_of_a_body(client)
        assert client.receive().status == 408
        client.expect_closed()


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    settings = {"send_timeout": 1, "outbuf_high_watermark": 1 << 20, "threads": 1}
    with running_server(both, **settings) as server, server.connect(receive_buffer_bytes=4096) as slow:
        slow.send(b"GET /bulk?1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        with server.connect(timeout=20) as client:
            assert client.get("/").status == 200  # the only thread is free again
