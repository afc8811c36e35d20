"""One HTTP/1.1 connection, server side: octets in, events out; response heads and data in, octets out.

Knows the order of requests and responses, when a connection stays open, and how a response is framed (RFC 9112).
Does not know sockets, threads or the time. The request half of it is in `waitressd.http.reader`.
"""

from collections.abc import Sequence
from typing import Final

from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import Request
from waitressd.http.framing import Framing
from waitressd.http.grammar import is_field_value
from waitressd.http.limits import Limits
from waitressd.http.reader import RequestReader
from waitressd.http.response import NO_CONTENT, ResponseHead, build_head, build_lines
from waitressd.http.states import READING_TRANSITIONS, SENDING_TRANSITIONS, Heard, Reading, Said, Sending

# Chunk data up to this size is copied into one piece with its framing; above, copying costs more than a longer list.
_JOINED_CHUNK_BYTES: Final = 16384

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# The members used for every response, as plain globals: looking one up in its class costs as much as a transition.
_HEARD_ALL, _HEARD_NEXT = Reading.DONE, Heard.NEXT
_WAIT, _READY, _BODY = Sending.WAIT, Sending.READY, Sending.BODY
_REQUEST, _HEAD, _WHOLE, _DATA, _END, _NEXT = Said.REQUEST, Said.HEAD, Said.WHOLE, Said.DATA, Said.END, Said.NEXT
# Where a request and a complete response lead, once they are seen to be what is asked for here.
_AFTER_REQUEST = SENDING_TRANSITIONS[_WAIT, _REQUEST]
_AFTER_WHOLE = SENDING_TRANSITIONS[_READY, _WHOLE]
_NEXT_READING, _NEXT_SENDING = READING_TRANSITIONS[_HEARD_ALL, _HEARD_NEXT], SENDING_TRANSITIONS[Sending.DONE, _NEXT]
_NONE, _LENGTH, _CHUNKED, _CLOSE = Framing.NONE, Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE


