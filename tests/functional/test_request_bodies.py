"""A request body arrives as it was sent, of any size, in any framing and however it is read."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from tests.apps.plain import echo
from tests.support.client import Client
from tests.support.servers import running_server
from tests.support.waiting import wait_until

SIZES = [0, 1, 65535, 65536, 700_000, 3_000_000]
"""Around the server's reads, below and above what is kept in memory (inbuf_overflow)."""


def content(size: int) -> bytes:
    return (hashlib.sha512(str(size).encode()).digest() * (size // 64 + 1))[:size]


def by_length(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def by_chunks(body: bytes) -> bytes:
    step = 40_000
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", [by_length, by_chunks])
def test_a_body_arrives_as_it_was_sent(size: int, framing: Callable[[bytes], bytes]) -> None:
    body = content(size)
    with running_server(echo) as server, server.connect() as client:
        for _ in range(2):
            seen = json.loads(client.request(framing(body)).body)
            assert seen["length"] == size
            assert seen["sha256"] == hashlib.sha256(body).hexdigest()
            assert seen["environ"]["CONTENT_LENGTH"] == str(size)


def read_in_ways(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Read the body in the way that the path names, and answer with what came of it."""
    body = environ["wsgi.input"]
    ways: dict[str, Callable[[], Any]] = {
        "/read": lambda: [body.read(3), body.read(0), body.read(), body.read(), body.read(9)],
        "/readline": lambda: [body.readline(), body.readline(3), body.readline(), body.readline(), body.readline()],
        "/readlines": lambda: [*body.readlines(), body.read(1)],
        "/hint": lambda: body.readlines(2)[:1],
        "/iteration": lambda: list(body),
    }
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(ways[environ["PATH_INFO"]]()).encode()]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/read", [b"one", b"", b"\ntwo\n\nthree", b"", b""]),
        ("/readline", [b"one\n", b"two", b"\n", b"\n", b"three"]),
        ("/readlines", [b"one\n", b"two\n", b"\n", b"three", b""]),
        ("/hint", [b"one\n"]),
        ("/iteration", [b"one\n", b"two\n", b"\n", b"three"]),
    ],
)
def test_wsgi_input_can_be_read_in_every_way_and_beyond_its_end(path: str, wanted: list[bytes]) -> None:
    request = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\none\ntwo\n\nthree" % path.encode()
    with running_server(read_in_ways) as server, server.connect() as client:
        assert client.request(request).body == repr(wanted).encode()


def test_a_body_that_is_not_read_is_not_taken_for_a_request() -> None:
    called = []

    def ignores(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        called.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"ignored"]

    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with running_server(ignores) as server, server.connect() as client:
        assert client.request(by_length(inner)).body == b"ignored"
        assert client.get("/next").body == b"ignored"
    assert called == ["/", "/next"]


def test_a_slow_body_waits_without_a_thread() -> None:
    with running_server(echo, threads=1) as server, server.connect() as slow, server.connect() as client:
        request = by_length(content(100))
        send_half(slow, request)
        assert client.get("/").status == 200
        slow.send(request[len(request) // 2 :])
        assert json.loads(slow.receive().body)["length"] == 100


def send_half(client: Client, request: bytes) -> None:
    client.send(request[: len(request) // 2])


def test_a_body_of_which_the_application_keeps_a_view_harms_nothing() -> None:
    kept: list[tuple[Any, memoryview]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kept.append((environ["wsgi.input"], environ["wsgi.input"].getbuffer()))
        start_response("200 OK", [])
        return [b"kept"]

    with running_server(application) as server, server.connect() as client:
        for _ in range(2):
            assert client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").body == b"kept"
        answer = client.request(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
        assert answer.body == b"kept"
        client.expect_closed()
        client.close()
        assert wait_until(lambda: not sum(server.server.snapshot().connections.values()))
        assert [bytes(view) for _, view in kept] == [b"body"] * 3
    for _, view in kept:
        view.release()


def used_as_a_file(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Do with the body what libraries do with files, in the way that the path names; answer with what came of it."""
    body = environ["wsgi.input"]
    ways: dict[str, Callable[[], Any]] = {
        "/csv": lambda: sum(1 for _ in csv.reader(io.TextIOWrapper(body, "utf-8"))),
        "/buffered": lambda: len(io.BufferedReader(body).read()),
        "/with": lambda: [size_within(body), body.closed],
        "/closed": lambda: [body.close(), body.close(), body.closed],
        "/file": lambda: [isinstance(body, io.IOBase), hasattr(body, "name"), body.seekable(), body.seek(0, 2)],
        "/unread": lambda: None,
    }
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(ways[environ["PATH_INFO"]]()).encode()]


def size_within(body: Any) -> int:
    with body:
        return len(body.read())


LINES: Final = b"a,b\n" * 2000
USED: Final = {"/csv": 2000, "/buffered": 8000, "/with": [8000, True], "/closed": [None, None, True],
               "/file": [True, False, True, 8000], "/unread": None}  # fmt: skip


def head_first(client: Client, request: bytes) -> None:
    head, end, body = request.partition(b"\r\n\r\n")
    client.send(head + end)
    assert client.is_silent(0.02)
    client.send(body)


def head_that_expects(client: Client, request: bytes) -> None:
    head, end, body = request.partition(b"\r\n\r\n")
    client.send(head + b"\r\nExpect: 100-continue" + end)
    assert client.receive_head().status == 100
    client.send(body)


@pytest.mark.parametrize("inbuf_overflow", [1000, 1_000_000], ids=["disk", "memory"])
@pytest.mark.parametrize("framing", [by_length, by_chunks])
@pytest.mark.parametrize("send", [Client.send, head_first, head_that_expects])
def test_a_body_is_the_same_file_however_it_came(
    send: Callable[[Client, bytes], None], framing: Callable[[bytes], bytes], inbuf_overflow: int
) -> None:
    with running_server(used_as_a_file, threads=2, inbuf_overflow=inbuf_overflow) as server, server.connect() as client:
        for path, wanted in USED.items():
            send(client, framing(LINES).replace(b"POST /", b"POST " + path.encode(), 1))
            answer = client.receive()
            assert (answer.status, answer.body) == (200, repr(wanted).encode())


def test_no_body_is_an_empty_file() -> None:
    with running_server(used_as_a_file) as server, server.connect() as client:
        for path, wanted in {"/csv": 0, "/buffered": 0, "/with": [0, True], "/file": [True, False, True, 0]}.items():
            assert client.get(path).body == repr(wanted).encode()
