"""The chunked transfer coding of a request body (RFC 9112, section 7.1).

Knows chunk sizes, extensions and trailer sections, and how much of each is allowed; holds no octets itself. What it
cannot use yet stays in the buffer of its caller: never more than one unfinished line.
"""

import re
from collections.abc import Callable
from enum import IntEnum
from typing import ClassVar, Final

from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.grammar import CRLF, FIELD_OCTETS, is_chunk_extension
from waitressd.http.head import parse_fields
from waitressd.http.limits import CHUNK_SIZE_DIGITS, Limits

Buffer = bytes | bytearray

_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,%d}" % CHUNK_SIZE_DIGITS)
_plain_size: Final = _SIZE.fullmatch
_size_start: Final = re.compile(rb"[0-9A-Fa-f]{1,%d}+(?![0-9A-Fa-f])" % CHUNK_SIZE_DIGITS).match

# What a step answers when the octets it needs are not all here.
_MORE: Final = -1


class Phase(IntEnum):
    """What the next octets of a chunked body are."""

    SIZE = 0  # a chunk size line
    DATA = 1  # chunk data
    DATA_END = 2  # the CR LF after chunk data
    TRAILER = 3  # a trailer line, or the blank line that ends the body
    END = 4  # not part of this body any more


class ChunkEvent(IntEnum):
    """What was read of a chunked body."""

    CHUNK = 0  # the size line of a chunk that has data
    LAST_CHUNK = 1  # the size line of the chunk without data
    ALL_DATA = 2  # the last octet of the data of a chunk
    LINE_END = 3  # the CR LF after it
    FIELD = 4  # a trailer line
    BLANK_LINE = 5  # the line that ends the body


PHASE_TRANSITIONS: Final[dict[tuple[Phase, ChunkEvent], Phase]] = {
    (Phase.SIZE, ChunkEvent.CHUNK): Phase.DATA,
    (Phase.SIZE, ChunkEvent.LAST_CHUNK): Phase.TRAILER,
    (Phase.DATA, ChunkEvent.ALL_DATA): Phase.DATA_END,
    (Phase.DATA_END, ChunkEvent.LINE_END): Phase.SIZE,
    (Phase.TRAILER, ChunkEvent.FIELD): Phase.TRAILER,
    (Phase.TRAILER, ChunkEvent.BLANK_LINE): Phase.END,
}

_CHUNK, _ALL_DATA, _LINE_END = ChunkEvent.CHUNK, ChunkEvent.ALL_DATA, ChunkEvent.LINE_END
_END: Final = Phase.END


