"""Feed a connection in every way that must not matter, and say what came out.

A message is fed whole, octet by octet, and with the next request directly behind it; the events must be the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import CLOSED, NEED_DATA, PAUSED, Body, EndOfBody, Request
from waitressd.http.limits import Limits
from waitressd.http.response import ResponseHead, build_head

DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"
LIMITS: Final = Limits()
NEXT: Final = b"GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n"


@dataclass
class Exchange:
    """What came out of a connection: requests with their bodies, and how it ended."""

    requests: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)
    refusal: HttpError | None = None
    closed: bool = False
    most_buffered: int = 0

    @property
    def status(self) -> int | None:
        """The status of the refusal, None without one."""
        return self.refusal.status if self.refusal else None

    def facts(self) -> tuple[object, ...]:
        """Everything that must be the same however the octets were cut."""
        return (
            [(facts(r), b, c) for r, b, c in zip(self.requests, self.bodies, self.complete, strict=True)],
            self.refusal is not None,
            self.closed,
        )


def facts(request: Request) -> tuple[object, ...]:
    """Return all of a request head as one comparable value."""
    return (
        request.method, request.target, request.path, request.query, request.version, tuple(request.fields.items()),
        request.content_length, request.keep_alive, request.expects_continue, request.complete,
    )  # fmt: skip


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Cut octets into pieces of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def exchange(pieces: Iterable[bytes], limits: Limits = LIMITS, *, eof: bool = False) -> Exchange:
    """Feed pieces, take all events after each, and answer every complete request with 204."""
    connection = Connection(limits, "")
    seen = Exchange()
    for piece in pieces:
        connection.reader.feed(piece)
        if not take(connection, seen):
            return seen
        seen.most_buffered = max(seen.most_buffered, connection.reader.buffered_bytes)
    if eof:
        connection.reader.feed_eof()
        take(connection, seen)
    return seen


def take(connection: Connection, seen: Exchange) -> bool:
    """Take events until more data is needed; whether more data can change anything."""
    while True:
        try:
            event = connection.next_event()
        except HttpError as error:
            seen.refusal = error
            assert connection.next_event() is CLOSED
            return False
        if event is NEED_DATA:
            return True
        if event is CLOSED:
            seen.closed = True
            return False
        if isinstance(event, Request):
            seen.requests.append(event)
            seen.bodies.append(b"")
            seen.complete.append(event.complete)
        elif isinstance(event, Body):
            assert event.data
            seen.bodies[-1] += event.data
        elif isinstance(event, EndOfBody):
            seen.complete[-1] = True
        else:
            assert event is PAUSED
            connection.encoder.encode_response(build_head("204 No Content", []), b"", DATE)


def accepted(data: bytes, limits: Limits = LIMITS) -> tuple[Request, bytes]:
    """Return the one request in `data` and its body, after feeding it in every way."""
    whole = exchange([data], limits)
    assert whole.refusal is None, whole.refusal
    assert len(whole.requests) == 1
    assert whole.complete == [True]
    assert exchange(cut(data, 1), limits).facts() == whole.facts()
    followed = exchange([data + NEXT], limits)
    if whole.closed:
        assert followed.facts() == whole.facts()
    else:
        assert facts(followed.requests[0]) == facts(whole.requests[0])
        assert followed.bodies[0] == whole.bodies[0]
        assert [request.path for request in followed.requests[1:]] == ["/next"]
    return whole.requests[0], whole.bodies[0]


def refused(data: bytes, limits: Limits = LIMITS) -> int:
    """Return the status with which `data` is refused, after feeding it in every way; nothing behind it is read."""
    whole = exchange([data], limits)
    assert whole.refusal is not None, "nothing was refused"
    for pieces in (cut(data, 1), [data + NEXT], cut(data + NEXT, 1)):
        seen = exchange(pieces, limits)
        assert seen.facts() == whole.facts()
        assert seen.status == whole.status
    return whole.refusal.status


def head(*lines: str, start: str = "GET / HTTP/1.1", host: str = "Host: a.test") -> bytes:
    """Build a request head of a start line, a Host line and further lines."""
    return "".join(f"{line}\r\n" for line in (start, *([host] if host else []), *lines, "")).encode("latin-1")


def chunked(coded: bytes) -> bytes:
    """Put a request head before a chunked body."""
    return head("Transfer-Encoding: chunked", start="POST / HTTP/1.1") + coded


def asked(data: bytes = NEXT, ident: str = "", limits: Limits = LIMITS) -> Connection:
    """Return a connection that has been sent `data` and owes a response to the request in it."""
    connection = Connection(limits, ident)
    connection.reader.feed(data)
    assert isinstance(connection.next_event(), Request)
    return connection


def answer(*fields: tuple[str, str], status: str = "200 OK") -> ResponseHead:
    """Build the head of a response."""
    return build_head(status, list(fields))


def text(connection: Connection, body: bytes = b"", response: ResponseHead | None = None) -> str:
    """Return a whole response as text, without the Date field."""
    return (
        connection.encoder.encode_response(response or answer(), body, DATE)
        .decode("latin-1")
        .replace(f"Date: {DATE}\r\n", "")
    )


def parts(connection: Connection, response: ResponseHead, *data: bytes, length: int | None = None) -> str:
    """Return a response that is encoded piece by piece as text, without the Date field."""
    encoded = connection.encoder.encode_head(response, DATE, length)
    for piece in data:
        encoded += b"".join(connection.encoder.encode_data(piece))
    encoded += connection.encoder.encode_end()
    return encoded.decode("latin-1").replace(f"Date: {DATE}\r\n", "")
