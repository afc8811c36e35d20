"""One response, from start_response to its last byte (PEP 3333, "Specification Details").

Knows the calling convention and the mistakes that applications make with it. The encoder decides about framing, and
whether there is any content; what an application raises is caught in `task.py`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Any, BinaryIO, Final, Protocol

from waitressd import forks
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import Request
from waitressd.http.response import ResponseHead
from waitressd.peer import Origin
from waitressd.wsgi.blocks import JOIN_BYTES, blocks, checked_bytes, count_of, first_bytes
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.filewrapper import FileWrapper

log = logging.getLogger("waitressd")

LOGGED_TARGET_CHARACTERS: Final = 200

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Headers = Iterable[tuple[str, str]]

_BYTES_ONLY: Final = frozenset({bytes})
_JUDGED: Final = (FileWrapper, list, tuple, str, bytes, bytearray, memoryview)  # all else is a stream
_YIELDED: Final = "the application yielded"
_NEVER_STARTED: Final = "the application did not call start_response before its first bytes (PEP 3333)"


class Encoder(Protocol):
    """What makes the bytes of a response, whatever the version of HTTP. The task's thread.

    A response is either `encode_response`, or `encode_head`, `encode_data`... and `encode_end`, or `encode_error`.
    """

    @property
    def is_satisfied(self) -> bool:
        """Whether all that the head has promised was given out; if it promised no length, only the end can tell."""

    @property
    def surplus_bytes(self) -> int:
        """By how much the body exceeds its Content-Length; below 0 after the end, by how much it fell short."""

    def build_head(self, status: str, fields: Headers, /) -> ResponseHead:
        """Return a head that can be sent. Raises ResponseError."""

    def allows_content(self, head: ResponseHead, /) -> bool:
        """Tell whether the response to this request has a body with this head."""

    def encode_early_hints(self, fields: Headers, /) -> bytes:
        """Return an interim response, nothing if the client knows none. Raises ResponseError."""

    def encode_response(self, head: ResponseHead, body: bytes, date: str, /) -> bytes:
        """Return a whole response."""

    def encode_head(self, head: ResponseHead, date: str, body_length: int | None, /) -> bytes:
        """Return the head of a response; `body_length` is the length of its body if it is known though not declared."""

    def encode_data(self, data: bytes, /) -> list[bytes]:
        """Return what is to be sent for some bytes of the body, in order."""

    def encode_blocks(self, blocks: Iterator[Any], send_unusual: Callable[[Any], None], /) -> Iterator[bytes]:
        """Yield the same in one piece for each block of the rest of the body, before the next block is asked for.

        Ends where a block exceeds the Content-Length. What is not `bytes`, or too large to be copied, goes to
        `send_unusual` instead.
        """

    def account_file(self, count: int, /) -> int:
        """Return how many of `count` bytes of a file may be sent as they are; they count as sent."""

    def encode_end(self) -> bytes:
        """Return what ends the body."""

    def encode_error(self, error: HttpError, date: str, /) -> bytes:
        """Return the whole response to a request that is refused."""


class Transport(Protocol):
    """What a task needs of the connection that its request came through; the task owns it until the handler returns."""

    @property
    def encoder(self) -> Encoder:
        """What makes the bytes of the response."""

    @property
    def origin(self) -> Origin:
        """Where the request comes from."""

    environ: dict[str, Any] | None
    """What the application was called with, for whoever wants to know what the thread is at."""

    def write(self, data: bytes) -> None:
        """Send, or keep for sending; may wait while too much is pending. Raises ClientDisconnected."""

    def write_blocks(self, blocks: Iterator[bytes]) -> None:
        """`write` of each block of a response whose head has left, before the next block is asked for."""

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """Send several pieces in order, like `write` of them joined."""

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Take over a regular file and send `count` bytes of it.

        `close` is called once, in the context of the task, also when this raises.
        """

    def is_gone(self) -> bool:
        """Tell whether the client has left."""

    def set_request_timeout(self, seconds: float) -> None:
        """Give the request a time limit of its own, counted from its start; 0 for none. Raises ValueError."""

    def fail(self, error: BaseException) -> None:
        """Note what kept the application from answering."""


