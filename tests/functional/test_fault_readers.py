"""Slow readers: up to the overflow limits the thread is free at once; nobody else waits for them."""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client, many_clients
from tests.support.servers import running_server

BLOCK_BYTES = 65536
GET_BLOCKS = b"GET /blocks HTTP/1.1\r\nHost: a\r\n\r\n"


class Blocks:
    """An application whose answer to /blocks is of a certain length, and that says when its iterable was closed."""

    def __init__(self, count: int, way: str = "iterated") -> None:
        self.count = count
        self.way = way
        self.closed = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/blocks":
            return hello(environ, start_response)
        write = start_response("200 OK", [])
        if self.way == "iterated":
            return self.blocks()
        for block in self.blocks():
            write(block)
        return []

    def blocks(self) -> Iterator[bytes]:
        try:
            for number in range(self.count):
                yield bytes([number % 251]) * BLOCK_BYTES
        finally:
            self.closed.release()

    def expected(self) -> bytes:
        return b"".join(bytes([number % 251]) * BLOCK_BYTES for number in range(self.count))


@pytest.mark.parametrize("way", ["iterated", "written"])
@pytest.mark.parametrize("count", [8, 300])  # in memory; on disk
def test_the_thread_is_free_before_the_client_has_read(way: str, count: int) -> None:
    application = Blocks(count, way)
    with running_server(application, threads=1) as server:
        slow = [Client(server.address, receive_buffer_bytes=4096) for _ in range(5)]
        try:
            for client in slow:
                client.send(GET_BLOCKS)
            for _ in slow:
                assert application.closed.acquire(timeout=10)
            with server.connect() as client:
                assert client.get("/").status == 200
            for client in slow[:2]:  # whoever reads after all gets every byte
                assert client.receive().body == application.expected()
        finally:
            for client in slow:
                client.close()


def test_above_the_high_water_the_task_waits_for_its_client() -> None:
    application = Blocks(200)
    settings = {"threads": 1, "outbuf_overflow": 1 << 18, "outbuf_high_watermark": 1 << 20}
    with running_server(application, **settings) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(GET_BLOCKS)
        assert not application.closed.acquire(timeout=0.3)
        assert client.receive().body == application.expected()
        assert application.closed.acquire(timeout=5)


def test_answers_wait_in_the_folder_that_was_named(tmp_path: Path) -> None:
    application = Blocks(100)
    with running_server(application, spool_directory=str(tmp_path)) as server, server.connect() as client:
        client.send(GET_BLOCKS)
        assert application.closed.acquire(timeout=10)
        spooled = [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in str(link.resolve())]
        assert len(spooled) == 1
        assert list(tmp_path.iterdir()) == []  # without a name: nothing stays there whatever happens
        assert client.receive().body == application.expected()


def test_a_client_that_reads_a_little_now_and_then_keeps_its_answer() -> None:
    """Every byte moves the deadline, as long as the minimum rate is kept."""
    application = Blocks(20)
    settings = {"send_timeout": 0.4, "response_min_rate": 0}
    with running_server(application, **settings) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(GET_BLOCKS)
        received = b""
        for _ in range(10):
            time.sleep(0.12)
            received += client.sock.recv(200_000)
        client.buffer = received
        assert client.receive().body == application.expected()


def test_an_answer_is_not_held_up_by_those_who_do_not_read() -> None:
    application = Blocks(40)
    with running_server(application, threads=2) as server, many_clients(server.address, 30) as slow:
        for client in slow:
            client.send(GET_BLOCKS)
        for _ in slow:
            assert application.closed.acquire(timeout=10)
        for _ in range(20):
            with server.connect() as client:
                assert client.get("/").status == 200
