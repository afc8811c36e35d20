"""The response side of a connection: response heads and data in, octets out (RFC 9112, sections 4, 6 and 7).

Decides how a response is framed, whether it has content, and whether the connection stays open after it. Knows the
reader whose requests it answers: what was asked, and whether the request is here in whole; when a response has ended it
lets the reader go on.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from typing import Any, Final

from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import Request
from waitressd.http.framing import Framing
from waitressd.http.grammar import is_field_value
from waitressd.http.reader import RequestReader
from waitressd.http.recent import Answer, Recent
from waitressd.http.response import NO_CONTENT, ResponseHead, build_head, build_lines
from waitressd.http.states import (
    PERSISTENCE_TRANSITIONS,
    READING_TRANSITIONS,
    SENDING_TRANSITIONS,
    Persistence,
    PersistenceEvent,
    ReadEvent,
    Reading,
    SendEvent,
    Sending,
)

# Chunk data up to this size is copied into one piece with its framing; above, copying costs more than a longer list.
_JOINED_CHUNK_BYTES: Final = 16384

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# The members used for every response, as plain globals: looking one up in its class costs as much as a transition.
_READ: Final = Reading.DONE
_WAIT, _READY, _BODY, _BROKEN = Sending.WAIT, Sending.READY, Sending.BODY, Sending.BROKEN
_HEAD, _WHOLE, _DATA, _END = SendEvent.HEAD, SendEvent.WHOLE, SendEvent.DATA, SendEvent.END
_ENDED: Final = SendEvent.CLOSE
_KEPT, _LAST = Persistence.KEPT, Persistence.LAST
# Where a request and a complete response lead, once they are seen to be what is asked for here.
_AFTER_REQUEST = SENDING_TRANSITIONS[_WAIT, SendEvent.REQUEST]
_AFTER_WHOLE = SENDING_TRANSITIONS[_READY, _WHOLE]
_NEXT_READING = READING_TRANSITIONS[_READ, ReadEvent.NEXT]
_NEXT_SENDING = SENDING_TRANSITIONS[_AFTER_WHOLE, SendEvent.NEXT]
_TUPLES: Final = frozenset({tuple})
_TEXTS: Final = frozenset({str})
_NONE, _LENGTH, _CHUNKED, _CLOSE = Framing.NONE, Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE


@cache  # one text for all connections: 80 bytes less for each of them
def _server_line(ident: str) -> str:
    """The field line that names the server, nothing for ''. Raises ValueError: it cannot be sent."""
    if not is_field_value(ident):
        raise ValueError("The server's ident has a control or a character beyond latin-1.")
    return f"Server: {ident}\r\n" if ident else ""


# The end of a head to which the server adds nothing but its date and its name, with both as they were last. Shared by
# all threads, so it is replaced as a whole. Making it anew each time takes a twentieth of the server's part of a
# short response.
_latest_end: tuple[str, str, bytes] = ("", "", b"")


def _learn_end(date: str, server: str) -> tuple[str, str, bytes]:
    global _latest_end  # noqa: PLW0603  # a memo of one value, see above
    known = _latest_end = (date, server, f"Date: {date}\r\n{server}\r\n".encode("latin-1"))
    return known


def _is_plain(fields: list[tuple[str, str]]) -> bool:
    """Whether they are pairs of texts as Python has them, of no class of the application's."""
    return _TUPLES.issuperset(map(type, fields)) and _TEXTS.issuperset(map(type, chain.from_iterable(fields)))