class ResponseState(IntEnum):
    """How far a response has come."""

    NEW = 0  # start_response was not called, or refused what it got
    STARTED = 1  # a head is known and may still be replaced with exc_info
    SENT = 2  # the head has left
    FINISHED = 3  # the response is complete, as far as the application gave it
    FAILED = 4  # nothing more may be sent


class ResponseEvent(IntEnum):
    """What moves a response."""

    START = 0  # start_response with a head that can be sent
    SEND = 1  # the head leaves, with the first bytes of the body if there is one
    FINISH = 2  # the end of the response leaves
    FAIL = 3  # the client left, or the response cannot be completed


TRANSITIONS: Final[dict[tuple[ResponseState, ResponseEvent], ResponseState]] = {
    (ResponseState.NEW, ResponseEvent.START): ResponseState.STARTED,
    (ResponseState.NEW, ResponseEvent.FAIL): ResponseState.FAILED,
    (ResponseState.STARTED, ResponseEvent.START): ResponseState.STARTED,
    (ResponseState.STARTED, ResponseEvent.SEND): ResponseState.SENT,
    (ResponseState.STARTED, ResponseEvent.FINISH): ResponseState.FINISHED,
    (ResponseState.STARTED, ResponseEvent.FAIL): ResponseState.FAILED,
    (ResponseState.SENT, ResponseEvent.FINISH): ResponseState.FINISHED,
    (ResponseState.SENT, ResponseEvent.FAIL): ResponseState.FAILED,
    (ResponseState.FINISHED, ResponseEvent.FAIL): ResponseState.FAILED,
    (ResponseState.FAILED, ResponseEvent.FAIL): ResponseState.FAILED,
}

# The members as plain globals: looking one up in its class costs as much as a transition.
_NEW, _STARTED, _SENT, _FINISHED, _FAILED = ResponseState
_START, _SEND, _FINISH, _FAIL = ResponseEvent
# The two moves of nearly every response, looked up once: from a state that was just seen, nothing else can follow.
_AFTER_START, _AFTER_FINISH = TRANSITIONS[_NEW, _START], TRANSITIONS[_STARTED, _FINISH]


