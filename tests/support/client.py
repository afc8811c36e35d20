"""A raw HTTP/1.1 client that believes nothing.

It sends bytes as they are and reads answers with a parser that refuses whatever RFC 9110 and 9112 do not allow a server
to send. A test that gets a `Response` from here knows that its framing was right.
"""

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

TIMEOUT_SECONDS: Final = 15.0
RECEIVE_BYTES: Final = 65536

Address = tuple[str, int] | str

_STATUS_LINE: Final = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_DIGITS: Final = re.compile(rb"[0-9]+")
_ONCE: Final = frozenset(
    {"content-length", "transfer-encoding", "date", "server", "content-type", "location", "retry-after"}
)


class BrokenAnswerError(AssertionError):
    """The server sent something that HTTP does not allow, or stopped in the middle."""


@dataclass(frozen=True)
class Response:
    """One checked answer; `fields` keeps order, case, repetitions; `chunks` is empty unless the body came chunked."""

    version: str
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    chunks: tuple[bytes, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    interim: tuple["Response", ...] = field(default=(), repr=False)

    def all(self, name: str) -> list[str]:
        """Return every value of the field `name`, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Return the one value of the field `name`, None without it; several are an error of the server's."""
        values = self.all(name)
        if len(values) > 1:
            raise BrokenAnswerError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        """Whether the server says that this is the last answer on the connection."""
        words = {word.strip().lower() for value in self.all("Connection") for word in value.split(",")}
        return "close" in words or (self.version == "HTTP/1.0" and "keep-alive" not in words)


def parse_head(block: bytes) -> Response:
    """Read a status line and field lines, without the empty line that ends them."""
    lines = block.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        raise BrokenAnswerError(f"a bare CR, a bare LF or a NUL in the head: {block!r}")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise BrokenAnswerError(f"not a status line: {lines[0]!r}")
    version, code, reason = match.groups()
    fields = tuple(_parse_field(line) for line in lines[1:])
    names = [name.lower() for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise BrokenAnswerError(f"{name} came {names.count(name)} times: {block!r}")
    if "content-length" in names and "transfer-encoding" in names:
        raise BrokenAnswerError(f"both Content-Length and Transfer-Encoding: {block!r}")
    return Response(version.decode(), int(code), reason.decode("latin-1"), fields)


def _parse_field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _FIELD_NAME.fullmatch(name):
        raise BrokenAnswerError(f"not a field line: {line!r}")
    value = value.strip(b" \t")
    if not _FIELD_VALUE.fullmatch(value):
        raise BrokenAnswerError(f"control bytes in a field value: {line!r}")
    return name.decode(), value.decode("latin-1")


class Client:
    """One connection. Not for use by several threads; closes its socket when the `with` block ends."""

    def __init__(self, address: Address, *, timeout: float = TIMEOUT_SECONDS, receive_buffer_bytes: int = 0) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; twice is harmless."""
        self.sock.close()

    def reset(self) -> None:
        """End the connection with an RST, as a crashing client does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def finish_sending(self) -> None:
        """Send FIN and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Send every byte in a segment of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(data)):
            self.sock.sendall(data[index : index + 1])

    def request(self, data: bytes, *, method: str = "") -> Response:
        """Send one request and read its answer; the method is taken from the request unless given."""
        self.send(data)
        return self.receive(method or data.split(b" ", 1)[0].decode("latin-1"))

    def get(self, target: str = "/", *fields: str) -> Response:
        """Send a GET with a Host field and the field lines given, and read the answer."""
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
        return self.request("\r\n".join(lines).encode("latin-1"))

    def receive(self, method: str = "GET") -> Response:
        """Read one final answer to a request with this method; interim answers are kept in `interim`."""
        interim = []
        while (head := self.receive_head()).status < 200 and head.status != 101:
            interim.append(head)
        chunks: tuple[bytes, ...] = ()
        trailers: tuple[tuple[str, str], ...] = ()
        if method == "HEAD" or head.status in {204, 304}:
            body = b""
        elif head.all("Transfer-Encoding"):
            chunks, trailers = self._receive_chunked(head)
            body = b"".join(chunks)
        elif (length := head.get("Content-Length")) is not None:
            if not _DIGITS.fullmatch(length.encode("latin-1")):
                raise BrokenAnswerError(f"Content-Length: {length!r}")
            body = self._take(int(length))
        else:
            if not head.closes:
                raise BrokenAnswerError(f"a body without an end on a connection that stays open: {head}")
            body = self.receive_rest()
        return Response(head.version, head.status, head.reason, head.fields, body, chunks, trailers, tuple(interim))

    def receive_head(self) -> Response:
        """Read one head, interim or final, and leave the body unread."""
        head = parse_head(self._take_until(b"\r\n\r\n"))
        bodiless = head.status < 200 or head.status == 204
        if bodiless and (head.all("Content-Length") or head.all("Transfer-Encoding")):
            raise BrokenAnswerError(f"a {head.status} must not announce a body: {head}")
        return head

    def receive_rest(self) -> bytes:
        """Read until the server closes; a reset is an error."""
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def expect_closed(self) -> None:
        """Fail unless the server closes without another byte."""
        rest = self.receive_rest()
        if rest:
            raise BrokenAnswerError(f"bytes after the last answer: {rest!r}")

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing at all arrives for so long (neither bytes nor the end)."""
        if self.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._more()
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self.sock.settimeout(before)

    def _receive_chunked(self, head: Response) -> tuple[tuple[bytes, ...], tuple[tuple[str, str], ...]]:
        if head.get("Transfer-Encoding") != "chunked" or head.version != "HTTP/1.1":
            raise BrokenAnswerError(f"a transfer coding that we did not ask for: {head}")
        chunks = []
        while True:
            size_line = self._take_until(b"\r\n")
            if not _CHUNK_SIZE.fullmatch(size_line):
                raise BrokenAnswerError(f"not a chunk size: {size_line!r}")
            size = int(size_line, 16)
            if size == 0:
                break
            chunks.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise BrokenAnswerError("a chunk does not end where it says")
        trailers = []
        while line := self._take_until(b"\r\n"):
            trailers.append(_parse_field(line))
        return tuple(chunks), tuple(trailers)

    def _more(self) -> bool:
        data = self.sock.recv(RECEIVE_BYTES)
        self.buffer += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        pieces = [self.buffer[:count]]
        self.buffer = self.buffer[count:]
        missing = count - len(pieces[0])
        while missing:
            data = self.sock.recv(min(missing, 1 << 20))
            if not data:
                raise BrokenAnswerError(f"the connection ended {missing} bytes before the end of the body")
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def _take_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._more():
                raise BrokenAnswerError(f"the connection ended in the middle: {self.buffer!r}")
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken


@contextmanager
def many_clients(address: Address, count: int) -> Iterator[list[Client]]:
    """Open `count` connections and close them all at the end."""
    clients: list[Client] = []
    try:
        clients.extend(Client(address) for _ in range(count))
        yield clients
    finally:
        for client in clients:
            client.close()
