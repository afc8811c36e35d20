"""A channel that is watched: it writes down what a request log wants to know.

The dispatcher makes these only where somebody listens; without a request log plain channels serve, and nothing of this
is ever run. The observer is told when a task begins and ends, and gets each record once: in the task's own thread when
the last byte went to the kernel there, else by a call that never blocks, so that no log can delay another client.
"""

import socket
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from waitressd.http.errors import ClientDisconnected, HttpError, UnfinishedError
from waitressd.http.events import Request
from waitressd.http.response import ResponseHead
from waitressd.net.channel import Channel
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.states import State
from waitressd.peer import Origin, Peer

if TYPE_CHECKING:
    from waitressd.net.dispatcher import Dispatcher


# What every request would call through super(), which costs as much as the rest of the call.
_run: Final = Channel.run
_BEGUN: Final = frozenset({State.HEAD, State.BODY, State.QUEUED})


class Notes(Protocol):
    """What is written down about one request. Moments are monotonic seconds, 0.0 for one that did not come."""

    head: ResponseHead | None
    refusal: HttpError | None
    refused_line: bytes
    ended_by: str
    body_bytes_received: int
    body_bytes_sent: int
    time: float  # the first byte, by the wall clock
    began_at: float  # the first byte; both preset to the moment at which the notes were made
    complete_at: float  # the last byte of the request
    started_at: float  # a thread has it
    answered_at: float  # the first byte of the answer
    returned_at: float  # the application is done
    ended_at: float  # the last byte is with the kernel, or the connection ended


class RequestObserver(Protocol):
    """Whoever wants to know about requests; `server.py` introduces it. Any thread."""

    def connect(self) -> int:
        """Return the number of a new connection."""

    def open(self, origin: Origin, connection: int, number: int, request: Request | None, /) -> Notes:
        """Make the notes of one request; `number` counts the requests of its connection from 1."""

    def enter(self, notes: Any, /) -> object:  # noqa: ANN401 - what `open` made, which may be more than notes
        """The request's code runs in this thread from here on; with None it has ended."""

    def finish(self, notes: Any, /) -> None:  # noqa: ANN401 - what `open` made, which may be more than notes
        """Take the complete notes in the thread of their task. May block; never raises."""

    def finish_soon(self, notes: Any, /) -> None:  # noqa: ANN401 - what `open` made, which may be more than notes
        """Take the complete notes from the dispatcher: never blocks, never raises."""


