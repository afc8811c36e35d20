"""The request side of a connection: octets in; heads, pieces of bodies and refusals out (RFC 9112, sections 2 to 8).

Keeps what was fed and not used, and looks at every octet a bounded number of times however it is cut into pieces.
Does not know responses: after a whole request it waits until it is told that the next one may come.
"""

from typing import Final

from waitressd.http.body import ChunkedDecoder, Phase
from waitressd.http.errors import HttpError, ProtocolMisuse, UnfinishedError
from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, PAUSED, Body, Event, Request, Signal
from waitressd.http.grammar import FIELD_OCTETS, HEAD_END
from waitressd.http.head import check_start_line, octet_refusal, parse_head, parse_start_line
from waitressd.http.limits import BLANK_LINES, METHOD_BYTES, Limits
from waitressd.http.recent import Recent
from waitressd.http.repeated import Known, learn
from waitressd.http.states import READING_TRANSITIONS, ReadEvent, Reading

# Octets in front of an unfinished message that may lie around before the buffer is cut.
_SLACK_BYTES: Final = 65536
_CR: Final = 13
REFUSED_LINE_BYTES: Final = 1024  # what is kept of the first line of a head that cannot be parsed

# The members used for every request, as plain globals: looking one up in its class costs as much as a transition.
_IDLE, _HELD, _BODY, _DONE, _ERROR = Reading.IDLE, Reading.HELD, Reading.BODY, Reading.DONE, Reading.ERROR
_DATA, _END, _GO_ON, _CLOSE = ReadEvent.DATA, ReadEvent.END, ReadEvent.GO_ON, ReadEvent.CLOSE
# Where a request head leads from IDLE, which `next_event` has just seen: looked up once instead of for each request.
_AFTER_HEAD, _AFTER_WHOLE = READING_TRANSITIONS[_IDLE, ReadEvent.HEAD], READING_TRANSITIONS[_IDLE, ReadEvent.WHOLE]
# And where all of a body leads from BODY.
_AFTER_BODY: Final = READING_TRANSITIONS[READING_TRANSITIONS[_BODY, _DATA], _END]


