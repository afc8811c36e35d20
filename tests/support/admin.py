"""Admin addresses for tests: requests as values, and the small parts that they are asked with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.client import Client, Response
from waitressd.http.connection import Connection
from waitressd.http.events import Request
from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.client import LIMITS
from waitressd.insight.endpoints import EndpointTable
from waitressd.insight.guard import Door
from waitressd.insight.listener import AdminListener, Desk
from waitressd.insight.tokens import TokenFile
from waitressd.net.listener import Listener, open_tcp

READ_TOKEN = "r" * 24
CONTROL_TOKEN = "c" * 24
HOST = "127.0.0.1:9100"
DATE = "Thu, 26 Nov 2026 03:12:47 GMT"


def head(method: str, target: str, *fields: str, host: str = HOST) -> bytes:
    """Write a request without a body; `fields` are "Name: value", and no Host is written for ""."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def request_of(method: str, target: str, *fields: str, host: str = HOST) -> Request:
    """Parse a request as the server does."""
    connection = Connection(LIMITS, "")
    connection.reader.feed(head(method, target, *fields, host=host))
    request = connection.next_event()
    assert isinstance(request, Request)
    return request


def ask(client: Client, target: str, *fields: str, method: str = "GET", host: str = HOST) -> Response:
    """Ask, and return the checked answer."""
    return client.request(head(method, target, *fields, host=host), method=method)


def echo(query: Query) -> Answer:
    """Answer with the path and the parameters that were asked for."""
    words = [query.path, *(f"{name}={value}" for name, value in query.parameters.items())]
    return Answer(200, "text/plain", [word.encode() + b"\n" for word in words])


@contextmanager
def listening(*endpoints: Endpoint, tokens: TokenFile | None = None, **door: Any) -> Iterator[Client]:
    """Answer at an admin address of this process, and connect a client; `client.address` is where."""
    listener = open_tcp("127.0.0.1", 0, 64)[0]
    with opened([listener], *endpoints, tokens=tokens, **door), Client(listener.address) as client:
        yield client


@contextmanager
def opened(
    listeners: list[Listener], *endpoints: Endpoint, tokens: TokenFile | None = None, **door: Any
) -> Iterator[AdminListener]:
    """Answer at these listeners until the block ends."""
    values: dict[str, Any] = {"exposed": frozenset({"probes", "stats"}), **door}
    doors = [(each, Door(each.name, is_unix=not isinstance(each.address, tuple), **values)) for each in listeners]
    admin = AdminListener(doors, Desk(EndpointTable(endpoints), tokens or TokenFile(), lambda: DATE))
    admin.start()
    try:
        yield admin
    finally:
        admin.close()
