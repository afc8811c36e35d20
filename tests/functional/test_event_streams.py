"""Streams of events: each is with the kernel before the application goes on, which may then do what it likes."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.servers import running_server

EVENTS = [b"data: %d\n\n" % number for number in range(300)] + [b"data: %b\n\n" % (b"x" * 20_000), b"data: last\n\n"]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def yielding(emit: Callable[[bytes], None]) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for event in EVENTS:
            yield event
            emit(event)

    return application


def writing(emit: Callable[[bytes], None]) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/event-stream")])
        for event in EVENTS:
            write(event)
            emit(event)
        return []

    return application


@pytest.mark.parametrize("application", [yielding, writing])
def test_an_event_is_with_the_kernel_before_the_next_is_asked_for(application: Any, tmp_path: Path) -> None:
    """PEP 3333. The application looks itself, in the thread that yielded: no other one has had to do anything.

    So an event is at its client whether the application sleeps afterwards, computes, or keeps the interpreter. By a
    Unix socket, whose bytes are at the other end when the call returns.
    """
    missing: list[bytes] = []
    done = threading.Event()
    path = str(tmp_path / "web.sock")

    def look(event: bytes) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = client.sock.recv(65536)
        if event + b"\r\n" not in data:
            missing.append(event)
        if event is EVENTS[-1]:
            done.set()

    with running_server(application(look), unix_socket=path, threads=1), Client(path) as client:
        client.send(GET)
        client.sock.setblocking(False)
        assert done.wait(10)
    assert missing == []


@pytest.mark.parametrize("wait", [threading.Event.wait, None])
def test_all_blocks_of_a_burst_arrive_while_the_application_makes_the_next(wait: Any) -> None:
    """By TCP, where the kernel holds blocks that come fast: it waits for the client, or computes until that has all."""
    blocks = [b"row %d\n" % number for number in range(100)]
    arrived = [threading.Event() for _ in range(3)]

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        for event in arrived:
            yield from blocks
            if wait is not None:
                assert wait(event, 5)
            while not event.is_set():
                pass

    with running_server(application, threads=1) as server, Client(server.address) as client:
        client.send(GET)
        received = b""
        for number, event in enumerate(arrived, 1):
            while received.count(b"row 99\n") < number:
                data = client.sock.recv(65536)
                assert data
                received += data
            event.set()
        assert received.count(b"row") == 300