class ChunkedDecoder:
    """Takes the transfer coding off one request body. Belongs to one connection and lives as long as the body."""

    __slots__ = (
        "_body_room",
        "_extension_room",
        "_pieces",
        "_remaining",
        "_scanned",
        "_trailer_lines",
        "_trailer_room",
        "phase",
    )

    def __init__(self, limits: Limits, head_bytes: int) -> None:
        """`head_bytes` is what the request head has used up of the room that the trailer section shares with it."""
        self.phase = Phase.SIZE
        self._remaining = 0
        self._scanned = 0
        self._pieces: list[Buffer] = []
        self._body_room = limits.max_request_body_size
        self._extension_room = limits.chunk_extension_bytes
        self._trailer_room = max(
            limits.max_request_header_size - head_bytes, len(CRLF)
        )  # the line that ends the body always fits
        self._trailer_lines = limits.max_request_fields

    def decode(self, buffer: Buffer, position: int) -> tuple[bytes, int]:
        """Decode from `position` as far as the buffer allows; the data, and the position of the first unused octet.

        Raises HttpError for a broken rule. Data before the broken part is given out first.
        """
        pieces: list[Buffer] = []
        self._pieces = pieces
        end = len(buffer)
        steps = self._STEPS
        try:
            while position < end and self.phase is not _END:
                after = steps[self.phase](self, buffer, position)
                if after < 0:
                    break
                position = after
        except HttpError:
            # The state is as it was before the bad octets, so the next call raises the error again, with nothing to
            # give out.
            if not pieces:
                raise
        self._pieces = []
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces), position

    def _read_size(self, buffer: Buffer, position: int) -> int:
        """Read `chunk-size [ chunk-ext ] CRLF`."""
        end = buffer.find(CRLF, position + self._scanned)
        if end < 0:
            if not _size_start(buffer, position):
                raise _size_refusal()
            self._check_extension_room(len(buffer) - position - CHUNK_SIZE_DIGITS - 1)
            return self._await_line(buffer, position)
        line = buffer[position:end]
        extension = 0
        if not _plain_size(line):
            digits = self._parse_extension(line)
            extension = len(line) - len(digits)
            line = digits
        size = int(line, 16)
        if size > self._body_room:
            raise HttpError(413, "The request body is larger than this server accepts.")
        self._scanned = 0
        self._extension_room -= extension
        self._body_room -= size
        self._remaining = size
        self._move(_CHUNK if size else ChunkEvent.LAST_CHUNK)
        return end + 2

    def _read_data(self, buffer: Buffer, position: int) -> int:
        """Read `chunk-data`, as much of it as is here."""
        after = position + self._remaining
        data = buffer[position:after]
        self._pieces.append(data)
        self._remaining -= len(data)
        if not self._remaining:
            self._move(_ALL_DATA)
        return position + len(data)

    def _read_data_end(self, buffer: Buffer, position: int) -> int:
        """Read the CRLF that must follow chunk data at once."""
        after = position + 2
        mark = buffer[position:after]
        if mark == CRLF:
            self._move(_LINE_END)
            return after
        if mark == b"\r":
            return _MORE
        raise HttpError(400, "The data of a chunk is not followed by CR LF.")

    def _read_trailer(self, buffer: Buffer, position: int) -> int:
        """Read `field-line CRLF`, check it like one of a head and drop it (RFC 9112, 7.1.2), or the final `CRLF`."""
        end = buffer.find(CRLF, position + self._scanned)
        if end < 0:
            self._check_trailer_room(len(buffer) - position - 1)
            return self._await_line(buffer, position)
        self._check_trailer_room(end - position)
        if end == position:
            self._move(ChunkEvent.BLANK_LINE)
            return end + 2
        line = buffer[position:end]
        if line.translate(None, FIELD_OCTETS):
            raise HttpError(400, "A trailer line has a control character, or does not end with CR LF.")
        if not self._trailer_lines:
            raise HttpError(431, "The request has too many trailer fields.")
        parse_fields([line.decode("latin-1")])
        self._move(ChunkEvent.FIELD)
        self._scanned = 0
        self._trailer_lines -= 1
        self._trailer_room -= end + 2 - position
        return end + 2

    def _parse_extension(self, line: Buffer) -> Buffer:
        """The digits of a size line that has more than digits (RFC 9112, 7.1.1)."""
        start = _size_start(line)
        if start is None:
            raise _size_refusal()
        self._check_extension_room(len(line) - start.end())
        if line[start.end() : start.end() + 1].lower() == b"x":
            raise HttpError(400, "A chunk size consists of hexadecimal digits alone, without 0x.")
        if not is_chunk_extension(line, start.end()):
            raise HttpError(400, "A chunk extension is malformed.")
        return line[: start.end()]

    def _check_extension_room(self, extension: int) -> None:
        if extension > self._extension_room:
            raise HttpError(413, "The request has more chunk extensions than this server accepts.")

    def _check_trailer_room(self, line: int) -> None:
        if line + 2 > self._trailer_room:
            raise HttpError(431, "The trailer section of the request is larger than this server accepts.")

    def _await_line(self, buffer: Buffer, position: int) -> int:
        """Check each octet of an unfinished line once: a bare CR or LF, or a control, is refused at once."""
        part = buffer[position + self._scanned :]
        awaiting_lf = part.endswith(b"\r")
        if len(part.translate(None, FIELD_OCTETS)) > awaiting_lf:
            raise HttpError(400, "A line of the chunked coding has a control character, or does not end with CR LF.")
        self._scanned = len(buffer) - position - awaiting_lf
        return _MORE

    def _move(self, met: ChunkEvent) -> None:
        try:
            self.phase = PHASE_TRANSITIONS[self.phase, met]
        except KeyError:
            raise ProtocolMisuse(f"{met!r} while the body is at {self.phase!r}") from None

    _STEPS: ClassVar[tuple[Callable[["ChunkedDecoder", Buffer, int], int], ...]] = (
        _read_size,
        _read_data,
        _read_data_end,
        _read_trailer,
    )


def _size_refusal() -> HttpError:
    return HttpError(400, "A chunk size is not a hexadecimal number of at most 16 digits.")