class RequestReader:
    """What one client says. Used by one thread at a time: the one that owns the connection.

    It holds at most one unfinished head or line, plus what was fed last, if nothing is fed after PAUSED.
    """

    __slots__ = (
        "_decoder",
        "_head_end",
        "_known",
        "_limits",
        "_line_bytes",
        "_position",
        "_recent",
        "_remaining",
        "_scanned",
        "_searched",
        "_skipped",
        "_when_used_up",
        "buffer",
        "dropped_bytes",
        "reading",
        "refused_line",
        "request",
    )

    def __init__(self, limits: Limits, recent: Recent | None = None) -> None:
        """With `recent`, what it knows of earlier connections is used, and learns from this one."""
        self._limits = limits
        self._recent = recent
        self.reading = _IDLE
        self.buffer: bytes | bytearray = b""
        """What was fed and not used yet, which begins at `_position`; empty without. Others only look at it."""
        self._position = 0
        # Octets behind the position in which the end of the head need not be looked for again, and those that were
        # found to be good ones.
        self._searched = 0
        self._scanned = 0
        self._head_end = 0  # where the last head ended that was not known
        # The length of the unfinished head's request line, once that was parsed; empty lines seen before it.
        self._line_bytes = 0
        self._skipped = 0
        # What the end of the buffer means: more may come, or the client has ended.
        self._when_used_up: Signal = NEED_DATA
        # Octets of a length-framed body that are still to come; the decoder of a chunked one.
        self._remaining = 0
        self._decoder: ChunkedDecoder | None = None
        # Field lines that may come again octet by octet, as those of many clients do.
        self._known: Known | None = None
        self.dropped_bytes = 0
        """Octets that came and that will never be looked at."""
        self.request: Request | None = None
        """The current request, or the last one; None before the first and after a head that was refused."""
        self.refused_line = b""
        """The beginning of the first line of a head that was refused."""

    @property
    def buffered_bytes(self) -> int:
        """How many octets were fed that no event has taken up yet."""
        return len(self.buffer) - self._position

    @property
    def missing_bytes(self) -> int:
        """How many octets of a length-framed body are still to be fed; 0 where that is not known."""
        missing = self._remaining - self.buffered_bytes
        return missing if missing > 0 else 0

    @property
    def request_started(self) -> bool:
        """A part of the next request head has arrived."""
        return self.reading is _IDLE and bool(self.buffer)

    def feed(self, data: bytes) -> None:
        """Take octets that the client sent. Once the connection can give no further request they are dropped."""
        if self.reading >= _ERROR:
            self.dropped_bytes += len(data)
            return
        if not self.buffer:
            self.buffer = data
            return
        buffer = self.buffer
        position = self._position
        if isinstance(buffer, bytes):
            self.buffer = buffer = bytearray(buffer)
        if position > _SLACK_BYTES and 2 * position > len(buffer):
            # At most as much is moved as was used since the last time: linear, also where deleting moves memory.
            del buffer[:position]
            self._position = 0
        buffer += data

    def feed_eof(self) -> None:
        """Note that the client will send no more. What it sent before is still served (RFC 9112, 9.6)."""
        self._when_used_up = CLOSED

    def next_event(self, data: bytes = b"") -> Event:
        """The next part of what the client says, who has sent `data` since: `feed` without its call.

        Raises HttpError once when the client breaks a rule or ends in mid-body; what was fed after that is dropped
        and every later call says CLOSED. A head that the client leaves unfinished just closes the connection.
        """
        buffer = self.buffer or data
        if self.reading is not _IDLE or not buffer or (data and self.buffer):
            return self._next_otherwise(data)
        self.buffer = buffer
        known, request, end = self._known, None, 0
        try:
            # A head that comes in pieces is looked for once it is here, so that no octet is looked at for each piece.
            if known is not None and not self._searched:
                request = known.parse(buffer, self._position, self._limits)
                end = known.end
            if request is None:
                event = self._parse_head()
                if type(event) is not Request:
                    return event
                request, end = event, self._head_end
        except HttpError:
            self.refuse_head()
            raise
        self.request = request
        head_bytes = end - self._position
        if end == len(buffer):  # as in _consume, whose call every request is spared
            self.buffer = b""
            end = 0
        self._position = end
        self._scanned = self._searched = self._skipped = self._line_bytes = 0
        if request.complete:
            self.reading = _AFTER_WHOLE
        else:
            self._begin_body(request, head_bytes)
        return request

    def _next_otherwise(self, data: bytes) -> Event:
        """The next part where the octets at hand are not all of the buffer, or not those of a head."""
        if data:
            self.feed(data)
            if self.reading is _IDLE:
                return self.next_event()
        reading = self.reading
        if reading is _IDLE:
            return self._await_first_octet()
        if reading is _BODY or reading is _HELD:
            return self._read_body()
        return PAUSED if reading is _DONE else CLOSED

    def _parse_head(self) -> Event:
        """Parse a head that is not known, or say what is missing of it."""
        if self.buffer[self._position] == _CR and not self._skip_blank_lines():
            return self._await_first_octet()
        buffer, position, known = self.buffer, self._position, self._known
        end = buffer.find(HEAD_END, position + self._searched)
        self._head_end = end + len(HEAD_END)
        if end < 0 or self._head_end - position > self._limits.max_request_header_size:
            return self._await_head()
        request = known.parse(buffer, position, self._limits) if known is not None else None
        if request is not None:
            return request
        head = buffer[position:end]
        is_first = self.request is None
        if self._recent is not None and known is None and is_first:
            request = self._recent.parse(head, self._limits)
        else:
            request = parse_head(head, self._limits)
        if known is not None or (is_first and request.keep_alive):
            self._known = learn(known, request, head)
        return request

    def forget(self) -> None:
        """Give up what is only kept to be fast; for a connection that rests."""
        self._known = None
        if self.reading is _IDLE:
            self.request = None

    def _begin_body(self, request: Request, head_bytes: int) -> None:
        """Expect the body that a head announces."""
        if request.expects_continue:
            self._move(ReadEvent.EXPECT)
        else:
            self.reading = _AFTER_HEAD
        if request.content_length is None:
            self._decoder = ChunkedDecoder(self._limits, head_bytes)
        else:
            self._remaining = request.content_length

    def _await_first_octet(self) -> Event:
        """Nothing of a head is here (RFC 9112, 9.5: a client may close between requests at any time)."""
        if self._when_used_up is NEED_DATA:
            return NEED_DATA
        return self._end()

    def _skip_blank_lines(self) -> bool:
        """Read over empty lines before a request line (RFC 9112, 2.2); whether anything else is here."""
        buffer = self.buffer
        position = self._position
        while buffer.startswith(b"\r\n", position):
            if self._skipped == BLANK_LINES:
                raise HttpError(400, "There are too many empty lines before the request line.")
            self._skipped += 1
            position += 2
        self._consume(position)
        # A lone CR may be the beginning of one more.
        return bool(self.buffer) and (len(buffer) - position > 1 or buffer[position] != _CR)

    def _await_head(self) -> Event:
        """Check what is here of a head that is not finished, or that is too large."""
        end = min(len(self.buffer), self._position + self._limits.max_request_header_size + 1)
        self._check_unfinished(end)
        if self._when_used_up is NEED_DATA:
            return NEED_DATA
        return self._end()

    def _check_unfinished(self, end: int) -> None:
        """Refuse an unfinished head for its octets, its request line or its size; each octet is looked at once."""
        buffer, position = self.buffer, self._position
        part = buffer[position + self._scanned : end]
        awaiting_lf = part.endswith(b"\r")
        if len(part.translate(None, FIELD_OCTETS)) != 2 * part.count(b"\r\n") + awaiting_lf:
            raise octet_refusal(buffer[position:end])
        if not self._line_bytes:
            self._check_unfinished_line(end)
        if end - position > self._limits.max_request_header_size:
            raise HttpError(431, "The request head is larger than this server accepts.")
        self._scanned = end - position - awaiting_lf
        self._searched = max(0, end - position - 3)

    def _check_unfinished_line(self, end: int) -> None:
        """Refuse a request line before the head ends, and before the line itself ends if that is possible."""
        buffer, position = self.buffer, self._position
        line_end = buffer.find(b"\r\n", position + self._scanned, end)
        if line_end < 0:
            start = buffer[position : position + METHOD_BYTES + 1].decode("latin-1")
            # The CR of the line end may be here already.
            check_start_line(start, end - position - 1, self._limits)
        else:
            parse_start_line(buffer[position:line_end].decode("latin-1"), self._limits)
            self._line_bytes = line_end - position

    def take_body(self) -> bytes | bytearray | None:
        """Take a length-framed body that is here in whole, in place of its events; None if it is not, or has begun."""
        remaining, start, buffer = self._remaining, self._position, self.buffer
        end = start + remaining
        if not remaining or len(buffer) < end:
            return None
        if self.request is None or self.request.content_length != remaining:
            return None
        if self.reading is _HELD:
            self._move(_GO_ON)
        self.reading = _AFTER_BODY  # as above: there is something left of the body, so it is in BODY
        data = buffer[start:end]
        self._remaining = 0
        if end == len(buffer):  # as in _consume, whose call nearly every small body is spared
            self.buffer = b""
            self._position = 0
        else:
            self._consume(end)
        return data

    def go_on(self) -> None:
        """Expect the body: the client that held it back is told to send it."""
        self._move(_GO_ON)

    def _read_body(self) -> Event:
        """The next octets of the request body, or its end."""
        buffer = self.buffer
        position = self._position
        if buffer and self.reading is _HELD:
            self._move(_GO_ON)
        if self._decoder is not None:
            return self._read_chunked(self._decoder, buffer, position)
        remaining = self._remaining
        if not remaining:
            self._move(_END)
            return END_OF_BODY
        if not buffer:
            return self._await_body()
        data = buffer if not position and len(buffer) <= remaining else buffer[position : position + remaining]
        self._remaining = remaining - len(data)
        self._consume(position + len(data))
        self._move(_DATA)
        return Body(bytes(data))

    def _read_chunked(self, decoder: ChunkedDecoder, buffer: bytes | bytearray, position: int) -> Event:
        """All data that the buffer gives, in one event, or the end of the body."""
        try:
            data, position = decoder.decode(buffer, position)
        except HttpError:
            self._refuse(ReadEvent.BROKEN)
            raise
        self._consume(position)
        if data:
            self._move(_DATA)
            return Body(data)
        if decoder.phase is Phase.END:
            self._decoder = None
            self._move(_END)
            return END_OF_BODY
        return self._await_body()

    def _await_body(self) -> Event:
        """Wait for more of the body, unless the client ended in the middle of it (RFC 9112, 8)."""
        if self._when_used_up is NEED_DATA:
            return NEED_DATA
        self._refuse(ReadEvent.EOF)
        raise UnfinishedError(400, "The request body ended before it was complete.")

    def _consume(self, position: int) -> None:
        """Everything before `position` has been used."""
        if position == len(self.buffer):
            self.buffer = b""
            self._position = 0
        else:
            self._position = position
        self._scanned = self._searched = 0

    def succeed(self, request: Request) -> None:
        """Be where another reader is that has read this request to its end; before anything was fed."""
        self.request = request
        self._move(ReadEvent.WHOLE)

    def refuse_head(self) -> None:
        """Give up the request head at the position: it is not acceptable, or did not come in time."""
        self.request = None
        start = bytes(self.buffer[self._position : self._position + REFUSED_LINE_BYTES])
        self.refused_line = start.partition(b"\r\n")[0]
        self._refuse(ReadEvent.BROKEN)

    def _refuse(self, event: ReadEvent) -> None:
        """Look at nothing any more that the client sends (RFC 9112, 2.2)."""
        self._move(event)
        self._drop()

    def _end(self) -> Event:
        """Note that the client left between two requests, or in the middle of a head that will never be complete."""
        self._move(ReadEvent.EOF)
        self._drop()
        return CLOSED

    def close(self) -> None:
        """Read nothing any more; twice is harmless."""
        self._move(_CLOSE)
        self._drop()

    def _drop(self) -> None:
        """Forget what is not used yet."""
        self._decoder = None
        self._remaining = 0
        if self.buffer:  # which a client that asked for the end has nothing in
            self.dropped_bytes += self.buffered_bytes
            self._consume(len(self.buffer))

    def _move(self, event: ReadEvent) -> None:
        try:
            self.reading = READING_TRANSITIONS[self.reading, event]
        except KeyError:
            raise ProtocolMisuse(f"{event!r} while the request is {self.reading!r}") from None
