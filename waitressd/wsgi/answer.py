"""One answer, from start_response to its last byte (PEP 3333, "Specification Details").

Knows the calling convention and the mistakes applications make with it; framing and field rules are the connection's.
Never catches what the application raises: that is the border in `task.py`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from waitressd.http.connection import Connection
from waitressd.http.errors import ProtocolMisuse
from waitressd.http.events import Request
from waitressd.http.response import ResponseHead, build_head
from waitressd.peer import Origin
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.filewrapper import FileWrapper

if TYPE_CHECKING:
    from contextvars import Context

log = logging.getLogger("waitressd")

# An answer known as a whole is joined into one write up to here; above, its pieces go out as they are.
JOIN_BYTES: Final = 65536
# Answers without content whatever the application yields (RFC 9110, sections 15.3.5, 15.3.6, 15.4.5).
BODILESS_CODES: Final = frozenset({204, 205, 304})

LOGGED_TARGET_CHARACTERS: Final = 200

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_BYTES_ONLY: Final = frozenset({bytes})
_YIELDED: Final = "the application yielded"
_NEVER_STARTED: Final = "the application did not call start_response before its first bytes (PEP 3333)"


class Transport(Protocol):
    """What a task needs of the channel that its request came through; the task owns it until the handler returns."""

    @property
    def connection(self) -> Connection:
        """The HTTP state of the channel; it makes the bytes of the answer."""

    @property
    def origin(self) -> Origin:
        """Where the request comes from."""

    def write(self, data: bytes) -> None:
        """Send, or keep for sending; may wait while too much is pending. Raises ClientDisconnected."""

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """Send several pieces in order, like `write` of them joined."""

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Take over a regular file and send `count` bytes of it; `close` is called once, also when this raises."""

    def is_gone(self) -> bool:
        """Tell whether the client has left."""


class AnswerState(IntEnum):
    """How far an answer has come."""

    NEW = 0  # start_response was not called, or refused what it got
    STARTED = 1  # a head is known and may still be replaced with exc_info
    SENT = 2  # the head has left
    FINISHED = 3  # the answer is complete, as far as the application gave it
    FAILED = 4  # nothing more may be sent


class AnswerEvent(IntEnum):
    """What moves an answer."""

    START = 0  # start_response with a head that can be sent
    SEND = 1  # the head leaves, with the first bytes of the body if there is one
    FINISH = 2  # the end of the answer leaves
    FAIL = 3  # the client left, or the answer cannot be completed


TRANSITIONS: Final[dict[tuple[AnswerState, AnswerEvent], AnswerState]] = {
    (AnswerState.NEW, AnswerEvent.START): AnswerState.STARTED,
    (AnswerState.NEW, AnswerEvent.FAIL): AnswerState.FAILED,
    (AnswerState.STARTED, AnswerEvent.START): AnswerState.STARTED,
    (AnswerState.STARTED, AnswerEvent.SEND): AnswerState.SENT,
    (AnswerState.STARTED, AnswerEvent.FINISH): AnswerState.FINISHED,
    (AnswerState.STARTED, AnswerEvent.FAIL): AnswerState.FAILED,
    (AnswerState.SENT, AnswerEvent.FINISH): AnswerState.FINISHED,
    (AnswerState.SENT, AnswerEvent.FAIL): AnswerState.FAILED,
    (AnswerState.FINISHED, AnswerEvent.FAIL): AnswerState.FAILED,
    (AnswerState.FAILED, AnswerEvent.FAIL): AnswerState.FAILED,
}

# The members as plain globals: looking one up in its class costs as much as a transition.
_NEW, _STARTED, _SENT, _FINISHED, _FAILED = AnswerState
_START, _SEND, _FINISH, _FAIL = AnswerEvent
# The two moves of nearly every answer, looked up once: from a state that has just been seen, nothing else can follow.
_AFTER_START, _AFTER_FINISH = TRANSITIONS[_NEW, _START], TRANSITIONS[_STARTED, _FINISH]


