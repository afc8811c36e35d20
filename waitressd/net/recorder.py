"""What a request log wants to know of the requests on one connection, written down at named moments.

A channel has one of these only where somebody listens; without a request log nothing here is ever run. The observer
gets each record once: in the task's own thread when the last byte went to the kernel there, else by a call that never
blocks, so that no log can delay another client.
"""

import copy
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from waitressd.http.errors import Answer, HttpError, UnfinishedError
from waitressd.net.states import ExchangeState
from waitressd.peer import Origin, Peer

if TYPE_CHECKING:  # the ledgers know the names of faults, and who reads ledgers needs no connection
    from waitressd.http.encoder import ResponseEncoder
    from waitressd.http.events import Request
    from waitressd.http.reader import RequestReader
    from waitressd.http.response import ResponseHead
    from waitressd.net.outbuf import OutBuffer
    from waitressd.net.progress import Upload

_BEGUN: Final = frozenset({ExchangeState.HEAD, ExchangeState.BODY, ExchangeState.QUEUED})


class Fault(Enum):
    """Why a response breaks off. The values are what a record calls them."""

    CUT = "error"  # the application left it incomplete, or its file broke: what there is of it goes out first
    CLIENT = "client"  # the client has left
    DEADLINE = "deadline"  # the client did not take it in time
    TIMEOUT = "timeout"  # the task did not end in time
    STOP = "stop"  # the server ends

    def describe(self, peer: Peer) -> str:
        """Say why a write to a client goes nowhere."""
        return _LOSSES[self].format(peer)


_LOSSES: Final = {
    Fault.CUT: "the response to {} has ended",
    Fault.CLIENT: "{} has left",
    Fault.DEADLINE: "the response to {} took too long",
    Fault.TIMEOUT: "the request of {} was over its time limit",
    Fault.STOP: "the server stops and does not wait for the response to {}",
}


class Notes(Protocol):
    """What is written down about one request. Moments are monotonic seconds, 0.0 for one that did not come."""

    head: "ResponseHead | None"
    refusal: HttpError | None
    refused_line: bytes
    ended_by: str
    body_bytes_received: int
    body_bytes_sent: int
    time: float  # the first byte, by the wall clock
    began_at: float  # the first byte; both preset to the moment at which the notes were made
    complete_at: float  # the last byte of the request
    started_at: float  # a thread has it
    answered_at: float  # the first byte of the response
    returned_at: float  # the application is done
    ended_at: float  # the last byte is with the kernel, or the connection ended


class RequestObserver(Protocol):
    """What wants to know about requests. Any thread."""

    def open(self, origin: Origin, connection: int, number: int, request: "Request | None", /) -> Notes:
        """Make the notes of one request; `number` counts the requests of its connection from 1."""

    def enter(self, notes: Any, /) -> object:  # noqa: ANN401 - what `open` made, which may be more than notes
        """The request's code runs in this thread from here on; with None it has ended."""

    def finish(self, notes: Any, /) -> None:  # noqa: ANN401 - what `open` made, which may be more than notes
        """Take the complete notes in the thread of their task. May block; never raises."""

    def finish_soon(self, notes: Any, /) -> None:  # noqa: ANN401 - what `open` made, which may be more than notes
        """Take the complete notes from the dispatcher: never blocks, never raises."""


class Recorded(Protocol):
    """What is read of an exchange."""

    began_at: float
    encoder: "ResponseEncoder"
    fault: Fault | None
    lost_at: float
    number: int
    outbuf: "OutBuffer | None"
    reader: "RequestReader"
    request: "Request | None"
    state: ExchangeState
    upload: "Upload | None"
    waiting_since: float

    @property
    def origin(self) -> Origin:
        """Where the request comes from."""

    @property
    def is_broken(self) -> bool:
        """Whether nothing more goes out."""

    def may_answer(self) -> bool:
        """Whether nobody has answered in place of the task, and will from here on."""