class Response:
    """The response to one request: what the application may call, and what its result becomes on the wire.

    Lives in one thread: an application that starts threads must not call `start_response` or `write` from two at once.
    """

    __slots__ = ("_encoder", "_head", "_request", "_transport", "close", "state")

    def __init__(self, request: Request, transport: Transport) -> None:
        self.state = _NEW
        self._request = request
        self._transport = transport
        self._encoder = transport.encoder
        self._head: ResponseHead | None = None
        self.close: Callable[[], object] | None = None
        """That of the application's iterable, while `close_result` has to call it."""

    # What the application calls.

    def start_response(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        """PEP 3333's start_response: check the head now, send it with the first bytes of the body.

        Raises ResponseError: the head cannot be sent as it is.
        """
        if exc_info is not None:
            try:
                if self.state >= _SENT:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # the traceback holds this frame
            self._head = self._encoder.build_head(status, headers)
            self._move(_START)
        elif self.state is _NEW:
            self._head = self._encoder.build_head(status, headers)
            self.state = _AFTER_START
        else:
            raise RuntimeError("start_response was called a second time without exc_info (PEP 3333)")
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's write: send these bytes before returning. Raises ClientDisconnected."""
        if type(data) is not bytes:
            data = checked_bytes(data, "write() was given")
        if data:
            self._send(data)

    def early_hints(self, hints: Headers) -> None:
        """`wsgi.early_hints`: send 103 with these fields now (RFC 8297); nothing to HTTP/1.0 or after the head.

        Raises ResponseError: a field cannot be sent as it is.
        """
        if self.state < _SENT:
            data = self._encoder.encode_early_hints(hints)
            if data:
                self._transport.write(data)

    # What the handler calls.

    def respond(self, result: Any) -> None:  # noqa: ANN401  # whatever the application returned is judged here
        """Send what the application returned; on return the response is complete, or as complete as it can be."""
        kind = type(result)
        if kind is list or kind is tuple:
            # As most answer: without a call of `_respond_known`, half a percent of a short response.
            head = self._head
            if len(result) == 1 and type(body := result[0]) is bytes and self.state is _STARTED and head is not None:
                self._send_whole(head, body)
            else:
                self._respond_known(result)
            return
        self.close = getattr(result, "close", None)
        if not issubclass(kind, _JUDGED):  # one look for all of them: isinstance takes five times as long to deny
            self._respond_stream(result)
        elif isinstance(result, FileWrapper):
            self._respond_file(result)
        elif isinstance(result, (list, tuple)):
            self._respond_known(result)
        else:
            raise TypeError(f"the application returned {kind.__name__}, not an iterable of bytes; return [body]")

    def close_result(self) -> None:
        """Close the iterable, once, whatever became of the response; its errors are logged and change nothing."""
        close, self.close = self.close, None
        if close is None:
            return
        try:
            close()
        except BaseException as error:  # border: close() is the application's, and the response has left
            forks.end_stray(error)
            log.exception("close() of the response to %s failed", self.describe())

    def fail(self) -> None:
        """Give up: nothing more is sent, and the connection is broken off."""
        self._move(_FAIL)

    def break_off(self) -> None:
        """Let the client see that the response is incomplete, unless it has all that the head promised."""
        if self.state is _SENT and self._encoder.is_satisfied:
            self._finish()
        else:
            self.fail()

    def send_failure(self, head: ResponseHead, body: bytes) -> None:
        """Respond with another head than the application's, if it gave one; legal until a head has left."""
        self._move(_START)
        self._head = head
        self._send_whole(head, body)

    def describe(self) -> str:
        """Return the request as log lines name it: the target as it came, which holds no control bytes.

        Without its query, where people put what does not belong into a log.
        """
        target = self._request.target.partition("?")[0]
        if len(target) > LOGGED_TARGET_CHARACTERS:
            target = target[:LOGGED_TARGET_CHARACTERS] + "..."
        return f"{self._request.method} {target}"

    # What the kinds of results become.

    def _respond_known(self, chunks: Sequence[Any]) -> None:
        """Respond with a list or tuple: its length is known, so nothing is framed in chunks."""
        if not _BYTES_ONLY.issuperset(map(type, chunks)):
            chunks = [checked_bytes(chunk, "the application returned a list with") for chunk in chunks]
        length = sum(map(len, chunks))
        if length > JOIN_BYTES:
            self._send_all(blocks(chunks), length)
            return
        body = b"".join(chunks)
        head = self._head
        if self.state is _STARTED and head is not None:
            self._send_whole(head, body)
            return
        if body:
            self._send(body)
        self._finish()

    def _respond_stream(self, result: Any) -> None:  # noqa: ANN401  # see respond, which takes anything
        """Respond with any other iterable: each item leaves before the next is asked for."""
        try:
            chunks = iter(result)
        except TypeError:
            raise TypeError(f"the application returned {type(result).__name__}, not an iterable of bytes") from None
        if self.state is _STARTED and not self._encoder.allows_content(self._started_head()):
            self._finish()  # what it would yield, perhaps without end, is not wanted
            return
        is_single = count_of(result) == 1
        for chunk in chunks:
            data = chunk if type(chunk) is bytes else checked_bytes(chunk, _YIELDED)
            if not data:
                continue
            if self.state is _STARTED:
                head = self._started_head()
                declared = head.content_length
                if declared == len(data) or (is_single and declared is None):
                    self._send_only(head, data, chunks)
                    return
            if self._send(data):
                # Nothing that the application may call changes the state any more, so nothing has to look at it.
                self._transport.write_blocks(self._encoder.encode_blocks(chunks, self._send_unusual))
            break
        self._finish()

    def _send_unusual(self, chunk: Any) -> None:  # noqa: ANN401  # see respond, which takes anything
        """Send a block of a stream that is large, or not `bytes` itself."""
        data = chunk if type(chunk) is bytes else checked_bytes(chunk, _YIELDED)
        if data:
            self._send(data)

    def _send_only(self, head: ResponseHead, data: bytes, chunks: Iterator[Any]) -> None:
        """Send what by its length is the whole response, as frameworks give it, in one piece; more is cut off.

        A sixth of the server's part of a Django or Flask response, measured.
        """
        self._send_whole(head, data)
        for chunk in chunks:
            if checked_bytes(chunk, _YIELDED):
                if self._encoder.allows_content(head):
                    self._warn_of_surplus()
                break

    def _respond_file(self, wrapper: FileWrapper) -> None:
        """Respond with a file: as much as remains of it, or as Content-Length asks for."""
        head = self._started_head()
        length = head.content_length
        if self.state is _STARTED:
            if not self._encoder.allows_content(head):
                self._finish(wrapper.remaining_bytes() if length is None else None)
                return
            real = wrapper.real_file()
            if real is not None and real.count:
                # A part of a file is what a range is answered with.
                count = real.count if length is None else min(real.count, length)
                data = self._encode_head(head, count)
                allowed = self._encoder.account_file(count)
                self._transport.write(data)
                self.close = None  # the transport closes it from here on
                self._transport.write_file(real.file, real.offset, allowed, wrapper.close)
                self._finish()
                return
        if length is None:
            length = wrapper.remaining_bytes()
        self._send_all(first_bytes(wrapper, length), length)

    # How they go out.

    def _send_whole(self, head: ResponseHead, body: bytes) -> None:
        """Send a complete response in one write; a large body as it is, since joining it would copy megabytes."""
        if len(body) > JOIN_BYTES:
            self._send(body, len(body))
            self._finish()
            return
        encoder = self._encoder
        data = encoder.encode_response(head, body, http_date())
        if self.state is _STARTED:
            self.state = _AFTER_FINISH
        else:
            self._move(_FINISH)
        self._transport.write(data)
        if encoder.surplus_bytes:
            self._warn_of_surplus()

    def _send_all(self, data: Iterable[bytes], length: int | None) -> None:
        """Send the pieces of a body, and its end; `length` is that of all of them, if it is known."""
        for piece in data:
            if piece and not self._send(piece, length):
                break
        self._finish()

    def _send(self, data: bytes, body_length: int | None = None) -> bool:
        """Send bytes of the body, the head before them if it has not left yet; `data` is not empty.

        Return whether more may reach the client: there is content, and no more than was declared.
        """
        encoder = self._encoder
        if self.state is _SENT:
            pieces = parts = encoder.encode_data(data)
        elif self.state is _STARTED:
            head = self._encode_head(self._started_head(), body_length)
            pieces = encoder.encode_data(data)
            parts = [head, *pieces]
        elif self.state is _NEW:
            raise RuntimeError(_NEVER_STARTED)
        else:
            raise RuntimeError("the response is complete or given up; nothing can be written to it any more")
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            self._transport.write_parts(parts)
        return bool(pieces) and not encoder.surplus_bytes

    def _finish(self, body_length: int | None = None) -> None:
        """Send the end of the response, the head before it if it has not left yet.

        `body_length` is the length of a body that is not sent, if it is known.
        """
        head = self._started_head()
        if self.state is _STARTED and body_length is None:
            self._send_whole(head, b"")
            return
        start = self._encode_head(head, body_length) if self.state is _STARTED else b""
        data = start + self._encoder.encode_end()
        self._move(_FINISH)
        if data:
            self._transport.write(data)
        if self._encoder.surplus_bytes:
            self._warn_of_surplus()

    def _warn_of_surplus(self) -> None:
        """Complain about a Content-Length that was not true."""
        missing_bytes = -self._encoder.surplus_bytes
        if missing_bytes > 0:
            log.warning(
                "The response to %s is %d bytes shorter than its Content-Length; the connection is broken off",
                self.describe(),
                missing_bytes,
            )
        else:
            log.warning("The response to %s is longer than its Content-Length; the rest was cut off", self.describe())

    def _encode_head(self, head: ResponseHead, body_length: int | None) -> bytes:
        data = self._encoder.encode_head(head, http_date(), body_length)
        self._move(_SEND)
        return data

    def _started_head(self) -> ResponseHead:
        if self._head is None:
            raise RuntimeError(_NEVER_STARTED)
        return self._head

    def _move(self, event: ResponseEvent) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise ProtocolMisuse(f"a response cannot {event.name} when it is {self.state.name}") from None
