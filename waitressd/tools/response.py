"""A response of HTTP/1.1 for a client that asks one question on a connection: bytes in, a value out (RFC 9112).

Knows no socket and no clock. Whoever answers may be anything that listens there, so everything has a limit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 65536
BODY_BYTES: Final = 64 << 20
_INTERIM_HEADS: Final = 8
_CHUNK_LINE_BYTES: Final = 1024

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (?P<status>[1-5][0-9][0-9])(?: [^\r\n]*)?")
_FIELD: Final = re.compile(rb"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\r\n\0]*?)[ \t]*")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_SIZE: Final = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class BadResponseError(ValueError):
    """What came is no response that can be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    fields: Mapping[str, str]
    """By their names in lower case; of several with one name the last."""
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether the response says that it is JSON."""
        return self.fields.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


class ResponseReader:
    """Takes the bytes of one connection, and gives the response once it is whole. For one thread."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._status = 0
        self._fields: dict[str, str] = {}
        self._body = bytearray()
        self._interim = 0

    def feed(self, data: bytes) -> Response | None:
        """Take bytes, or the end of the connection as empty ones; return the response if it is whole.

        Raises BadResponseError.
        """
        self._bytes += data
        if not self._status and not self._read_head():
            if not data:
                raise BadResponseError("the connection was closed before the answer")
            return None
        if self._is_complete(at_end=not data):
            return Response(self._status, self._fields, bytes(self._body))
        if not data:
            raise BadResponseError("the connection was closed in the middle of the answer")
        return None

    def _read_head(self) -> bool:
        """Take the head out of the bytes, and the interim ones before it; False if it is not whole yet."""
        while True:
            end = self._bytes.find(b"\r\n\r\n")
            if end > HEAD_BYTES or (end < 0 and len(self._bytes) > HEAD_BYTES):
                raise BadResponseError(f"the head of the answer is longer than {HEAD_BYTES} bytes")
            if end < 0:
                if not b"HTTP/1.".startswith(bytes(self._bytes[:7])) and self._bytes:
                    raise BadResponseError("the answer is not HTTP")
                return False
            status, fields = _parse_head(bytes(self._bytes[:end]))
            del self._bytes[: end + 4]
            if status >= 200:
                self._status, self._fields = status, fields
                return True
            self._interim += 1
            if status == 101 or self._interim > _INTERIM_HEADS:
                raise BadResponseError(f"an answer with status {status} was not asked for")

    def _is_complete(self, *, at_end: bool) -> bool:
        """Move what belongs to the body; True if that is all of it (RFC 9112, section 6.3)."""
        if self._status in (204, 304):
            return True
        if "transfer-encoding" in self._fields:
            return self._read_chunks()
        length = self._fields.get("content-length")
        if length is not None and not _LENGTH.fullmatch(length):
            raise BadResponseError("the length of the answer is no number")
        wanted = None if length is None else int(length)
        self._take(len(self._bytes) if wanted is None else wanted - len(self._body))
        if wanted is not None and wanted > BODY_BYTES:
            raise _too_long()
        return at_end if wanted is None else len(self._body) == wanted

    def _take(self, count: int) -> None:
        self._body += self._bytes[:count]
        del self._bytes[:count]
        if len(self._body) > BODY_BYTES:
            raise _too_long()

    def _read_chunks(self) -> bool:
        """Move the chunks that are whole (RFC 9112, section 7.1); True after the last one, trailers are not read."""
        if self._fields["transfer-encoding"].lower() != "chunked":
            raise BadResponseError("the answer is coded in a way that was not asked for")
        start = 0
        while (end := self._bytes.find(b"\r\n", start)) >= 0:
            match = _SIZE.fullmatch(bytes(self._bytes[start:end]))
            if not match:
                raise BadResponseError("the chunks of the answer are broken")
            length = int(match["size"], 16)
            if len(self._body) + length > BODY_BYTES:
                raise _too_long()
            if not length:
                return True
            data = end + 2
            if len(self._bytes) < data + length + 2:
                break
            if self._bytes[data + length : data + length + 2] != b"\r\n":
                raise BadResponseError("the chunks of the answer are broken")
            self._body += self._bytes[data : data + length]
            start = data + length + 2
        del self._bytes[:start]
        if self._bytes.find(b"\r\n") < 0 and len(self._bytes) > _CHUNK_LINE_BYTES:
            raise BadResponseError("the chunks of the answer are broken")
        return False


def _too_long() -> BadResponseError:
    return BadResponseError(f"the answer is longer than {BODY_BYTES >> 20} MB")


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if not match:
        raise BadResponseError("the answer is not HTTP")
    fields = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if not field:
            raise BadResponseError("the answer is not HTTP: a field line is broken")
        fields[field["name"].decode("ascii").lower()] = field["value"].decode("latin-1")
    return int(match["status"]), fields