class Recorder:
    """The notes of the requests on one connection, one after the other. Threads as in Exchange.

    `_open` holds the notes of the current request, if any. Whatever concludes them takes them out with `pop`, which is
    atomic: the task, or the stop of the server that does not wait for it.
    """

    __slots__ = ("_answered_at", "_connection", "_observer", "_open")

    def __init__(self, observer: RequestObserver, connection: int) -> None:
        self._observer = observer
        self._connection = connection
        self._open: list[Notes] = []
        self._answered_at = 0.0  # the first byte of the present response

    # -- the moments of an exchange, in order

    def on_refusal(self, exchange: Recorded, error: HttpError) -> None:
        """The server answers by itself, before the state changes. Holder of the role."""
        notes = self._open[-1] if self._open else self._open_notes(exchange)
        if isinstance(error, Answer):
            return
        notes.refusal = error
        notes.ended_by = why_refused(error, exchange.state)

    def on_start(self, exchange: Recorded) -> None:
        """A thread has the request. Task thread."""
        notes = self._open_notes(exchange)
        if exchange.fault is None:
            notes.started_at = monotonic()
            self._observer.enter(notes)

    def on_write(self, encoder: "ResponseEncoder") -> None:
        """Bytes leave. Task thread."""
        if not self._answered_at and encoder.response_head is not None:
            self._answered_at = monotonic()

    def on_return(self, exchange: Recorded) -> None:
        """The application is done; what its client has not taken is in the output buffer. Task thread."""
        now = monotonic()
        if exchange.fault is Fault.TIMEOUT or not exchange.may_answer():
            pass  # whoever ended it writes down what became of it
        elif exchange.outbuf is None or exchange.is_broken:
            notes = self._take_notes()
            if notes is not None:
                if notes.started_at:
                    notes.returned_at = now
                notes.ended_at = now
                self._fill(notes, exchange, Fault.CUT)
                self._observer.finish(notes)
        else:
            for notes in self._open[:]:
                notes.returned_at = now
        self._observer.enter(None)

    def on_end(self, exchange: Recorded) -> None:
        """Everything that can be sent is with the kernel, or the connection ends. Holder of the role, or the stop."""
        if exchange.state in _BEGUN and not self._open:
            self._open_notes(exchange)
            exchange.encoder.response_head = None  # that of an earlier request
        notes = self._take_notes()
        if notes is not None:
            notes.ended_at = monotonic()
            self._fill(notes, exchange, Fault.CLIENT)
            self._observer.finish_soon(notes)

    def part(self) -> "Recorder":
        """Return another recorder, which has the notes of the current request from here on. Holder of the role."""
        other = copy.copy(self)
        notes = self._take_notes()
        other._open = [notes] if notes is not None else []  # noqa: SLF001 - its own class
        return other

    def let_go(self) -> None:
        """Record nothing in a child that was only forked. The child's only thread."""
        self._open.clear()

    # -- the notes

    def _open_notes(self, exchange: Recorded) -> Notes:
        request = exchange.request
        notes = self._observer.open(exchange.origin, self._connection, exchange.number, request)
        self._open.append(notes)
        self._answered_at = 0.0
        # What was known of the request before its notes were made.
        now, notes.complete_at = notes.began_at, exchange.waiting_since
        notes.began_at = began_at = exchange.began_at or notes.complete_at or now
        notes.time -= now - began_at
        if request is not None and not request.complete:
            notes.body_bytes_received = received_bytes(request, exchange.upload)
        return notes

    def _take_notes(self) -> Notes | None:
        """Take the notes of the current request; None where the task, or the stop of the server, was faster."""
        try:
            return self._open.pop()
        except IndexError:
            return None

    def _fill(self, notes: Notes, exchange: Recorded, otherwise: Fault) -> None:
        """Write down what was answered and what ended it: `otherwise`, if nothing else cut it short."""
        encoder, fault = exchange.encoder, what_cut(exchange, otherwise)
        # What ended it from our side comes first: what the task saw of that was only a client that is gone.
        if fault is not None and (exchange.fault is not None or not notes.ended_by):
            notes.ended_by = fault.value
        notes.refused_line = exchange.reader.refused_line
        if encoder.response_head is not None:
            notes.head = encoder.response_head
            notes.answered_at = self._answered_at
            notes.body_bytes_sent = max(0, encoder.body_bytes - _unsent_bytes(exchange))


def what_cut(exchange: Recorded, otherwise: Fault) -> Fault | None:
    """Say what cut a response short, `otherwise` if nothing else did; None where the client has got all of it."""
    encoder, fault = exchange.encoder, exchange.fault
    is_done = encoder.response_head is not None and encoder.response_done
    is_whole = is_done and not exchange.lost_at and not _unsent_bytes(exchange)
    if fault is None and not is_whole:
        return otherwise
    if fault is Fault.CLIENT and is_whole:  # it left when it had everything
        return None
    return fault


def why_refused(error: HttpError, state: ExchangeState) -> str:
    """Say what an answer of the server's own counts as, in this state of its exchange; "" if it refuses nothing."""
    if isinstance(error, Answer):
        return ""
    if isinstance(error, UnfinishedError):
        return Fault.CLIENT.value
    if error.status == 504:
        return Fault.TIMEOUT.value
    return Fault.DEADLINE.value if error.status == 408 or state is ExchangeState.QUEUED else "refused"


def _unsent_bytes(exchange: Recorded) -> int:
    outbuf = exchange.outbuf
    if outbuf is not None:
        return outbuf.unsent_bytes
    return exchange.encoder.piece_bytes if exchange.lost_at else 0


def received_bytes(request: "Request", upload: "Upload | None") -> int:
    """Return how much of a request's body is here. Any thread."""
    # One that came with its head was not counted.
    return request.content_length or 0 if upload is None else upload.received_bytes