class Connection(RequestReader):
    """The HTTP state of one client, for as long as its connection lasts. Used by one thread at a time.

    Feed it what arrives, take events until NEED_DATA or PAUSED, and answer each request with either
    `encode_response`, or `encode_head`, `encode_data`... and `encode_end`, or `encode_error`. What these return is
    to be sent in that order. When request and response are done and nobody wants to close, it is ready for the next.
    """

    __slots__ = (
        "_awaiting_continue",
        "_draining",
        "_framing",
        "_ident",
        "_unsent",
        "body_bytes",
        "excess_bytes",
        "piece_bytes",
        "response_head",
        "sending",
        "truncated",
        "will_close",
    )

    def __init__(self, limits: Limits, ident: str) -> None:
        """`ident` is the value of the Server field, '' for none."""
        super().__init__(limits)
        if not is_field_value(ident):
            raise ValueError("The server's ident has a control or a character beyond latin-1.")
        self._ident = f"Server: {ident}\r\n" if ident else ""
        self.sending = Sending.WAIT
        self._awaiting_continue = False
        self._draining = False
        self._framing = Framing.NONE
        self._unsent = 0
        self.will_close = False
        """The connection closes after the current response; final once the response head is encoded."""
        self.truncated = False
        """A response ended before it was complete: the client must see the connection break."""
        self.response_head: ResponseHead | None = None
        """The last final head that was encoded; whoever has read it may set it to None."""
        self.body_bytes = 0
        """Octets of its body that were encoded, without any coding around them."""
        self.piece_bytes = 0
        """Those of the last step."""
        self.excess_bytes = 0
        """Octets beyond the Content-Length of the current response, which were not sent."""

    @property
    def awaiting_continue(self) -> bool:
        """The client holds its body back until it is told to go on (RFC 9110, 10.1.1), and has not been told."""
        return self._awaiting_continue and not self._body_begun and not self._buffer and self.sending is _READY

    @property
    def response_started(self) -> bool:
        """The final head of the current response has been encoded: no other may follow for this request."""
        sending = self.sending
        return sending is not _READY and (sending is not _WAIT or self.request is not None)

    @property
    def response_done(self) -> bool:
        """No response is owed: the last one was encoded to its end, or was never asked for."""
        sending = self.sending
        return sending is not _READY and sending is not _BODY and not self.truncated

    @property
    def body_allowed(self) -> bool:
        """Data given to `encode_data` now will reach the client."""
        return self.sending is _BODY and self._framing is not _NONE

    @property
    def ends_with_connection(self) -> bool:
        """The current response has no other end than that of the connection, so that a FIN makes it look complete."""
        return self._framing is _CLOSE

    @property
    def is_chunked(self) -> bool:
        """The current response is framed by the chunked coding, so that a file cannot be sent as it is."""
        return self._framing is _CHUNKED

    @property
    def missing_bytes(self) -> int:
        """Octets that the current response still lacks for its Content-Length."""
        return self._unsent if self._framing is _LENGTH else 0

    # -- the response side --

    def encode_continue(self) -> bytes:
        """`100 Continue`, once, to a client that asked for it (RFC 9110, 10.1.1).

        Needed while `awaiting_continue`, and allowed as long as nothing of the body was read.
        """
        if not self._awaiting_continue or self._body_begun or self.sending is not _READY:
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
        if self.sending is _READY:
            self.sending = _AFTER_WHOLE
        else:
            self._say(_WHOLE)
        self.response_head = head
        self.body_bytes = self.piece_bytes = length
        self._framing = _NONE
        known = head.known
        ident = self._ident
        # The same head was sent within this second with a body of this length, and nothing about the connection asks
        # for another: its octets are the same (a tenth of the Python of a small request, measured).
        if (
            known is not None
            and known[0] is date
            and known[1] == length
            and known[2] == ident
            and not (self.will_close or self._draining)
            and self.reading is _HEARD_ALL
            and self.request is not None
            and self.request.version == "HTTP/1.1"
        ):
            self.excess_bytes = 0
            self.reading, self.sending = _NEXT_READING, _NEXT_SENDING
            return known[3] + body
        framing = f"Content-Length: {length}\r\n" if declared is None else ""
        octets = self._encode_fields(head, framing, date).encode("latin-1")
        if not self.will_close and self.request is not None and self.request.version == "HTTP/1.1":
            head.known = (date, length, ident, octets)
        self._finish()
        return octets + body

    def _encode_unusual(self, head: ResponseHead, body: bytes, date: str) -> bytes:
        """A whole response without a body, or with one of another length than declared."""
        parts = [self.encode_head(head, date, len(body) or None)]
        parts += self.encode_data(body)
        parts.append(self.encode_end())
        return b"".join(parts)

    def encode_head(self, head: ResponseHead, date: str, body_length: int | None = None) -> bytes:
        """The head of a response; `body_length` is the length of its body where it is known though not declared."""
        self._say(_HEAD)
        self.response_head = head
        self.body_bytes = self.piece_bytes = 0
        self._framing, self._unsent, line = self._frame(head, body_length)
        self.will_close = self.will_close or self._framing is _CLOSE
        return self._encode_fields(head, line, date).encode("latin-1")

    def _frame(self, head: ResponseHead, length: int | None) -> tuple[Framing, int, str]:
        """How the response is framed, its length, and the field that says so (RFC 9112, 6; RFC 9110, 8.6)."""
        declared = head.content_length
        if head.code in NO_CONTENT:
            return _NONE, 0, "Content-Length: 0\r\n" if head.code == 205 else ""
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
        self._say(_DATA)
        framing = self._framing
        if framing is not _CHUNKED:
            allowed = self._account(len(data))
            if allowed < len(data):
                data = data[:allowed]
            return [data] if data else []
        self._count(len(data))
        if not data:
            return []  # an empty chunk would be the last one
        if len(data) <= _JOINED_CHUNK_BYTES:
            return [b"%x\r\n%b\r\n" % (len(data), data)]
        return [b"%x\r\n" % len(data), data, b"\r\n"]

    def account_file(self, count: int) -> int:
        """How many of `count` octets may be sent without any coding around them; they count as sent."""
        self._say(_DATA)
        if self._framing is _CHUNKED:
            raise ProtocolMisuse("a chunked body cannot be sent as it is")
        return self._account(count)

    def _account(self, count: int) -> int:
        """How many of `count` octets fit into what is left of the declared length."""
        allowed = 0
        if self._framing is _CLOSE:
            allowed = count
        elif self._framing is _LENGTH:
            allowed = min(count, self._unsent)
            self._unsent -= allowed
            self.excess_bytes += count - allowed
        self._count(allowed)
        return allowed

    def _count(self, count: int) -> None:
        self.piece_bytes = count
        self.body_bytes += count

    def encode_end(self) -> bytes:
        """What ends the body. If it is too short, the connection is closed and `truncated`: break it off."""
        self._say(_END)
        if self.missing_bytes:
            self._close()
            self.truncated = True
            return b""
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
        fields = [("Content-Type", "text/plain; charset=utf-8"), *error.fields, ("Connection", "close")]
        head = build_head(f"{error.status} {error.reason}", fields)
        return self.encode_response(head, content, date)

    def forbid_keep_alive(self) -> None:
        """From the next response head on, say `Connection: close` and mean it; the server is stopping."""
        self._draining = True

    def close(self) -> None:
        """The connection is lost or given up; twice is harmless. A response in the making stays undone."""
        if self.sending is _READY or self.sending is _BODY:
            self.truncated = True
        self._close()

    # -- moves --

    def _on_request(self, request: Request) -> None:
        self.will_close = not request.keep_alive
        self._awaiting_continue = request.expects_continue
        if self.sending is _WAIT:
            self.sending = _AFTER_REQUEST
        else:
            self._say(_REQUEST)

    def _on_refusal(self) -> None:
        self.will_close = True
        self._say(Said.REFUSED)

    def _on_end(self) -> None:
        self.will_close = True
        self._say(Said.CLOSE)

    def _finish(self) -> None:
        """End a response: the next request may come, or the connection closes (RFC 9112, 9.3)."""
        if self.reading is _HEARD_ALL and not self.will_close:
            self.reading, self.sending = _NEXT_READING, _NEXT_SENDING
        else:
            self._close()

    def _close(self) -> None:
        self._hear(Heard.CLOSE)
        self._drop()
        self._on_end()

    def _say(self, event: Said) -> None:
        """Move the response side."""
        try:
            self.sending = SENDING_TRANSITIONS[self.sending, event]
        except KeyError:
            raise ProtocolMisuse(f"{event!r} while the response is {self.sending!r}") from None