class ObservedChannel(Channel):
    """A channel with an observer. Threads as in Channel; see the module for when the observer is called.

    `_open` holds the notes of the current request, if any. Whoever concludes them takes them out with `pop`, which is
    atomic: the task, or the stop of the server that does not wait for it.
    """

    __slots__ = ("_answered_at", "_began_at", "_ended_by", "_id", "_observer", "_open")

    def __init__(self, sock: socket.socket, peer: Peer, dispatcher: "Dispatcher", settings: ChannelSettings) -> None:
        super().__init__(sock, peer, dispatcher, settings)
        assert settings.observer is not None
        self._observer = settings.observer
        self._id = self._observer.connect()
        self._open: list[Notes] = []
        self._began_at = 0.0  # the first byte of a request that did not come in one piece
        self._ended_by = ""  # why we end the connection under a request
        self._answered_at = 0.0  # the first bytes of the current response

    # -- a request begins

    def _wait_for_more(self) -> None:
        if self.state is State.IDLE and self.connection.reader.request_started:
            self._began_at = monotonic()
        super()._wait_for_more()

    def _expect_body(self) -> None:
        if not self._began_at:
            self._began_at = monotonic()
        super()._expect_body()

    def _open_notes(self) -> Notes:
        request = self.request
        notes = self._observer.open(self.origin, self._id, self.answered_count + 1, request)
        self._open.append(notes)
        self._answered_at = 0.0
        if self._began_at or self.waiting_since or request is None or not request.complete:
            self._date_back(notes)
        else:
            notes.complete_at = notes.began_at
        return notes

    def _date_back(self, notes: Notes) -> None:
        """Put in what was known of the request before its notes were made."""
        now = notes.began_at
        request = self.request
        if request is not None:
            whole = self.sink is None
            if whole:
                notes.complete_at = self.waiting_since or now
            if not request.complete:
                # A body that came with its head was never counted, but then its length is known.
                known = whole and request.content_length is not None
                notes.body_bytes_received = request.content_length or 0 if known else self._moved_bytes
        notes.began_at = self._began_at or self.waiting_since or now
        notes.time -= now - notes.began_at
        self._began_at = self.waiting_since = 0.0

    # -- it is answered

    def run(self) -> None:
        """Answer the request, and conclude its notes if everything is with the kernel. Task thread; never raises.

        Every request comes through here, so what is usual is written out instead of called.
        """
        observer, connection = self._observer, self.connection
        waited = self.waiting_since
        notes = self._open[-1] if self._open else self._open_notes()
        if self.gone:
            self._ended_by = self._ended_by or "client"
        else:
            notes.started_at = monotonic() if waited else notes.complete_at
            observer.enter(notes)
            _run(self)
            if self._open:  # else a forced stop has handed them over meanwhile
                notes.returned_at = notes.ended_at = monotonic()
        if self._ended_by or not connection.encoder.response_done:
            self._conclude_here(notes)
        elif self.outbuf is None and self._take_notes() is not None:
            notes.head = connection.encoder.response_head
            notes.answered_at = self._answered_at
            notes.body_bytes_sent = connection.encoder.body_bytes
            connection.encoder.response_head = None
            observer.finish(notes)
        observer.enter(None)

    def write(self, data: bytes) -> None:
        """See Outlet."""
        self._answered_at = self._answered_at or monotonic()
        super().write(data)

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """See Outlet."""
        self._answered_at = self._answered_at or monotonic()
        super().write_parts(parts)

    def _push(self, data: bytes) -> None:
        if self.encoder.response_head is not None:
            self._answered_at = self._answered_at or monotonic()
        super()._push(data)

    def refuse(self, error: HttpError) -> None:
        """Answer by the server itself, then close. Holder of the role."""
        notes = self._open[-1] if self._open else self._open_notes()
        notes.refusal = error
        if isinstance(error, UnfinishedError):
            notes.ended_by = "client"
        else:
            notes.ended_by = "deadline" if error.status == 408 or self.state is State.QUEUED else "refused"
        super().refuse(error)

    # -- it ends

    def _finish_answer(self) -> None:
        if self._open:
            self._conclude("error" if self._cut else "")
        super()._finish_answer()

    def cut_off(self) -> None:
        """Give up a client that does not take its answer."""
        self._ended_by = "deadline"
        super().cut_off()

    def abort(self) -> None:
        """End the connection of a task that still runs; its next write raises. Holder of the role."""
        self._ended_by = self._ended_by or "stop"
        super().abort()

    def close(self, *, reset: bool = False) -> None:
        """Give everything back, and conclude what was not answered. Harmless when closed."""
        if self.state in _BEGUN and not self._open:
            self._open_notes()
        if self._open:
            self._conclude(self._why_closed())
        super().close(reset=reset)

    def _why_closed(self) -> str:
        if self._cut:
            return "error"
        if self.dispatcher.aborting:
            return "stop"
        connection = self.connection
        answered = connection.encoder.response_head is not None and connection.encoder.response_done
        return "" if answered and (self.outbuf is None or self.outbuf.is_empty) else "client"

    def _lost(self) -> ClientDisconnected:
        self._ended_by = self._ended_by or "client"
        return super()._lost()

    def let_go(self) -> None:
        """Lose the client in a child that was only forked; its parent says what became of the request."""
        self._open.clear()
        super().let_go()

    def leave_behind(self) -> None:
        """The server ends while the task still runs."""
        self._conclude("stop")
        super().leave_behind()

    def _take_notes(self) -> Notes | None:
        """Take the notes of the current request; None where the task, or the stop of the server, was faster."""
        try:
            return self._open.pop()
        except IndexError:
            return None

    def _conclude_here(self, notes: Notes) -> None:
        """Hand over the notes of an answer that broke off, in the thread of the task, unless bytes are left to send."""
        if (self.outbuf is None or self.gone) and self._take_notes() is not None:
            notes.ended_at = monotonic()
            self._fill(notes, "error")
            self._observer.finish(notes)

    def _conclude(self, ended_by: str) -> None:
        """Have the notes handed over by another thread. Holder of the role, or the stop of the server."""
        notes = self._take_notes()
        if notes is not None:
            notes.ended_at = monotonic()
            self._fill(notes, ended_by)
            self._observer.finish_soon(notes)

    def _fill(self, notes: Notes, ended_by: str) -> None:
        """Write down what was answered, and who ended it unless that is known."""
        connection = self.connection
        notes.refused_line = connection.reader.refused_line
        # Why we ended it comes first: what the task saw of that was only a client that is gone.
        notes.ended_by = self._ended_by or notes.ended_by or ended_by
        if connection.encoder.response_head is None:
            return
        notes.head, connection.encoder.response_head = connection.encoder.response_head, None
        notes.answered_at = self._answered_at
        unsent = 0
        if self.outbuf is not None:
            unsent = self.outbuf.pending_bytes + (self.outbuf.file.count if self.outbuf.file is not None else 0)
        elif self._ended_by:
            unsent = connection.encoder.piece_bytes  # what the task tried to write last
        notes.body_bytes_sent = max(0, connection.encoder.body_bytes - unsent)
