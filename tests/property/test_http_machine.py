"""A walk over both state machines at once: every call, in any order, against a model of what is allowed.

What is allowed gives answers that h11 reads as we meant them; what is not raises ProtocolMisuse and changes nothing.
"""

from collections.abc import Callable
from typing import Any, Final

import h11
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.exchange import DATE, chunked, head
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head
from waitressd.http.states import Persistence, Reading, Sending

SENT: Final = (
    head(),
    head(start="HEAD /a HTTP/1.1"),
    head("Connection: close"),
    head(start="GET / HTTP/1.0"),
    head("Connection: keep-alive", start="GET / HTTP/1.0"),
    head("Content-Length: 5", start="POST / HTTP/1.1") + b"hello",
    head("Content-Length: 0", start="POST / HTTP/1.1"),
    head("Content-Length: 5", "Expect: 100-continue", start="POST / HTTP/1.1") + b"hello",
    chunked(b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"),
    head("Transfer-Encoding: chunked", "Expect: 100-continue", start="HEAD / HTTP/1.1") + b"1\r\nx\r\n0\r\n\r\n",
    b"\r\n" + head(),
    head("X : y"),
    chunked(b"5\r\nhello\r\nzz\r\n"),
)
STATUSES: Final = ("200 OK", "204 No Content", "205 Reset Content", "304 Not Modified", "404 ")


class Dialogue(RuleBasedStateMachine):
    """One connection, its model, and what has been sent for the current request."""

    @initialize()
    def open(self) -> None:
        self.connection = Connection(Limits(), "kit")
        self.output = b""
        self.body = b""
        self.waiting = b""
        self.over = False

    # -- the client --

    @rule(sent=st.sampled_from(SENT))
    def send(self, sent: bytes) -> None:
        self.waiting += sent

    @precondition(lambda self: self.waiting)
    @rule(size=st.integers(1, 80))
    def arrive(self, size: int) -> None:
        self.connection.reader.feed(self.waiting[:size])
        self.waiting = self.waiting[size:]

    @precondition(lambda self: not self.waiting)
    @rule()
    def leave(self) -> None:
        self.connection.reader.feed_eof()

    @rule()
    def listen(self) -> None:
        before = self.connection.reader.reading, self.connection.encoder.sending
        try:
            event = self.connection.next_event()
        except HttpError:
            assert not self.over
            assert self.connection.reader.reading is Reading.ERROR
            assert self.connection.encoder.sending in {Sending.READY, Sending.BODY}
            if before[1] is Sending.WAIT:
                self.output = self.body = b""
            return
        assert not self.over or event is CLOSED
        if isinstance(event, Request):
            assert before == (Reading.IDLE, Sending.WAIT)
            assert self.connection.encoder.sending is Sending.READY
            self.output = self.body = b""
        elif event is PAUSED:
            assert before[0] is Reading.DONE
        elif event is CLOSED:
            assert before[0] >= Reading.ERROR or self.connection.reader.reading is Reading.CLOSED
            self.over = True
        elif event is NEED_DATA or isinstance(event, EndOfBody):
            # A client that waits to be told to go on has sent nothing of its body, or goes on by itself.
            assert before[0] in {Reading.IDLE, Reading.BODY, Reading.HELD}

    # -- the application --

    def attempt(self, allowed: bool, call: Callable[[], Any]) -> Any:  # noqa: FBT001  # the model's word
        """Make a call that the model allows or forbids; return what it returns, None if it is forbidden."""
        if allowed:
            return call()
        before = (
            self.connection.reader.reading,
            self.connection.encoder.sending,
            self.connection.encoder.persistence is Persistence.LAST,
        )
        with pytest.raises(ProtocolMisuse):
            call()
        assert before == (
            self.connection.reader.reading,
            self.connection.encoder.sending,
            self.connection.encoder.persistence is Persistence.LAST,
        )
        return None

    def ready(self) -> bool:
        return self.connection.encoder.sending is Sending.READY

    @rule()
    def go_on(self) -> None:
        # Also when the client has not waited, as long as nothing of the body was read.
        allowed = self.connection.reader.reading is Reading.HELD and self.ready()
        assert allowed or not self.connection.awaiting_continue
        self.output += self.attempt(allowed, self.connection.encode_continue) or b""

    @rule()
    def hint(self) -> None:
        self.output += (
            self.attempt(self.ready(), lambda: self.connection.encoder.encode_early_hints([("Link", "a")])) or b""
        )

    @rule(status=st.sampled_from(STATUSES), body=st.sampled_from([b"", b"hello", b"x" * 300]))
    def answer(self, status: str, body: bytes) -> None:
        built = build_head(status, [("X-A", "b")])
        if self.ready() and self.connection.reader.request is None:
            return  # a refused request gets an error answer
        encoded = self.attempt(self.ready(), lambda: self.connection.encoder.encode_response(built, body, DATE))
        if encoded is not None:
            self.output += encoded
            self.body = body
            self.check(int(status[:3]))

    @rule(status=st.sampled_from([400, 408, 503]))
    def fail(self, status: int) -> None:
        allowed = self.connection.encoder.sending in {Sending.WAIT, Sending.READY}
        if self.connection.encoder.sending is Sending.WAIT:
            self.output = b""
        encoded = self.attempt(allowed, lambda: self.connection.encode_error(HttpError(status, "no"), DATE, "no"))
        if encoded is not None:
            self.output += encoded
            self.body = b"no"
            assert self.connection.encoder.persistence is Persistence.LAST
            assert self.connection.encoder.sending is Sending.CLOSED
            self.check(status)

    @rule(
        status=st.sampled_from(STATUSES), declared=st.none() | st.integers(0, 12), known=st.none() | st.integers(0, 12)
    )
    def begin(self, status: str, declared: int | None, known: int | None) -> None:
        if self.ready() and self.connection.reader.request is None:
            return
        fields = [] if declared is None else [("Content-Length", str(declared))]
        built = build_head(status, fields)
        encoded = self.attempt(self.ready(), lambda: self.connection.encoder.encode_head(built, DATE, known))
        if encoded is not None:
            self.output += encoded
            self.body = b""
            self.status = int(status[:3])

    @rule(data=st.sampled_from([b"", b"a", b"hello", b"x" * 20]))
    def write(self, data: bytes) -> None:
        allowed = self.connection.encoder.sending is Sending.BODY
        pieces = self.attempt(allowed, lambda: self.connection.encoder.encode_data(data))
        if pieces is not None:
            self.output += b"".join(pieces)
            self.body += data

    @rule()
    def end(self) -> None:
        missing = self.connection.encoder._unsent
        encoded = self.attempt(self.connection.encoder.sending is Sending.BODY, self.connection.encoder.encode_end)
        if encoded is None:
            return
        self.output += encoded
        assert (self.connection.encoder.sending is Sending.BROKEN) is bool(missing)
        if not missing:
            self.check(self.status)

    # -- the server --

    @rule()
    def stop(self) -> None:
        self.connection.encoder.forbid_keep_alive()

    @precondition(lambda self: self.over)
    @rule()
    def close(self) -> None:
        self.connection.close()

    # -- laws --

    def check(self, status: int) -> None:
        """H11 reads the answer as we meant it."""
        assert self.connection.encoder.response_done
        request = self.connection.reader.request
        method = request.method if request else "HEAD" if not self.output.endswith(b"no") else "GET"
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(self.output)
        received = b""
        while isinstance(event := client.next_event(), h11.InformationalResponse):
            assert event.status_code in {100, 103}
        assert isinstance(event, h11.Response)
        assert event.status_code == status
        names = [name for name, _ in event.headers]
        assert names.count(b"date") == names.count(b"server") == 1
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
        assert (b"connection", b"close") in event.headers or self.connection.encoder.persistence is not Persistence.LAST
        client.receive_data(b"")
        while isinstance(part := client.next_event(), h11.Data):
            received += bytes(part.data)
        assert isinstance(part, h11.EndOfMessage)
        length = dict(event.headers).get(b"content-length")
        if method == "HEAD" or status in {204, 205, 304}:
            assert received == b""
        elif length is not None:
            assert received == self.body[: int(length)]
        else:
            assert received == self.body
        assert client.trailing_data[0] == b""

    @invariant()
    def both_sides_fit(self) -> None:
        connection = self.connection
        if connection.reader.reading is Reading.IDLE:
            assert connection.encoder.sending is Sending.WAIT
        if connection.encoder.sending is Sending.CLOSED:
            assert connection.reader.reading is Reading.CLOSED
            assert connection.encoder.persistence is Persistence.LAST
            assert not connection.reader.buffer
        if connection.encoder.sending is Sending.READY:
            assert connection.encoder.response_head is None


Dialogue.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestDialogue = Dialogue.TestCase
