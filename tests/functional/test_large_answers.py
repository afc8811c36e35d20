"""Large answers arrive whole, at once or while they are made, also by way of the disk."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.apps.plain import bulk
from tests.support.servers import running_server


def wanted(blocks: int) -> bytes:
    return b"".join(bytes([number % 251]) * 65536 for number in range(blocks))


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("overflow", [65536, 1 << 20])
def test_a_stream_of_many_megabytes(version: bytes, overflow: int) -> None:
    with running_server(bulk, outbuf_overflow=overflow) as server, server.connect() as client:
        answer = client.request(b"GET /?320 %b\r\nHost: a\r\n\r\n" % version)
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(wanted(320)).digest()


def test_one_piece_of_many_megabytes() -> None:
    piece = bytes(range(256)) * 65536

    def whole(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [piece]

    with running_server(whole) as server, server.connect() as client:
        for _ in range(2):
            answer = client.get("/")
            assert answer.get("Content-Length") == str(len(piece))
            assert answer.body == piece


def test_a_piece_leaves_before_the_next_one_is_made() -> None:
    seen = threading.Event()

    def stepwise(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        assert seen.wait(10)
        yield b"second"

    with running_server(stepwise) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.receive_head()
        while b"first" not in client.buffer:
            client.buffer += client.sock.recv(100)
        assert b"second" not in client.buffer
        seen.set()
        assert client.buffer + receive_until(client, b"0\r\n\r\n") == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


def receive_until(client: Any, mark: bytes) -> bytes:
    data = b""
    while not data.endswith(mark):
        data += client.sock.recv(100)
    return data
