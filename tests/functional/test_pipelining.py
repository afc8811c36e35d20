"""Requests that come before their predecessors are answered get their answers in order, each exactly once."""

import time
from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.plain import mirror, named
from tests.support.client import Client
from tests.support.servers import running_server


def uneven(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Take longer for some requests than for others, so that a race would show."""
    if environ["PATH_INFO"].endswith("7"):
        time.sleep(0.003)
    return named(environ, start_response)


def line(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number


@pytest.mark.parametrize("threads", [1, 4])
def test_answers_come_in_order(threads: int) -> None:
    with running_server(uneven, threads=threads) as server, server.connect() as client:
        client.send(b"".join(map(line, range(300))))
        for number in range(300):
            assert client.receive().body == b"/%d" % number


def test_several_pipelining_clients_do_not_get_each_others_answers() -> None:
    with running_server(uneven, threads=3) as server:
        clients = [server.connect() for _ in range(5)]
        try:
            for index, client in enumerate(clients):
                client.send(b"".join(line(1000 * index + number) for number in range(60)))
            for index, client in enumerate(clients):
                bodies = [client.receive().body for _ in range(60)]
                assert bodies == [b"/%d" % (1000 * index + number) for number in range(60)]
        finally:
            for client in clients:
                client.close()


def test_bodies_of_both_framings_between_requests_without() -> None:
    with running_server(mirror) as server, server.connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthird"
        )
        assert [client.receive().body for _ in range(4)] == [b"first", b"", b"second", b"third"]


def test_what_follows_a_request_to_close_is_never_run() -> None:
    called = []

    def remembering(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        called.append(environ["PATH_INFO"])
        return named(environ, start_response)

    with running_server(remembering) as server, server.connect() as client:
        client.send(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + line(1) + line(2))
        assert client.receive().closes
        client.expect_closed()
    assert called == ["/last"]


def test_a_pipelining_client_that_does_not_read_harms_nobody() -> None:
    with running_server(named, threads=1) as server, server.connect(receive_buffer_bytes=4096) as glutton:
        glutton.sock.setblocking(False)
        fill(glutton)
        with server.connect() as client:
            assert client.get("/other").body == b"/other"


def fill(client: Client) -> None:
    """Send requests until the server takes no more of them, or a few megabytes."""
    block = b"".join(map(line, range(2000)))
    deadline = time.monotonic() + 1
    for _ in range(100):
        try:
            client.sock.send(block)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
