"""Servers that are no servers: what a client of an admin address may meet there."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Final

Behaviour = Callable[[socket.socket, Event], None]


def _asked(connection: socket.socket) -> None:
    connection.settimeout(10)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"


def saying(data: bytes) -> Behaviour:
    """Answer with these bytes, and close."""

    def behave(connection: socket.socket, _ended: Event) -> None:
        _asked(connection)
        connection.sendall(data)

    return behave


def answering(body: bytes, status: str = "200 OK", fields: bytes = b"") -> Behaviour:
    """Answer with a whole response."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode()
    return saying(head + fields + b"\r\n" + body)


def silent(connection: socket.socket, ended: Event) -> None:
    """Say nothing."""
    _asked(connection)
    ended.wait(20)


def dripping(connection: socket.socket, ended: Event) -> None:
    """Send a byte of a head now and then, for ever."""
    _asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not ended.wait(0.02):
        connection.sendall(b"x")


def endless(connection: socket.socket, ended: Event) -> None:
    """Send a body that never ends."""
    _asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b" " * (1 << 20))


def resetting(connection: socket.socket, _ended: Event) -> None:
    """Reset the connection in the middle of an answer."""
    _asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HOSTILE: Final[dict[str, tuple[Behaviour, str]]] = {
    "no HTTP": (saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "is not HTTP"),
    "TLS": (saying(b"\x15\x03\x03\x00\x02\x02\x46"), "is not HTTP"),
    "a page": (answering(b"<html>"), "is no JSON"),
    "a list": (answering(b"[]"), "is no JSON"),
    "deep": (answering(b"[" * 1_000_000), "is no JSON"),
    "another document": (answering(b'{"hello": "world"}'), "is not what"),
    "wrong kinds": (answering(b'{"at": 1, "requests": "none", "ready": "yes"}'), "is not what"),
    "moved": (answering(b"", "301 Moved", b"Location: http://example.com/\r\n"), "status 301"),
    "not there": (answering(b"gone", "404 Not Found"), "status 404; is this its admin_listen"),
    "broken": (answering(b'{"error": "it \\u001b[2J fell"}', "500 Oops"), "it \\x1b[2J fell"),
    "closed": (saying(b""), "closed before the answer"),
    "cut": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "closed in the middle"),
    "reset": (resetting, "reset"),
    "silent": (silent, "no answer within 0.5 s (--timeout)"),
    "dripping": (dripping, "no answer within 0.5 s (--timeout)"),
    "endless": (endless, "the answer is longer than 64 MB"),
}
"""By name: how it behaves, and what a client says about it."""


@contextmanager
def hostile_server(behaviour: Behaviour) -> Iterator[str]:
    """Run a server that behaves so; yields its address."""
    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        behaviour(connection, ended)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()