class ResponseEncoder:
    """What one client is told. Used by one thread at a time: by the one that answers, while a request is answered.

    Each request is answered with either `encode_response`, or `encode_head`, `encode_data`... and `encode_end`, or
    `encode_error`. What these return is to be sent in that order.
    """

    __slots__ = (
        "_framing",
        "_ident",
        "_known",
        "_reader",
        "_recent",
        "_size_line",
        "_unsent",
        "body_bytes",
        "persistence",
        "piece_bytes",
        "response_head",
        "sending",
        "surplus_bytes",
    )

    def __init__(self, reader: RequestReader, ident: str, recent: Recent | None = None) -> None:
        """`ident` is the value of the Server field, '' for none. Raises ValueError: it cannot be sent.

        With `recent`, what it knows of earlier connections is used, and learns from this one.
        """
        self._recent = recent
        self._ident = _server_line(ident)
        self._reader = reader
        self._framing = _NONE
        self._size_line = b""  # of a chunk of `piece_bytes`
        self._unsent = 0  # octets that a body with a length still lacks
        # What the application said first, and the head that was made of it; () when it has said something else since.
        self._known: Answer | tuple[()] | None = None
        self.sending = _WAIT
        self.persistence = _KEPT
        """What follows the current response."""
        self.surplus_bytes = 0
        """By how much the body of the current response exceeds its Content-Length, below 0 by how much it fell short.

        What exceeds it is not sent; what it lacks is known at the end.
        """
        self.response_head: ResponseHead | None = None
        """The final head of the current response, or of the last one; None before it is encoded."""
        self.body_bytes = 0
        """Octets of the current response's body that were given out, without any coding around them."""
        self.piece_bytes = 0
        """Those of them that the last call gave out."""

    @property
    def response_done(self) -> bool:
        """No response is owed: the last one was encoded to its end, or was never asked for."""
        sending = self.sending
        return sending is not _READY and sending is not _BODY and sending is not _BROKEN

    @property
    def is_satisfied(self) -> bool:
        """All that the head has promised was given out; if it promised no length, only `encode_end` can tell."""
        return self._framing is _NONE or (self._framing is _LENGTH and not self._unsent)

    @property
    def ends_with_connection(self) -> bool:
        """The current response has no other end than that of the connection, so that a FIN makes it look complete."""
        return self._framing is _CLOSE

    def allows_content(self, head: ResponseHead) -> bool:
        """Whether a response with this head has a body (RFC 9110, 6.4.1): not to HEAD, nor with 204, 205 and 304."""
        request = self._reader.request
        return head.code not in NO_CONTENT and request is not None and request.method != "HEAD"

    def _is_to_head(self) -> bool:
        # A refused head is not known, but what can be told of its method is: HEAD gets no content either.
        request = self._reader.request
        return request.method == "HEAD" if request is not None else self._reader.refused_line.startswith(b"HEAD ")

    # -- what a response consists of --

    def build_head(self, status: str, fields: Iterable[tuple[str, str]]) -> ResponseHead:
        """The head of a final response from the arguments of `start_response`. Raises ResponseError.

        Who asks the same again is mostly answered the same, and to see that takes a tenth of building the head. Where
        an answer differs from the first one it is not tried again: to be wrong each time would cost more than it saves.
        """
        known = self._known
        if known:
            if known[1] == fields and known[0] == status:
                return known[2]
            self._known = ()
        elif known is None:
            return self._build_first_head(status, fields)
        return build_head(status, fields)

    def _build_first_head(self, status: str, fields: Iterable[tuple[str, str]]) -> ResponseHead:
        # A pair that is no tuple may be changed by the application, and would still be the same one. A text of a class
        # of its own may be equal to another client's without being the same.
        if not (type(fields) is list and type(status) is str and _is_plain(fields)):
            self._known = ()
            return build_head(status, fields)
        recent = self._recent
        answer = recent.answer if recent is not None else None
        if answer is None or answer[1] != fields or answer[0] != status:
            answer = status, fields.copy(), build_head(status, fields)
            if recent is not None:
                recent.answer = answer
        self._known = answer
        return answer[2]

    def forget(self) -> None:
        """Give up what is only kept to be fast; for a connection that rests."""
        self._known = self.response_head = None

    def encode_continue(self) -> bytes:
        """`100 Continue`; the connection knows whether it is awaited."""
        self._move(SendEvent.INTERIM)
        return _CONTINUE

    def encode_early_hints(self, fields: Iterable[tuple[str, str]]) -> bytes:
        """`103 Early Hints` (RFC 8297), nothing for an HTTP/1.0 client, which knows no interim responses.

        Raises ResponseError for a field that cannot be sent.
        """
        lines = build_lines(fields)
        self._move(SendEvent.INTERIM)
        request = self._reader.request
        if not lines or request is None or request.version == "HTTP/1.0":
            return b""
        return f"HTTP/1.1 103 Early Hints\r\n{lines}\r\n".encode("latin-1")

    def encode_response(self, head: ResponseHead, body: bytes, date: str) -> bytes:
        """A whole response in one go; `body` is hidden where the request or the status allows none.

        A body longer than the declared length is cut, one that is shorter leaves the response BROKEN; see
        `surplus_bytes`.
        """
        reader = self._reader
        request = reader.request
        length = len(body)
        declared = head.content_length
        if (
            not head.is_usual
            or request is None
            or request.method == "HEAD"
            or (declared is not None and declared != length)
        ):
            return self._encode_unusual(head, body, date)
        if self.sending is not _READY:
            self._move(_WHOLE)
        self._framing = _NONE
        self.surplus_bytes = 0
        self.response_head = head
        self.body_bytes = self.piece_bytes = length
        if self.persistence is _KEPT and reader.reading is _READ and request.version == "HTTP/1.1":
            known = _latest_end
            if known[0] != date or known[1] != self._ident:
                known = _learn_end(date, self._ident)
            end = known[2]
            reader.reading, self.sending = _NEXT_READING, _NEXT_SENDING
        else:
            end = self._encode_end_of_head(head, date)
            self.sending = _AFTER_WHOLE
            self._finish()
        line = b"" if declared is not None else b"Content-Length: %d\r\n" % length
        return b"".join((head.octets, line, end, body))

    def _encode_unusual(self, head: ResponseHead, body: bytes, date: str) -> bytes:
        """A whole response without a body, with one of another length than declared, or with rare fields."""
        has_length = body or self.allows_content(head)
        parts = [self.encode_head(head, date, len(body) if has_length else None)]
        parts += self.encode_data(body)
        parts.append(self.encode_end())
        return b"".join(parts)

    def encode_head(self, head: ResponseHead, date: str, body_length: int | None = None) -> bytes:
        """The head of a response; `body_length` is the length of its body if it is known though not declared."""
        self._move(_HEAD)
        self.surplus_bytes = 0
        self.response_head = head
        self.body_bytes = self.piece_bytes = 0
        self._framing, self._unsent, line = self._frame(head, body_length)
        if self._framing is _CLOSE:
            self.persistence = _LAST
        return head.octets + line.encode() + self._encode_end_of_head(head, date)

    def _frame(self, head: ResponseHead, length: int | None) -> tuple[Framing, int, str]:
        """How the response is framed, its length, and the field that says so (RFC 9112, 6; RFC 9110, 8.6)."""
        declared = head.content_length
        if head.code in NO_CONTENT:
            return _NONE, 0, "Content-Length: 0\r\n" if head.code == 205 else ""
        line = "" if declared is not None or length is None else f"Content-Length: {length}\r\n"
        if self._is_to_head():
            # The length that a GET would have, if it is known. The transfer coding is not announced, as clients
            # exist that wait for the last chunk (RFC 9112, 6.1 makes it optional).
            return _NONE, 0, line
        if declared is not None:
            return _LENGTH, declared, ""
        if length is not None:
            return _LENGTH, length, line
        request = self._reader.request
        if request is not None and request.version == "HTTP/1.0":
            return _CLOSE, 0, ""
        return _CHUNKED, 0, "Transfer-Encoding: chunked\r\n"

    def _encode_end_of_head(self, head: ResponseHead, date: str) -> bytes:
        """The fields that are the server's, and the end of a final head (RFC 9110, 6.6.1; RFC 9112, 9.3 and 9.6)."""
        connection = ""
        request = self._reader.request
        # The rest of a request body that was not read to its end is where the next request would begin.
        if self.persistence is not _KEPT or head.asks_close or self._reader.reading is not _READ:
            self.persistence = _LAST
            connection = "Connection: close\r\n"
        elif request is not None and request.version == "HTTP/1.0":
            connection = "Connection: keep-alive\r\n"
        date_line = "" if head.has_date else f"Date: {date}\r\n"
        server = "" if head.has_server else self._ident
        return f"{date_line}{server}{connection}\r\n".encode("latin-1")

    def encode_data(self, data: bytes) -> list[bytes]:
        """The pieces to send, in order, for some octets of the body; none if the response has no content.

        What exceeds the Content-Length is cut off and counted in `surplus_bytes`.
        """
        count = len(data)
        if self._framing is _CHUNKED and count > _JOINED_CHUNK_BYTES:
            self._move(_DATA)
            self._size_line = b"%x\r\n" % self._account(count)
            return [self._size_line, data, b"\r\n"]
        block = self.encode_block(data)
        return [block] if block else []

    def encode_blocks(self, blocks: Iterable[Any], send_unusual: Callable[[Any], None]) -> Iterator[bytes]:
        """`encode_block` of each block of the rest of the body, before the next block is asked for.

        Ends where a block exceeds the Content-Length. What is not `bytes`, or too large to be copied, goes to
        `send_unusual` instead, which sends it by `encode_data`.
        """
        if self.sending is not _BODY:
            self._move(_DATA)
        encode = self._encode_chunks if self._framing is _CHUNKED else self._encode_unframed
        return encode(blocks, send_unusual)

    def _encode_chunks(self, blocks: Iterable[Any], send_unusual: Callable[[Any], None]) -> Iterator[bytes]:
        # `encode_block` written out: a call for each block is a sixth of a stream's instructions, beside its sends.
        for data in blocks:
            if type(data) is not bytes or len(data) > _JOINED_CHUNK_BYTES:
                send_unusual(data)
            elif data:
                count = len(data)
                if count != self.piece_bytes:
                    self.piece_bytes = count
                    self._size_line = b"%x\r\n" % count
                self.body_bytes += count
                yield b"".join((self._size_line, data, b"\r\n"))

    def _encode_unframed(self, blocks: Iterable[Any], send_unusual: Callable[[Any], None]) -> Iterator[bytes]:
        for data in blocks:
            if type(data) is not bytes:
                send_unusual(data)
            elif data:
                block = self.encode_block(data)
                if block:
                    yield block
            if self.surplus_bytes:
                return

    def encode_block(self, data: bytes) -> bytes:
        """`encode_data` in one piece, for a block that may be copied."""
        if self.sending is not _BODY:  # where data leads nowhere else
            self._move(_DATA)
        count = len(data)
        if self._framing is _CHUNKED:
            if count != self.piece_bytes:  # the blocks of a stream are often of one size
                self.piece_bytes = count
                self._size_line = b"%x\r\n" % count
            self.body_bytes += count
            # An empty chunk would be the last one.
            return b"".join((self._size_line, data, b"\r\n")) if data else b""
        allowed = self._account(count)
        return data if allowed == count else data[:allowed]

    def account_file(self, count: int) -> int:
        """How many of `count` octets may be sent without any coding around them; they count as sent."""
        self._move(_DATA)
        if self._framing is _CHUNKED:
            raise ProtocolMisuse("a chunked body cannot be sent as it is")
        return self._account(count)

    def _account(self, count: int) -> int:
        """How many of `count` octets fit into what is left of the declared length; they count as sent."""
        if self._framing is _NONE:
            return 0
        if self._framing is _LENGTH:
            allowed = min(count, self._unsent)
            self._unsent -= allowed
            self.surplus_bytes += count - allowed
            count = allowed
        self.piece_bytes = count
        self.body_bytes += count
        return count

    def encode_end(self) -> bytes:
        """What ends the body. If it is too short, the response is BROKEN: break the connection off."""
        if self._framing is _LENGTH and self._unsent:
            self._move(SendEvent.SHORT)
            self.surplus_bytes = -self._unsent
            self._close()
            return b""
        self._move(_END)
        self._finish()
        return b"0\r\n\r\n" if self._framing is _CHUNKED else b""

    def encode_error(self, error: HttpError, date: str, body: str | None = None) -> bytes:
        """The whole response to a request that is refused; `body` replaces the text about the error."""
        content = (error.content if body is None else body).encode("utf-8", "backslashreplace")
        fields = [("Content-Type", "text/plain; charset=utf-8"), *error.fields, ("Connection", "close")]
        return self.encode_response(build_head(f"{error.status} {error.reason}", fields), content, date)

    # -- what the connection tells --

    def begin(self, request: Request) -> None:
        """Owe a response: a request head was accepted."""
        self.response_head = None
        if not request.keep_alive:
            self.persistence = _LAST
        if self.sending is _WAIT:
            self.sending = _AFTER_REQUEST
        else:
            self._move(SendEvent.REQUEST)

    def refuse(self) -> None:
        """Prepare for an error response: the request is refused, or broke a rule while it was answered."""
        self.persistence = _LAST
        if self.sending is _WAIT:
            self.response_head = None
        self._move(SendEvent.REFUSED)

    def forbid_keep_alive(self) -> None:
        """From the next response head on, say `Connection: close` and mean it; the server is stopping."""
        self.persistence = PERSISTENCE_TRANSITIONS[self.persistence, PersistenceEvent.DRAIN]

    def close(self) -> None:
        """The connection is lost, given up or ended by the client; a response in the making stays undone."""
        self._move(SendEvent.CLOSE)
        self._close()

    # -- moves --

    def _finish(self) -> None:
        """End a response: the next request may come, or the connection closes (RFC 9112, 9.3)."""
        if self._reader.reading is _READ and self.persistence is not _LAST:
            self._reader.reading, self.sending = _NEXT_READING, _NEXT_SENDING
        else:
            self._move(_ENDED)
            self._close()

    def _close(self) -> None:
        self.persistence = _LAST
        self._reader.close()

    def _move(self, event: SendEvent) -> None:
        try:
            self.sending = SENDING_TRANSITIONS[self.sending, event]
        except KeyError:
            raise ProtocolMisuse(f"{event!r} while the response is {self.sending!r}") from None
