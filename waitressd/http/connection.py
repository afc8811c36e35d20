"""One HTTP/1.1 connection, server side: octets in, events out; response heads and data in, octets out.

Knows the order of requests and responses, when a connection stays open, and how a response is framed (RFC 9112).
Does not know sockets, threads or the time. A connection is used by one thread at a time, whoever owns its channel.
"""

from collections.abc import Sequence
from typing import Final

from waitressd.http.body import ChunkedDecoder, Phase
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, PAUSED, Body, Event, Request
from waitressd.http.framing import Framing
from waitressd.http.grammar import FIELD_OCTETS, is_field_value
from waitressd.http.head import check_start_line, octet_refusal, parse_head, parse_start_line
from waitressd.http.limits import BLANK_LINES, METHOD_BYTES, Limits
from waitressd.http.response import NO_CONTENT, ResponseHead, build_head, build_lines
from waitressd.http.states import READING_TRANSITIONS, SENDING_TRANSITIONS, Heard, Reading, Said, Sending

# Chunk data up to this size is copied into one piece with its framing; above, copying costs more than a longer list.
_JOINED_CHUNK_BYTES: Final = 16384
# Octets in front of an unfinished message that may lie around before the buffer is cut.
_SLACK_BYTES: Final = 65536

_CR: Final = 13
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# The members used for every request, as plain globals: looking one up in its class costs as much as a transition.
_IDLE, _READING_BODY, _HEARD_ALL, _BROKEN = Reading.IDLE, Reading.BODY, Reading.DONE, Reading.ERROR
_WAIT, _READY, _SENDING_BODY, _SAID_ALL = Sending.WAIT, Sending.READY, Sending.BODY, Sending.DONE
_HEARD_HEAD, _HEARD_WHOLE, _HEARD_DATA, _HEARD_NEXT = Heard.HEAD, Heard.WHOLE, Heard.DATA, Heard.NEXT
_SAID_REQUEST, _SAID_HEAD, _SAID_WHOLE, _SAID_DATA, _SAID_NEXT = (
    Said.REQUEST,
    Said.HEAD,
    Said.WHOLE,
    Said.DATA,
    Said.NEXT,
)
_NONE, _LENGTH, _CHUNKED, _CLOSE = Framing.NONE, Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE


