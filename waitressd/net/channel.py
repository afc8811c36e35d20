"""One client: its socket, its HTTP connection, what is still to be sent, and the one deadline it is under.

A channel is owned by the holder of the dispatcher role, except while it is QUEUED or RUNNING: then the task owns it,
and the holder only notes what the poller says of it. Only the owner reads from the socket or closes it. The holder may
`shutdown` a socket that a task uses; it never closes it, because descriptor numbers are used again.
"""

import contextlib
import io
import logging
import socket
import struct
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, NEED_DATA, PAUSED, Body, Request
from waitressd.http.states import Sending
from waitressd.net.channelsettings import BodySink, ChannelSettings
from waitressd.net.logs import report_defect, say
from waitressd.net.outbuf import WOULD_BLOCK
from waitressd.net.outlet import NEVER, Outlet
from waitressd.net.poller import READ, WRITE
from waitressd.net.sendqueue import unacknowledged_bytes
from waitressd.net.states import NEXT, Move, State
from waitressd.net.transfer import BrokenFileError
from waitressd.peer import Peer

if TYPE_CHECKING:
    from waitressd.net.dispatcher import Dispatcher

FRUITLESS_EVENTS: Final = 16  # events in a row without a byte moved, before the channel is given up
DROP_BYTES: Final = 64 * 1024  # one read of what is dropped
IN_FLIGHT_BYTES: Final = 10 * 1460  # of an answer, that are on their way at once (the initial window of RFC 6928)
# As plain globals: looking a member up in its class costs as much as the transition (45 ns of a request each).
_WAIT: Final = Sending.WAIT
_IDLE: Final = State.IDLE
_RUN: Final = Move.RUN
_KEEP: Final = Move.KEEP
# SO_LINGER that makes close() send a reset; its two numbers are short ones on Windows.
_RESET: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Channel(Outlet):
    """One client and everything held for it. See the module for who may call what."""

    __slots__ = (
        "_fruitless_events",
        "_may_receive_more",
        "answered_count",
        "body",
        "connection",
        "encoder",
        "request",
        "sink",
        "state",
        "waiting_since",
    )

    def __init__(self, sock: socket.socket, peer: Peer, dispatcher: "Dispatcher", settings: ChannelSettings) -> None:
        super().__init__(sock, peer, dispatcher, settings)
        self.connection = Connection(settings.limits, settings.ident)
        self.encoder = self.connection.encoder
        self.state = State.IDLE
        self.request: Request | None = None  # complete, waiting for its task or in it
        self.body: BinaryIO | None = None
        self.sink: BodySink | None = None  # while the body arrives
        self._fruitless_events = 0
        self.answered_count = 0  # requests answered on this connection so far
        self.waiting_since = 0.0  # when the request was queued
        self._may_receive_more = True  # bytes may be on their way that will get no answer

    @property
    def counted_as(self) -> Peer:
        """The client under whose name the connection counts, where a client may have only so many."""
        return self.origin.peer

    # -- reading: the owner, which is the holder of the role

    def on_readable(self) -> bool:
        """Read once; True when a request is complete and may run."""
        if self.state is _IDLE and self.connection.reader.has_buffered:
            return False  # its next request is here already and has a turn of its own; reading on would give it two
        try:
            data = self.sock.recv(self._settings.recv_bytes)
        except WOULD_BLOCK:
            self._note_no_progress()
            return False
        except OSError:
            self.close()  # reset by the client: nothing was lost that could still be answered
            return False
        self._fruitless_events = 0
        if data:
            self.connection.reader.feed(data)
        else:
            self.half_closed = True
            self.connection.reader.feed_eof()
        return self.advance()

    def _note_no_progress(self) -> None:
        """An event gave nothing. That happens; again and again it is a loop that would eat a processor."""
        if not self._mask:
            self._watch(READ)
            return
        self._fruitless_events += 1
        if self._fruitless_events > FRUITLESS_EVENTS:
            say(logging.ERROR, "%s is reported ready and gives nothing; closed", self.peer)
            self.close()

    def advance(self) -> bool:
        """Take what the connection has; True when a request is complete and may run."""
        try:
            event = self.connection.next_event()
            if type(event) is Request and event.complete:
                self.request = event
                return True
            return self._receive(event)
        except HttpError as error:
            self.refuse(error)
        except OSError as error:
            self.dispatcher.logs.spool("cannot keep a request body of %s on disk: %s", self.peer, error)
            self.refuse(HttpError(503, "The server cannot store the request body at the moment."))
        return False

    def _receive(self, event: object) -> bool:
        """Everything but the one event of a small request. Raises HttpError, and OSError of a full disk."""
        connection = self.connection
        while True:
            if isinstance(event, Body):
                assert self.sink is not None
                self.sink.append(event.data)
                self._moved_bytes += len(event.data)
            elif isinstance(event, Request):
                self.request = event
                if event.complete or self._has_whole_body():
                    return True
                self._expect_body()
                if self.state is State.CLOSED:  # the client was gone when it was to be told to go on
                    return False
            elif event is NEED_DATA:
                self._wait_for_more()
                return False
            elif event is CLOSED:
                self.close()
                return False
            elif event is PAUSED:
                return False
            else:  # the end of the body
                self._complete_body()
                return True
            event = connection.next_event()

    def _has_whole_body(self) -> bool:
        """Most bodies are small and come with their head: they need no spool (a fifth of a 10 KiB POST, measured)."""
        if self.answered_count and self.request is not None and self.request.expects_continue:
            return False
        data = self.connection.reader.take_body()
        if data is None:
            return False
        self.body = io.BytesIO(data)
        return True

    def _expect_body(self) -> None:
        assert self.request is not None
        self._move(Move.BODY)
        self.sink = self._settings.new_body()
        self._busy_since = self.dispatcher.now
        self._moved_bytes = 0
        # A body that came together with its head needs no 100 (RFC 9110, 10.1.1). On a kept connection it may only have
        # caught up while an earlier answer was on its way; its client still counts on the 100.
        if self.connection.awaiting_continue or (self.answered_count and self.request.expects_continue):
            self._push(self.connection.encode_continue())

    def _complete_body(self) -> None:
        assert self.sink is not None
        self.body, self.sink = self.sink.finish(), None

    def _wait_for_more(self) -> None:
        """Set the deadline of a request that is not complete."""
        if not self._mask:
            self._watch(READ)
        deadlines = self._settings.deadlines
        now = self.dispatcher.now
        if self.state is State.BODY:
            self.deadline = self._pace(now + deadlines.body_seconds, deadlines.body_min_rate)
        elif self.state is State.IDLE and self.connection.reader.request_started:
            self._move(Move.BYTES)
            self.deadline = now + deadlines.head_seconds

    def refuse(self, error: HttpError) -> None:
        """Answer by the server itself, then close. Holder of the role."""
        self._move(Move.REFUSE)
        self._may_receive_more = True
        self._drop_request()
        self._push(self.connection.encode_error(error, self._settings.http_date()))
        if self.state is State.FLUSHING:
            self._continue_flush()

    # -- running: the task

    def begin(self) -> None:
        """A thread has the request. Holder of the role, or a task thread that took the channel out of the queue."""
        self.state = NEXT[self.state][_RUN]  # type: ignore[assignment]  # _move without its call, 60 ns of a request
        self.deadline = NEVER
        if self.dispatcher.draining:
            self.connection.encoder.forbid_keep_alive()

    def run(self) -> None:
        """Answer the request. Task thread; never raises."""
        if self.request is None or self.gone:
            return
        try:
            self._settings.handler(self.request, self.body, self)
        except BaseException:  # border: the handler has one of its own; this keeps the thread if that fails
            report_defect("the handler of %s failed", self.peer)
            self.gone = True

    # -- after the task: the holder of the role, or the task thread under the role's lock

    def settle_aside(self) -> bool:
        """Give the channel back without the role, if nothing is left to do but to wait for the next request."""
        if (
            not self._is_answered()
            or self.half_closed
            or self.connection.reader.has_buffered
            or self.dispatcher.draining
        ):
            return False
        try:
            if self._mask != READ:
                self._watch(READ)
        except OSError:  # the poller failed: nobody would hear the next request
            self.gone = True
            return False
        self._become_idle()
        return True

    def settle(self) -> None:
        """Take the channel back from its task. Holder of the role."""
        connection = self.connection
        if self.outbuf is not None or self.gone or connection.encoder.sending is not _WAIT:
            self._settle_slowly()
            return
        self._become_idle()
        if connection.reader.has_buffered or self.half_closed:
            self.dispatcher.ready.append((self.fd, 0))

    def _is_answered(self) -> bool:
        return self.outbuf is None and not self.gone and self.connection.encoder.sending is _WAIT

    def _become_idle(self) -> None:
        self.request = None
        self.answered_count += 1
        if self.body is not None:
            self._drop_request()
        dispatcher = self.dispatcher
        # The deadline first: a sweep that sees an idle channel without one would not come again.
        self.deadline = dispatcher.now + dispatcher.idle_seconds
        self.state = NEXT[self.state][_KEEP]  # type: ignore[assignment]  # as in begin()
        if self._mask != READ:
            self._watch(READ)

    def _settle_slowly(self) -> None:
        if self.gone or (self.outbuf is not None and self.outbuf.broken):
            self.close()
            return
        if not self.connection.encoder.response_done:
            self._cut = True
        request = self.request
        # A client that asked for the end itself sends no more, except for a body (and old ones for a line end behind
        # it); any other may have sent its next request already.
        self._may_receive_more = request is None or request.keep_alive or not request.complete
        self._drop_request()
        self._move(Move.FLUSH)
        self._continue_flush()

    def _drop_request(self) -> None:
        self.request = None
        if self.body is not None:
            with contextlib.suppress(OSError, BufferError):  # of what the application does with it
                self.body.close()
            self.body = None
        if self.sink is not None:
            self.sink.close()
            self.sink = None

    # -- sending what is left: the holder of the role

    def _push(self, data: bytes) -> None:
        """Send bytes of the server's own; they are few, so what the kernel does not take is kept."""
        sent = 0
        try:
            if self.outbuf is None:  # else it goes behind what waits already
                with contextlib.suppress(*WOULD_BLOCK):
                    sent = self.sock.send(data)
            if sent < len(data):
                self._new_outbuf().append(self.sock, (data[sent:],))
        except OSError:
            self.close()

    def on_writable(self) -> None:
        """The client takes output again, and no task is running."""
        self._continue_flush()

    def _continue_flush(self) -> None:
        outbuf = self.outbuf
        if outbuf is None:
            self._finish_answer()
            return
        before = outbuf.flushed_bytes
        try:
            empty = outbuf.flush(self.sock)
        except BrokenFileError as error:
            say(logging.ERROR, "the answer to %s is cut off: %s", self.peer, error)
            self._cut = True
            self._finish_answer()
            return
        except OSError:
            self.close()
            return
        if not empty:
            if self.deadline == NEVER or self._mask != WRITE:
                self._start_flush_clock()
            sent = outbuf.flushed_bytes - before
            self._count_flushed(sent)
            if sent or self._mask != WRITE:
                self._fruitless_events = 0
                self._watch(WRITE)
            else:
                self._note_no_progress()
            return
        self._finish_answer()

    def _finish_answer(self) -> None:
        """Everything that can be sent is with the kernel: keep the connection, or end it."""
        self._drop_outbuf()
        connection = self.connection
        if self._cut and connection.encoder.ends_with_connection:
            # Where the end of the connection is the end of the body, only a reset tells a cut answer from a complete
            # one. Elsewhere framing shows what is missing, and earlier answers on their way must not be destroyed.
            self.close(reset=True)
        elif not self._cut and connection.encoder.sending is _WAIT:
            self._become_idle()
            self.dispatcher.ready.append((self.fd, 0))
        elif (
            self._may_receive_more
            or connection.reader.dropped_bytes
            # Nothing of a small answer is left here that a reset could destroy.
            or unacknowledged_bytes(self.sock) > IN_FLIGHT_BYTES
        ):
            self._linger()
        else:
            self.close()

    def _linger(self) -> None:
        """Shut our side and read on for a while: a close with unread bytes would destroy the answer on its way."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._move(Move.LINGER)
        self.deadline = self.dispatcher.now + self._settings.deadlines.linger_seconds
        self._watch(READ)

    def on_lingering(self) -> None:
        """Drop what a client sends that will get no answer."""
        try:
            if not self.sock.recv(DROP_BYTES):
                self.close()
        except WOULD_BLOCK:
            self._note_no_progress()
        except OSError:
            self.close()

    def _drop_outbuf(self) -> None:
        if self.outbuf is not None:
            close, self.outbuf = self.outbuf.close(), None
            if close is not None:
                self.dispatcher.call_soon(close)

    # -- the end: the holder of the role

    def on_deadline(self) -> None:
        """The one deadline of the present state has passed."""
        state = self.state
        if state in (State.HEAD, State.BODY):
            self.refuse(HttpError(408, "The request did not arrive in time."))
        elif state is State.QUEUED:
            self.dispatcher.expire(self)
        elif state in (State.RUNNING, State.FLUSHING):
            with self.dispatcher.role.lock:
                if self.deadline > self.dispatcher.now or self._goes_on_taking():
                    return  # or it was queued when its deadline passed, and at that moment a thread took it
                self.deadline = NEVER
            self.dispatcher.logs.stalled("%s takes its answer too slowly or not at all; cut off", self.peer)
            self.cut_off()
        else:
            self.close()

    def cut_off(self) -> None:
        """Give up a client that does not take its answer. A running task gives the channel back then, and is free."""
        if self.state is State.RUNNING:
            self.abort()
        else:
            self.close()

    def abort(self) -> None:
        """End the connection of a task that still runs; its next write raises. Holder of the role."""
        self.gone = True
        if self.outbuf is not None:
            self.outbuf.break_off()
        connection = self.connection
        with contextlib.suppress(OSError):  # dead already
            if connection.encoder.ends_with_connection:
                # Where the end of the connection is the end of the body, FIN would make the answer look complete.
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            else:
                self.sock.shutdown(socket.SHUT_RDWR)

    def queue(self) -> None:
        """The request waits for a thread. Holder of the role."""
        self._move(Move.QUEUE)
        if not self._mask:
            self._watch(READ)
        self.waiting_since = self.dispatcher.now
        self.deadline = self.dispatcher.now + self._settings.deadlines.queue_seconds

    def close(self, *, reset: bool = False) -> None:
        """Give everything back; with `reset` the client is told that the answer is incomplete. Harmless when closed."""
        if self.state is State.CLOSED:
            return
        reset = reset or self.gone or (self.outbuf is not None and not self.outbuf.is_empty)
        self._move(Move.CLOSE)
        self.deadline = NEVER
        try:
            self._drop_request()
            self._drop_outbuf()
        finally:  # whatever fails, the descriptor is given back and the poller forgets it
            self._let_go(reset=reset)

    def _let_go(self, *, reset: bool) -> None:
        with contextlib.suppress(OSError):  # the socket must be closed whatever the poller says
            if self._mask:
                self._watch(0)
        if reset:
            with contextlib.suppress(OSError):  # dead already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.dispatcher.forget(self)
        self.sock.close()

    def leave_behind(self) -> None:
        """The server ends while the task still runs; the poller ends before it. The thread that owns the server."""
        with self.dispatcher.role.lock, contextlib.suppress(OSError):
            if self._mask:
                self._watch(0)

    def watch(self) -> None:
        """Make the poller know a new channel. Holder of the role, under its lock."""
        if not self._mask and self.state is not State.CLOSED:
            self._watch(READ)

    def _move(self, move: Move) -> None:
        state = NEXT[self.state][move]
        if state is None:
            raise ProtocolMisuse(f"a channel cannot {move.name} in state {self.state.name}")
        self.state = state
