"""A transport in memory: what a task writes is kept in a list, and read back by h11 as a client would read it.

The HTTP connection inside is the real one, and so is the handler. The client can be told to leave.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import h11

from tests.support.origins import origin_of
from waitressd.http.connection import Connection
from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Body, Request
from waitressd.http.limits import Limits
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.input import BodySpool
from waitressd.wsgi.task import TaskSettings, WsgiHandler


@dataclass(frozen=True)
class Answer:
    """One answer as h11 understands it; `complete` is false where it ended before its framing said so."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool
    interim: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]

    def get(self, name: str) -> str | None:
        """Return the one value of a field, None without it."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None


class RecordingTransport:
    """What a channel is to a task, without a socket: `writes` holds each call's bytes, in order."""

    def __init__(self, peer: str = "127.0.0.1:5555", *, leaves_after_bytes: int | None = None) -> None:
        self.connection = Connection(Limits(), "waitressd")
        self.encoder = self.connection.encoder
        self.origin = origin_of(peer)
        self.writes: list[bytes] = []
        self.files: list[bytes] = []
        self.leaves_after_bytes = leaves_after_bytes
        self.gone = False
        self.environ: dict[str, Any] | None = None
        self.failure: BaseException | None = None
        self.limits: list[float] = []  # that the application has set

    def set_request_timeout(self, seconds: float) -> None:
        """Note the limit."""
        self.limits.append(seconds)

    @property
    def sent(self) -> bytes:
        """Everything that reached the client."""
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        """Keep the bytes. Raises ClientDisconnected from the byte on at which the client leaves."""
        assert isinstance(data, bytes)
        assert data, "an empty write costs a system call"
        limit = self.leaves_after_bytes
        if limit is not None and len(self.sent) + len(data) > limit:
            self.gone = True
        if self.gone:
            raise ClientDisconnected("the client of this test left")
        self.writes.append(data)

    def write_blocks(self, blocks: Iterator[bytes]) -> None:
        """Keep each block before the next is asked for."""
        for data in blocks:
            self.write(data)

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """Keep the bytes as one write."""
        self.write(b"".join(parts))

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Read the stretch of the file at once, by its descriptor's content, and close it."""
        try:
            file.seek(offset)
            data = file.read(count)
            self.files.append(data)
            self.write(data)
        finally:
            close()

    def fail(self, error: BaseException) -> None:
        """Note what kept the application from answering."""
        self.failure = error

    def is_gone(self) -> bool:
        """Whether the client has left."""
        return self.gone

    def receive(self, data: bytes) -> tuple[Request, BinaryIO | None]:
        """Let the client send `data`, one complete request; return what the channel would hand to the handler."""
        self.connection.reader.feed(data)
        request = self.connection.next_event()
        assert isinstance(request, Request), request
        if request.complete:
            return request, None
        spool = BodySpool(1 << 20)
        while isinstance(event := self.connection.next_event(), Body):
            spool.append(event.data)
        return request, spool.finish()

    def answer(self, method: str = "GET") -> Answer:
        """Read what was sent as one answer; bytes after it are a failure."""
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(self.sent)
        interim: list[tuple[int, tuple[tuple[str, str], ...]]] = []
        while isinstance(head := client.next_event(), h11.InformationalResponse):
            interim.append((head.status_code, _fields(head)))
        assert isinstance(head, h11.Response), (head, self.sent)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        if event is h11.NEED_DATA and client.our_state is not h11.ERROR and _ends_with_connection(head):
            client.receive_data(b"")
            event = client.next_event()
        complete = isinstance(event, h11.EndOfMessage)
        assert not complete or not client.trailing_data[0], client.trailing_data
        return Answer(head.status_code, head.reason.decode("latin-1"), _fields(head), body, complete, tuple(interim))


def _fields(head: h11.Response | h11.InformationalResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items())


def _ends_with_connection(head: h11.Response) -> bool:
    return not {name for name, _ in head.headers} & {b"content-length", b"transfer-encoding"}


def exchange(
    application: Any,
    data: bytes = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    *,
    transport: RecordingTransport | None = None,
    environ: EnvironSettings | None = None,
    settings: TaskSettings | None = None,
) -> RecordingTransport:
    """Send one request to an application through the real handler and return the transport."""
    transport = transport or RecordingTransport()
    handler = WsgiHandler(application, EnvironBuilder(environ or EnvironSettings()), settings or TaskSettings())
    request, body = transport.receive(data)
    handler(request, body, transport)
    return transport
