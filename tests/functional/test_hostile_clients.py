"""Clients that mean harm: what they cost is bounded, and nobody else notices."""

import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any

from tests.apps.plain import bulk, echo, hello
from tests.support.client import Client, many_clients
from tests.support.leaks import open_descriptors
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def still_serves(server: RunningServer) -> None:
    with server.connect() as client:
        begun = time.monotonic()
        assert client.get("/").status == 200
        assert time.monotonic() - begun < 3


def test_an_endless_upload_after_a_refusal_is_cut_off() -> None:
    with running_server(echo, linger_timeout=1) as server, server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 20:
                client.send(b"x" * 100_000)
        assert 0.9 < time.monotonic() - begun < 10


def test_chunks_of_one_byte_cost_time_in_proportion() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n"

    def seconds(count: int) -> float:
        begun = time.process_time()
        with server.connect() as client:
            assert client.request(request % (b"1\r\nx\r\n" * count)).status == 200
        return time.process_time() - begun

    with running_server(echo) as server:
        seconds(1000)
        small, large = min(seconds(20_000) for _ in range(2)), seconds(200_000)
        assert large < 40 * small + 0.1


def test_a_head_that_comes_octet_by_octet_costs_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * size + b"\r\n\r\n"
        begun = time.process_time()
        with server.connect() as client:
            client.send_bytewise(head)
            assert client.receive().status == 200
        return time.process_time() - begun

    with running_server(hello) as server:
        seconds(100)
        small, large = min(seconds(2_000) for _ in range(2)), seconds(20_000)
        assert large < 40 * small + 0.1


def test_connections_that_are_reset_at_once_leave_nothing() -> None:
    with running_server(hello) as server:
        before = len(open_descriptors())
        for number in range(300):
            client = server.connect()
            with contextlib.suppress(ConnectionError):
                client.send(GET[: number % len(GET)])
            client.reset()
        still_serves(server)
        assert wait_until(lambda: len(open_descriptors()) <= before + 2)


def test_resets_in_the_middle_of_answers_leave_nothing() -> None:
    with running_server(bulk, threads=2) as server:
        for _ in range(100):
            with server.connect(receive_buffer_bytes=4096) as client:
                client.send(b"GET /?20 HTTP/1.1\r\nHost: a\r\n\r\n")
                client.sock.recv(1000)
                client.reset()
        with server.connect() as client:
            assert len(client.request(b"GET /?2 HTTP/1.1\r\nHost: a\r\n\r\n").body) == 131072


def test_idle_clients_up_to_the_limit_keep_others_waiting_only_until_one_leaves() -> None:
    with running_server(hello, connection_limit=5) as server, many_clients(server.address, 5) as idle:
        for client in idle:
            assert client.get("/").status == 200
        with server.connect() as waiting:
            waiting.send(GET)
            assert waiting.is_silent(0.2)
            idle[0].close()
            assert waiting.receive().status == 200


def test_a_pipeline_of_large_answers_that_nobody_reads_is_held_in_bounds() -> None:
    called = []

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        called.append(1)
        start_response("200 OK", [])
        return [b"x" * 1_000_000]

    with (
        running_server(counting, threads=2, outbuf_overflow=100_000) as server,
        server.connect(receive_buffer_bytes=4096) as glutton,
        server.connect() as other,
    ):
        glutton.send(GET * 1000)
        for _ in range(20):
            assert len(other.get("/").body) == 1_000_000
        assert len(called) - 20 < 10  # the next request waits until the answer before it is with the kernel


def test_many_clients_with_unfinished_requests() -> None:
    pieces = [GET[:-2], b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", b"G", b"\r\n", b""]
    with running_server(hello, threads=1) as server, many_clients(server.address, 200) as clients:
        for number, client in enumerate(clients):
            client.send(pieces[number % len(pieces)])
        for _ in range(5):
            still_serves(server)


def test_a_flood_of_refusals_beside_good_clients() -> None:
    stop = threading.Event()

    def flood(server: RunningServer) -> None:
        while not stop.is_set():
            with contextlib.suppress(ConnectionError), Client(server.address) as client:
                client.send(b"\0" * 1000)

    with running_server(hello, threads=2) as server:
        threads = [threading.Thread(target=flood, args=(server,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                still_serves(server)
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