class Connection:
    """The HTTP state of one client, for as long as its connection lasts.

    Feed it what arrives, take events until NEED_DATA or PAUSED, and answer each request with either
    `encode_response`, or `encode_head`, `encode_data`... and `encode_end`, or `encode_error`. It holds at most one
    unfinished head or line plus what was fed last, if nothing is fed after PAUSED.
    """

    __slots__ = (
        "_awaiting_continue",
        "_buffer",
        "_decoder",
        "_draining",
        "_eof",
        "_framing",
        "_ident",
        "_limits",
        "_line_checked",
        "_position",
        "_remaining",
        "_scanned",
        "_searched",
        "_skipped",
        "_to_head_request",
        "_unsent",
        "excess_bytes",
        "reading",
        "request",
        "sending",
        "truncated",
        "will_close",
    )

    def __init__(self, limits: Limits, ident: str) -> None:
        """`ident` is the value of the Server field, '' for none."""
        if not is_field_value(ident):
            raise ValueError("The server's ident has a control or a character beyond latin-1.")
        self._limits = limits
        self._ident = f"Server: {ident}\r\n" if ident else ""
        self.reading = Reading.IDLE
        self.sending = Sending.WAIT
        # What was fed and not used yet begins at `_position`; once used up, the buffer is empty and the position 0.
        self._buffer: bytes | bytearray = b""
        self._position = 0
        # Octets behind the position in which the end of the head need not be looked for again, and those that were
        # found to be good ones.
        self._searched = 0
        self._scanned = 0
        # Whether the request line of the unfinished head has been parsed; blank lines seen before it.
        self._line_checked = False
        self._skipped = 0
        self._eof = False
        # Octets of a length-framed request body that are still to come; the decoder of a chunked one.
        self._remaining = 0
        self._decoder: ChunkedDecoder | None = None
        self._awaiting_continue = False
        self._to_head_request = False
        self._draining = False
        self._framing = Framing.NONE
        self._unsent = 0
        self.request: Request | None = None
        """The current request, or the last one; None before the first and after a head that was refused."""
        self.will_close = False
        """The connection closes after the current response; final once the response head is encoded."""
        self.truncated = False
        """A response ended before its Content-Length: the client must see the connection break."""
        self.excess_bytes = 0
        """Octets beyond the Content-Length of the current response, which were not sent."""

    # -- what can be asked --

    @property
    def body_remaining(self) -> int:
        """Octets of a length-framed request body that have not been fed yet, 0 for any other body."""
        return max(0, self._remaining - len(self._buffer) + self._position)

    @property
    def has_buffered(self) -> bool:
        """Octets were fed that no event has taken up yet."""
        return bool(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """How many octets were fed that no event has taken up yet."""
        return len(self._buffer) - self._position

    @property
    def request_started(self) -> bool:
        """A part of the next request head has arrived."""
        return self.reading is _IDLE and bool(self._buffer)

    @property
    def awaiting_continue(self) -> bool:
        """The client holds its body back until it is told to go on (RFC 9110, 10.1.1), and has not been told."""
        return self._awaiting_continue and not self._buffer and self.sending is _READY

    @property
    def response_started(self) -> bool:
        """The final head of the current response has been encoded: no other may follow for this request."""
        sending = self.sending
        return sending is not _READY and (sending is not _WAIT or self.request is not None)

    @property
    def response_done(self) -> bool:
        """No response is owed: the last one was encoded to its end, or was never asked for."""
        sending = self.sending
        return sending is not _READY and sending is not _SENDING_BODY and not self.truncated

    @property
    def body_allowed(self) -> bool:
        """Data given to `encode_data` now will reach the client."""
        return self.sending is _SENDING_BODY and self._framing is not _NONE

    @property
    def is_chunked(self) -> bool:
        """The current response is framed by the chunked coding, so that a file cannot be sent as it is."""
        return self._framing is _CHUNKED

    @property
    def missing_bytes(self) -> int:
        """Octets that the current response still lacks for its Content-Length."""
        return self._unsent if self._framing is _LENGTH else 0

    # -- the request side --

    def feed(self, data: bytes) -> None:
        """Take octets that the client sent. Once the connection can give no further request they are dropped."""
        if self.reading >= _BROKEN:
            return
        if not self._buffer:
            self._buffer = data
            return
        buffer = self._buffer
        position = self._position
        if isinstance(buffer, bytes):
            self._buffer = buffer = bytearray(buffer)
        if position > _SLACK_BYTES and 2 * position > len(buffer):
            # At most as much is moved as was used since the last time: linear, also where deleting moves memory.
            del buffer[:position]
            self._position = 0
        buffer += data

    def feed_eof(self) -> None:
        """Note that the client will send no more. What it sent before is still served (RFC 9112, 9.6)."""
        self._eof = True

    def next_event(self) -> Event:
        """The next part of what the client says.

        Raises HttpError once when the client breaks a rule or ends in mid-body; what was fed after that is dropped
        and every later call says CLOSED. A head that the client leaves unfinished just closes the connection.
        """
        reading = self.reading
        if reading is _IDLE:
            return self._read_head()
        if reading is _READING_BODY:
            return self._read_body()
        return PAUSED if reading is _HEARD_ALL else CLOSED

    def _read_head(self) -> Event:
        """Find the end of the next head, and parse it."""
        buffer = self._buffer
        if not buffer:
            return self._await_first_octet()
        position = self._position
        try:
            if buffer[position] == _CR and not self._skip_blank_lines():
                return self._await_first_octet()
            position = self._position
            end = buffer.find(b"\r\n\r\n", position + self._searched)
            head_bytes = end + 4 - position
            if end < 0 or head_bytes > self._limits.head_bytes:
                return self._await_head()
            request = parse_head(buffer[position:end], self._limits)
        except HttpError:
            self._refuse_head()
            raise
        self._accept(request, end + 4, head_bytes)
        return request

    def _accept(self, request: Request, position: int, head_bytes: int) -> None:
        """Begin a request whose head ends at `position`."""
        self.request = request
        self._to_head_request = request.method == "HEAD"
        self.will_close = not request.keep_alive
        self._consume(position)
        self._skipped = 0
        self._line_checked = False
        if request.complete:
            self._hear(_HEARD_WHOLE)
        else:
            self._hear(_HEARD_HEAD)
            self._awaiting_continue = request.expects_continue
            if request.content_length is None:
                self._decoder = ChunkedDecoder(self._limits, head_bytes)
            else:
                self._remaining = request.content_length
        self._say(_SAID_REQUEST)

    def _await_first_octet(self) -> Event:
        """Nothing of a head is here (RFC 9112, 9.5: a client may close between requests at any time)."""
        if not self._eof:
            return NEED_DATA
        self._close(Heard.EOF)
        return CLOSED

    def _skip_blank_lines(self) -> bool:
        """Read over empty lines before a request line (RFC 9112, 2.2); whether anything else is here."""
        buffer = self._buffer
        position = self._position
        while buffer.startswith(b"\r\n", position):
            if self._skipped == BLANK_LINES:
                raise HttpError(400, "There are too many empty lines before the request line.")
            self._skipped += 1
            position += 2
        self._consume(position)
        # A lone CR may be the beginning of one more.
        return bool(self._buffer) and (len(buffer) - position > 1 or buffer[position] != _CR)

    def _await_head(self) -> Event:
        """Check what is here of a head that is not finished, or that is too large."""
        end = min(len(self._buffer), self._position + self._limits.head_bytes + 1)
        self._check_unfinished(end)
        if not self._eof:
            return NEED_DATA
        self._close(Heard.EOF)
        return CLOSED

    def _check_unfinished(self, end: int) -> None:
        """Refuse an unfinished head for its octets, its request line or its size; each octet is looked at once."""
        buffer, position = self._buffer, self._position
        part = buffer[position + self._scanned : end]
        awaiting_lf = part.endswith(b"\r")
        if len(part.translate(None, FIELD_OCTETS)) != 2 * part.count(b"\r\n") + awaiting_lf:
            raise octet_refusal()
        if not self._line_checked:
            self._check_unfinished_line(end)
        if end - position > self._limits.head_bytes:
            raise HttpError(431, "The request head is larger than this server accepts.")
        self._scanned = end - position - awaiting_lf
        self._searched = max(0, end - position - 3)

    def _check_unfinished_line(self, end: int) -> None:
        """Refuse a request line before the head ends, and before the line itself ends if that is possible."""
        buffer, position = self._buffer, self._position
        line_end = buffer.find(b"\r\n", position + self._scanned, end)
        if line_end < 0:
            start = buffer[position : position + METHOD_BYTES + 1].decode("latin-1")
            # The CR of the line end may be here already.
            check_start_line(start, end - position - 1, self._limits)
        else:
            parse_start_line(buffer[position:line_end].decode("latin-1"), self._limits)
            self._line_checked = True

    def _read_body(self) -> Event:
        """The next octets of the request body, or its end."""
        buffer = self._buffer
        position = self._position
        if self._decoder is not None:
            return self._read_chunked(self._decoder, buffer, position)
        remaining = self._remaining
        if not remaining:
            self._hear(Heard.END)
            return END_OF_BODY
        if not buffer:
            return self._await_body()
        data = buffer if not position and len(buffer) <= remaining else buffer[position : position + remaining]
        self._remaining = remaining - len(data)
        self._consume(position + len(data))
        self._hear(_HEARD_DATA)
        return Body(bytes(data))

    def _read_chunked(self, decoder: ChunkedDecoder, buffer: bytes | bytearray, position: int) -> Event:
        """All data that the buffer gives, in one event, or the end of the body."""
        try:
            data, position = decoder.decode(buffer, position)
        except HttpError:
            self._refuse(Heard.BROKEN)
            raise
        self._consume(position)
        if data:
            self._hear(_HEARD_DATA)
            return Body(data)
        if decoder.phase is Phase.END:
            self._decoder = None
            self._hear(Heard.END)
            return END_OF_BODY
        return self._await_body()

    def _await_body(self) -> Event:
        """Wait for more of the body, unless the client ended in the middle of it (RFC 9112, 8)."""
        if not self._eof:
            return NEED_DATA
        self._refuse(Heard.EOF)
        raise HttpError(400, "The request body ended before it was complete.")

    def _consume(self, position: int) -> None:
        """Everything before `position` has been used."""
        if position == len(self._buffer):
            self._buffer = b""
            self._position = 0
        else:
            self._position = position
        self._scanned = 0
        self._searched = 0

    def _refuse_head(self) -> None:
        """The request head at the position is not acceptable."""
        self.request = None
        # What can be told of the method, so that a refused HEAD gets no content either.
        self._to_head_request = self._buffer.startswith(b"HEAD ", self._position)
        self._refuse(Heard.BROKEN)

    def _refuse(self, event: Heard) -> None:
        """Nothing that the client sends is looked at any more (RFC 9112, 2.2); an error answer may be sent."""
        self._hear(event)
        self._say(Said.REFUSED)
        self._drop()

    def _drop(self) -> None:
        self.will_close = True
        self._decoder = None
        self._remaining = 0
        self._consume(len(self._buffer))

    # -- the response side --

    def encode_continue(self) -> bytes:
        """`100 Continue`, once, while `awaiting_continue` (RFC 9110, 10.1.1)."""
        if not self._awaiting_continue:
            raise ProtocolMisuse("100 Continue is not awaited")
        self._say(Said.INTERIM)
        self._awaiting_continue = False
        return _CONTINUE

    def encode_early_hints(self, fields: Sequence[tuple[str, str]]) -> bytes:
        """`103 Early Hints` (RFC 8297), nothing for an HTTP/1.0 client, which knows no interim responses.

        Raises ResponseError for a field that cannot be sent.
        """
        lines = build_lines(fields)
        self._say(Said.INTERIM)
        if not lines or self.request is None or self.request.version == "HTTP/1.0":
            return b""
        return f"HTTP/1.1 103 Early Hints\r\n{lines}\r\n".encode("latin-1")

    def encode_response(self, head: ResponseHead, body: bytes, date: str) -> bytes:
        """A whole response in one go; `body` is hidden where the request or the status allows none.

        A body longer than the declared length is cut, one that is shorter leaves the connection `truncated`.
        """
        length = len(body)
        declared = head.content_length
        if self._to_head_request or head.code in NO_CONTENT or (declared is not None and declared != length):
            return self._encode_unusual(head, body, date)
        framing = f"Content-Length: {length}\r\n" if declared is None else ""
        text = self._encode_fields(head, framing, date)
        self._framing = _NONE
        self._say(_SAID_WHOLE)
        self._finish()
        return text.encode("latin-1") + body

    def _encode_unusual(self, head: ResponseHead, body: bytes, date: str) -> bytes:
        """A whole response without a body, or with one of another length than declared."""
        parts = [self.encode_head(head, date, len(body) or None)]
        parts += self.encode_data(body)
        parts.append(self.encode_end())
        return b"".join(parts)

    def encode_head(self, head: ResponseHead, date: str, body_length: int | None = None) -> bytes:
        """The head of a response; `body_length` is the length of its body where it is known though not declared."""
        self._framing, self._unsent, line = self._frame(head, body_length)
        self.will_close = self.will_close or self._framing is _CLOSE
        text = self._encode_fields(head, line, date)
        self._say(_SAID_HEAD)
        return text.encode("latin-1")

    def _frame(self, head: ResponseHead, length: int | None) -> tuple[Framing, int, str]:
        """How the response is framed, its length, and the field that says so (RFC 9112, 6; RFC 9110, 8.6)."""
        declared = head.content_length
        if head.code in NO_CONTENT:
            return _NONE, 0, "Content-Length: 0\r\n" if head.code == 205 else ""  # noqa: PLR2004
        line = "" if declared is not None or length is None else f"Content-Length: {length}\r\n"
        if self._to_head_request:
            # The length that a GET would have, if it is known. The transfer coding is not announced, as clients
            # exist that wait for the last chunk (RFC 9112, 6.1 makes it optional).
            return _NONE, 0, line
        if declared is not None:
            return _LENGTH, declared, ""
        if length is not None:
            return _LENGTH, length, line
        if self.request is not None and self.request.version == "HTTP/1.0":
            return _CLOSE, 0, ""
        return _CHUNKED, 0, "Transfer-Encoding: chunked\r\n"

    def _encode_fields(self, head: ResponseHead, framing: str, date: str) -> str:
        """All of a final head, with the fields that are the server's (RFC 9110, 6.6.1; RFC 9112, 9.3 and 9.6)."""
        connection = ""
        # A request body that was not read to its end stands where the next request would begin.
        if self.will_close or self._draining or head.asks_close or self.reading is not _HEARD_ALL:
            self.will_close = True
            connection = "Connection: close\r\n"
        elif self.request is not None and self.request.version == "HTTP/1.0":
            connection = "Connection: keep-alive\r\n"
        self.excess_bytes = 0
        date_line = "" if head.has_date else f"Date: {date}\r\n"
        server = "" if head.has_server else self._ident
        return f"{head.start}{head.lines}{framing}{date_line}{server}{connection}\r\n"

    def encode_data(self, data: bytes) -> list[bytes]:
        """The pieces to send, in order, for some octets of the body; none where no body may be sent.

        What exceeds the Content-Length is cut off and counted in `excess_bytes`.
        """
        self._say(_SAID_DATA)
        framing = self._framing
        if framing is _CHUNKED:
            if not data:
                return []  # an empty chunk would be the last one
            if len(data) <= _JOINED_CHUNK_BYTES:
                return [b"%x\r\n%b\r\n" % (len(data), data)]
            return [b"%x\r\n" % len(data), data, b"\r\n"]
        if framing is not _CLOSE:
            allowed = self._account(len(data))
            if allowed < len(data):
                data = data[:allowed]
        return [data] if data else []

    def account_file(self, count: int) -> int:
        """How many of `count` octets may be sent without any coding around them; they count as sent."""
        self._say(_SAID_DATA)
        if self._framing is _CHUNKED:
            raise ProtocolMisuse("a chunked body cannot be sent as it is")
        return count if self._framing is _CLOSE else self._account(count)

    def _account(self, count: int) -> int:
        """How many of `count` octets fit into what is left of the declared length."""
        if self._framing is _NONE:
            return 0
        allowed = min(count, self._unsent)
        self._unsent -= allowed
        self.excess_bytes += count - allowed
        return allowed

    def encode_end(self) -> bytes:
        """What ends the body. If it is too short, the connection is closed and `truncated`: break it off."""
        if self.missing_bytes:
            self._close(Heard.CLOSE)
            self.truncated = True
            return b""
        self._say(Said.END)
        self._finish()
        return b"0\r\n\r\n" if self._framing is _CHUNKED else b""

    def encode_error(self, error: HttpError, date: str, body: str | None = None) -> bytes:
        """The whole answer to a request that is refused; `body` replaces the text about the error.

        May stand in for a response that has not begun, or come unasked, as when a client is too slow (408).
        """
        if self.sending is _WAIT:
            self._refuse_head()
        text = f"{error.status} {error.reason}\n\n{error.detail}\n" if body is None else body
        content = text.encode("utf-8", "backslashreplace")
        head = build_head(f"{error.status} {error.reason}", [("Content-Type", "text/plain; charset=utf-8"), *error.fields])
        head.asks_close = True
        return self.encode_response(head, content, date)

    def forbid_keep_alive(self) -> None:
        """From the next response head on, say `Connection: close` and mean it; the server is stopping."""
        self._draining = True

    def close(self) -> None:
        """The connection is lost or given up; twice is harmless. A response in the making stays undone."""
        if self.sending is _READY or self.sending is _SENDING_BODY:
            self.truncated = True
        self._close(Heard.CLOSE)

    # -- moves --

    def _finish(self) -> None:
        """The response is done: begin anew, or end (RFC 9112, 9.3)."""
        self._awaiting_continue = False
        if self.reading is _HEARD_ALL and not self.will_close:
            self._hear(_HEARD_NEXT)
            self._say(_SAID_NEXT)
        else:
            self._close(Heard.CLOSE)

    def _close(self, event: Heard) -> None:
        self._hear(event)
        self._say(Said.CLOSE)
        self._drop()

    def _hear(self, event: Heard) -> None:
        """Move the request side."""
        try:
            self.reading = READING_TRANSITIONS[self.reading, event]
        except KeyError:
            raise ProtocolMisuse(f"{event!r} while the request is {self.reading!r}") from None

    def _say(self, event: Said) -> None:
        """Move the response side."""
        try:
            self.sending = SENDING_TRANSITIONS[self.sending, event]
        except KeyError:
            raise ProtocolMisuse(f"{event!r} while the response is {self.sending!r}") from None