def checked_bytes(item: object, where: str) -> bytes:
    """Return `item` as bytes; bytearray and memoryview are copied, for their owner may change them before they leave.

    Raises TypeError: it is text, a number or anything else that is not bytes; `where` begins the sentence.
    """
    if isinstance(item, bytes):
        return item
    if isinstance(item, (bytearray, memoryview)):
        return bytes(item)
    raise TypeError(f"{where} {type(item).__name__}; a WSGI answer consists of bytes (PEP 3333)")


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small chunks to blocks of about JOIN_BYTES and pass large ones through; empty ones vanish."""
    run: list[bytes] = []
    run_bytes = 0
    for chunk in chunks:
        if run and run_bytes + len(chunk) > JOIN_BYTES:
            yield b"".join(run)
            run, run_bytes = [], 0
        if len(chunk) >= JOIN_BYTES:
            yield chunk
        elif chunk:
            run.append(chunk)
            run_bytes += len(chunk)
    if run:
        yield b"".join(run)


def _count(result: Any) -> int:  # noqa: ANN401  # whatever the application returned
    """Return how many pieces an iterable says that it has, -1 if it cannot say."""
    if not hasattr(type(result), "__len__"):
        return -1
    try:
        return len(result)
    except Exception:  # border: a wrapper may promise what the iterable that it wraps cannot keep
        return -1


class Answer:
    """The answer to one request: what the application may call, and what its result becomes on the wire.

    Lives in one thread: an application that starts threads must not call `start_response` or `write` from two at once.
    """

    __slots__ = ("_close", "_connection", "_head", "_is_length_known", "_request", "_transport", "context", "state")

    def __init__(self, request: Request, transport: Transport) -> None:
        self.state = _NEW
        self._request = request
        self._transport = transport
        self._connection = transport.connection
        self._head: ResponseHead | None = None
        self._is_length_known = False  # set when the head leaves
        self._close: Callable[[], object] | None = None
        self.context: Context | None = None  # in which the request runs, where it has one of its own

    # What the application calls.

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's start_response: check the head now, send it with the first bytes of the body.

        Raises ResponseError: the head cannot be sent as it is.
        """
        if exc_info is not None:
            try:
                if self.state >= _SENT:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # the traceback holds this frame
            self._head = build_head(status, headers)
            self._move(_START)
        elif self.state is _NEW:
            self._head = build_head(status, headers)
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

    def early_hints(self, hints: list[tuple[str, str]]) -> None:
        """`wsgi.early_hints`: send 103 with these fields now (RFC 8297); nothing to HTTP/1.0 or after the head.

        Raises ResponseError: a field cannot be sent as it is.
        """
        if self.state < _SENT:
            data = self._connection.encode_early_hints(hints)
            if data:
                self._transport.write(data)

    # What the handler calls.

    def respond(self, result: Any) -> None:  # noqa: ANN401  # it is judged here whatever the application returned
        """Send what the application returned; on return the answer is complete, or as complete as it can be."""
        kind = type(result)
        if kind is list or kind is tuple:
            self._respond_known(result)
            return
        self._close = getattr(result, "close", None)
        if isinstance(result, FileWrapper):
            self._respond_file(result)
        elif isinstance(result, (list, tuple)):
            self._respond_known(result)
        elif isinstance(result, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"the application returned {kind.__name__}, not an iterable of bytes; return [body]")
        else:
            self._respond_stream(result)

    def close_result(self) -> None:
        """Close the iterable, once, whatever became of the answer; its errors are logged and change nothing."""
        close, self._close = self._close, None
        if close is None:
            return
        try:
            close()
        except BaseException:  # border: close() is the application's, and the answer has left
            log.exception("close() of the answer to %s failed", self.describe())

    def fail(self) -> None:
        """Give up: nothing more is sent, and the channel breaks the connection off."""
        self._move(_FAIL)

    def break_off(self) -> None:
        """Let the client see that the answer is incomplete, unless all of it has left."""
        head = self._head
        if self.state is _SENT and head is not None and self._is_whole(head):
            self._finish()
        else:
            self.fail()

    def send_failure(self, head: ResponseHead, body: bytes) -> None:
        """Answer with another head than the application's, if it gave one; legal until a head has left."""
        self._move(_START)
        self.send_whole(head, body)

    def send_whole(self, head: ResponseHead, body: bytes) -> None:
        """Send a complete answer in one write; a large body as it is, for joining it would copy megabytes."""
        if len(body) > JOIN_BYTES:
            self._send(body, len(body))
            self._finish()
            return
        data = self._connection.encode_response(head, body, http_date())
        if self.state is _STARTED:
            self.state = _AFTER_FINISH
        else:
            self._move(_FINISH)
        self._transport.write(data)

    def describe(self) -> str:
        """Return the request as log lines name it: the target as it came, which holds no control bytes.

        Without its query, where people put what does not belong into a log.
        """
        target = self._request.target.partition("?")[0]
        if len(target) > LOGGED_TARGET_CHARACTERS:
            target = target[:LOGGED_TARGET_CHARACTERS] + "..."
        return f"{self._request.method} {target}"

    # How the answer goes out.

    def _respond_known(self, chunks: Sequence[Any]) -> None:
        """Answer from a list or tuple: its length is known, so nothing is framed in chunks."""
        if len(chunks) == 1:
            body = chunks[0]
            if type(body) is not bytes:
                body = checked_bytes(body, "the application returned a list with")
        else:
            if not _BYTES_ONLY.issuperset(map(type, chunks)):
                chunks = [checked_bytes(chunk, "the application returned a list with") for chunk in chunks]
            length = sum(map(len, chunks))
            if length > JOIN_BYTES:
                self._respond_large(chunks, length)
                return
            body = b"".join(chunks)
        if self.state is _STARTED:
            head = self._started_head()
            declared = head.content_length
            if declared == len(body) or (declared is None and (body or self._request.method != "HEAD")):
                self.send_whole(head, body)
                return
            if self._is_bodiless(head):
                self._send_bodiless(head)
                return
        if body:
            self._send(body)
        self._finish()

    def _respond_large(self, chunks: Sequence[bytes], length: int) -> None:
        """Answer from many bytes: large pieces go out as they are, for joining them would copy megabytes."""
        head = self._started_head()
        if self.state is _STARTED and self._is_bodiless(head):
            self._send_bodiless(head, length)
            return
        for block in blocks(chunks):
            self._send(block, length)
        self._finish()

    def _respond_stream(self, result: Any) -> None:  # noqa: ANN401  # see respond, which takes anything
        """Answer from any other iterable: each item leaves before the next is asked for."""
        try:
            chunks = iter(result)
        except TypeError:
            raise TypeError(f"the application returned {type(result).__name__}, not an iterable of bytes") from None
        if self.state is _STARTED and self._is_bodiless(self._started_head()):
            self._send_bodiless(self._started_head())  # what it would yield, perhaps without end, is not wanted
            return
        is_single = _count(result) == 1
        for chunk in chunks:
            data = chunk if type(chunk) is bytes else checked_bytes(chunk, _YIELDED)
            if self.state is _STARTED:
                head = self._started_head()
                if self._is_bodiless(head):
                    self._send_bodiless(head)
                    return
                declared = head.content_length
                if data and (declared == len(data) or (is_single and declared is None)):
                    self._send_only(head, data, chunks)
                    return
            if data:
                self._send(data, len(data) if is_single else None)
                if self._connection.excess_bytes or not self._connection.body_allowed:
                    break
        self._finish()

    def _send_only(self, head: ResponseHead, data: bytes, chunks: Iterator[Any]) -> None:
        """Send what by its length is the whole answer, as frameworks give it, in one piece; more is cut off.

        A sixth of the server's part of a Django or Flask answer, measured.
        """
        self.send_whole(head, data)
        if any(checked_bytes(chunk, _YIELDED) for chunk in chunks):
            self._warn_of_excess()

    def _respond_file(self, wrapper: FileWrapper) -> None:
        """Answer from a file: as much as remains of it, or as Content-Length asks for."""
        head = self._started_head()
        real = wrapper.real_file() if self.state is _STARTED and not self._is_bodiless(head) else None
        if real is None or not real.count:
            self._stream_file(head, wrapper)
            return
        count = real.count
        if head.content_length is not None:
            count = min(count, head.content_length)  # a part of a file is what a range is answered with
        data = self._encode_head(head, count)
        allowed = self._connection.account_file(count)
        self._transport.write(data)
        self._close = None  # the channel closes it from here on
        self._transport.write_file(real.file, real.offset, allowed, partial(self._close_file, wrapper))
        self._finish()

    def _close_file(self, wrapper: FileWrapper) -> None:
        """Close the file in the request's context. Any task thread: this task's own, or one after its end."""
        if self.state is _SENT or self.context is None:  # the task is still inside its context
            wrapper.close()
        else:
            self.context.run(wrapper.close)

    def _stream_file(self, head: ResponseHead, wrapper: FileWrapper) -> None:
        if self._is_bodiless(head):
            if self.state is _STARTED:
                self._send_bodiless(head, wrapper.remaining_bytes())
            else:
                self._finish()
            return
        length = head.content_length
        if length is None:
            length = wrapper.remaining_bytes()
        left = length
        for block in wrapper:
            data = checked_bytes(block, "the file of wsgi.file_wrapper gave")
            if left is not None:
                data = data[:left]
                left -= len(data)
            self._send(data, length)
            if left == 0:
                break
        self._finish()

    def _send(self, data: bytes, body_length: int | None = None) -> None:
        """Send bytes of the body, the head before them if it has not left yet; `data` is not empty."""
        if self.state is _STARTED:
            parts = [self._encode_head(self._started_head(), body_length)]
            parts += self._connection.encode_data(data)
        elif self.state is _SENT:
            parts = self._connection.encode_data(data)
        elif self.state is _NEW:
            raise RuntimeError(_NEVER_STARTED)
        else:
            raise RuntimeError("the answer is complete or given up; nothing can be written to it any more")
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            self._transport.write_parts(parts)

    def _send_bodiless(self, head: ResponseHead, body_length: int | None = None) -> None:
        """Send the head of an answer without content."""
        data = self._encode_head(head, body_length) + self._connection.encode_end()
        self._move(_FINISH)
        self._transport.write(data)

    def _finish(self) -> None:
        """Send the end of the answer and complain about a Content-Length that was not true."""
        if self.state is not _SENT:
            head = self._started_head()
            if self._is_bodiless(head):
                self._send_bodiless(head)
                return
            if not head.content_length:
                self.send_whole(head, b"")
                return
            self._transport.write(self._encode_head(head, None))
        connection = self._connection
        missing_bytes, excess_bytes = connection.missing_bytes, connection.excess_bytes
        end = connection.encode_end()
        self._move(_FINISH)
        if end:
            self._transport.write(end)
        if excess_bytes:
            self._warn_of_excess()
        elif missing_bytes:
            log.warning(
                "The answer to %s is %d bytes shorter than its Content-Length; the connection is broken off",
                self.describe(),
                missing_bytes,
            )

    def _warn_of_excess(self) -> None:
        log.warning("The answer to %s is longer than its Content-Length; the rest was cut off", self.describe())

    def _encode_head(self, head: ResponseHead, body_length: int | None) -> bytes:
        if head.content_length is not None:
            body_length = None
        self._is_length_known = head.content_length is not None or body_length is not None
        data = self._connection.encode_head(head, http_date(), body_length)
        self._move(_SEND)
        return data

    def _started_head(self) -> ResponseHead:
        if self._head is None:
            raise RuntimeError(_NEVER_STARTED)
        return self._head

    def _is_whole(self, head: ResponseHead) -> bool:
        """Tell whether the client has all that the head promised; where it promised no length, only an end can say."""
        return self._is_bodiless(head) or (self._is_length_known and not self._connection.missing_bytes)

    def _is_bodiless(self, head: ResponseHead) -> bool:
        return self._request.method == "HEAD" or head.code in BODILESS_CODES

    def _move(self, event: AnswerEvent) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise ProtocolMisuse(f"an answer cannot {event.name} when it is {self.state.name}") from None
