"""One HTTP/1.1 connection, server side: octets in, events out; response heads and data in, octets out (RFC 9112).

Joins a reader of requests and an encoder of responses, so that each request gets one response and the next request is
read after it. Knows no socket, thread or time.
"""

from collections.abc import Callable

from waitressd.http.encoder import ResponseEncoder
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, Event, Request
from waitressd.http.limits import Limits
from waitressd.http.reader import RequestReader
from waitressd.http.recent import Recent
from waitressd.http.states import Reading, Sending

_HELD, _WAIT, _READY = Reading.HELD, Sending.WAIT, Sending.READY


class Connection:
    """The HTTP state of one client, for as long as its connection lasts. Used by one thread at a time.

    Feed `reader` what arrives, take events until NEED_DATA or PAUSED, and answer each request with `encoder`. When
    request and response are done and neither side wants to close, it is ready for the next.
    """

    __slots__ = ("encoder", "reader")

    def __init__(self, limits: Limits, ident: str, recent: Recent | None = None) -> None:
        """`ident` is the value of the Server field, '' for none. Raises ValueError: it cannot be sent.

        Connections that share a `recent` learn from each other.
        """
        self.reader = RequestReader(limits, recent)
        self.encoder = ResponseEncoder(self.reader, ident, recent)

    def next_event(self, data: bytes = b"") -> Event:
        """The next part of what the client says, who has sent `data` since.

        A request's response may be encoded from then on.

        Raises HttpError as the reader does: then `encode_error` may be called once.
        """
        try:
            event = self.reader.next_event(data)
        except HttpError:
            self.encoder.refuse()
            raise
        if type(event) is Request:
            self.encoder.begin(event)
        elif event is CLOSED and self.encoder.sending is _WAIT:
            self.encoder.close()
        return event

    def succeed(self, request: Request) -> None:
        """Owe the response to a request that another connection has read, whose encoder a task may be using.

        Before anything was fed. For an error response, which is the last one.
        """
        self.reader.succeed(request)
        self.encoder.begin(request)

    @property
    def awaiting_continue(self) -> bool:
        """The client holds its body back until it is told to go on (RFC 9110, 10.1.1), and has not been told."""
        return self.reader.reading is _HELD and not self.reader.buffer and self.encoder.sending is _READY

    def encode_continue(self) -> bytes:
        """`100 Continue`, once, to a client that asked for it (RFC 9110, 10.1.1).

        Needed while `awaiting_continue`, and allowed as long as nothing of the body was read.
        """
        if self.reader.reading is not _HELD:
            raise ProtocolMisuse("100 Continue is not awaited")
        data = self.encoder.encode_continue()
        self.reader.go_on()
        return data

    def encode_error(self, error: HttpError, date: str, body: str | None = None) -> bytes:
        """The whole response to a request that is refused; `body` replaces the text about the error.

        May stand in for a response that has not begun, or come unasked, as when a client is too slow (408).
        """
        if self.encoder.sending is _WAIT:
            self.reader.refuse_head()
            self.encoder.refuse()
        return self.encoder.encode_error(error, date, body)

    def forget(self) -> None:
        """Give up what is only kept to be fast; for a connection that rests."""
        self.reader.forget()
        self.encoder.forget()

    def close(self) -> None:
        """The connection is lost or given up; twice is harmless. A response in the making stays undone."""
        self.encoder.close()


class AnsweringConnection(Connection):
    """A connection whose requests never get to an application: `answer` has an answer to each."""

    __slots__ = ("_answer",)

    def __init__(self, limits: Limits, ident: str, answer: Callable[[Request], HttpError]) -> None:
        super().__init__(limits, ident)
        self._answer = answer

    def next_event(self, data: bytes = b"") -> Event:
        """See Connection; raises the answer where a request would have come out."""
        event = super().next_event(data)
        if type(event) is Request:
            error = self._answer(event)
            error.request = event
            raise error
        return event
