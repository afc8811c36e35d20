"""One request and its response: the job that a thread runs, and the transport through which its task answers.

An exchange is owned by the holder of the dispatcher role, except while it is QUEUED or RUNNING: then its task owns it.
What both do with what is written is in `outgoing.py`. Where the exchange goes from one to the other, they meet under
the role's lock. An exchange that is *revoked* belongs to nobody: its task can neither write nor settle any more.

HTTP/1 has one request at a time, so one exchange serves all requests of a connection: to use it again costs a third of
a new one. Knows nothing of reading, and of its connection what `Line` says.
"""

import contextlib
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.states import Reading, Sending
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import EventLoop, Line
from waitressd.net.ledger import FAST, FAST_SECONDS, FAST_SUM, ROUTE, SCHEME
from waitressd.net.logs import report_defect, say
from waitressd.net.outgoing import Outgoing
from waitressd.net.poller import READ, WRITE
from waitressd.net.progress import NEVER
from waitressd.net.recorder import Fault, why_refused
from waitressd.net.states import NEXT, ChannelState, ExchangeMove, ExchangeState
from waitressd.net.timelimit import override
from waitressd.net.wire import BrokenFileError

if TYPE_CHECKING:
    from waitressd.http.events import Request
    from waitressd.net.progress import Upload

TARGET_CHARACTERS: Final = 120  # of a request's target in a line
# As plain globals: looking a member up in its class costs as much as the transition (45 ns of a request each, and a
# connection that brings one request would look up twenty).
_WORDS: Final = {state: state.name.lower() for state in ExchangeState}  # `name` is a property, and slow
_WAIT: Final = Sending.WAIT
_RUN: Final = ExchangeMove.RUN
_KEEP: Final = ExchangeMove.KEEP
_RUNNING: Final = ExchangeState.RUNNING
_QUEUED: Final = ExchangeState.QUEUED
_QUEUE: Final = ExchangeMove.QUEUE
_FLUSH: Final = ExchangeMove.FLUSH
_END: Final = ExchangeMove.END
_HEAD: Final = ExchangeState.HEAD  # the last state in which a request is not worth a count
_REVOKED: Final = ExchangeState.REVOKED  # the first state in which the connection has lost its exchange
_OPEN: Final = ChannelState.OPEN


class _NoLine:
    """What an exchange has for a connection once that is over for it.

    Channel and exchange know each other. If they went on doing so, each closed connection would be nine objects that
    only the garbage collector frees: 6 % of the CPU time of a client that comes for one request (measured).
    """

    connection = exchange = origin = wire = None
    fd, number, mask = -1, 0, 0
    state = ChannelState.CLOSED
    can_be_passed = False

    def close(self, *, reset: bool = False) -> None:
        """It is closed."""


_NO_LINE: Final = cast("Line", _NoLine())


class Exchange(Outgoing):
    """One request and its response. See the module for who may call what.

    Its moments (`_at`, and `waiting_since`) are monotonic seconds, 0.0 for one that did not come or was not noted: a
    request that comes in one piece, runs at once and is answered in whole has none of its own.
    """

    __slots__ = (
        "ask_bytes", "began_at", "body", "connection", "ended_by", "environ", "failure", "failure_text", "number",
        "reader", "request", "returned_at", "started_at", "upload", "waiting_since",
    )  # fmt: skip

    def __init__(self, line: Line, connection: Connection, loop: EventLoop, settings: ChannelSettings) -> None:
        super().__init__(line, connection.encoder, loop, settings)
        self.connection = connection
        self.reader = connection.reader
        self.ask_bytes = settings.recv_bytes  # of the next read
        self.number = 1  # of the request on its connection
        self.request: Request | None = None
        self.body: BinaryIO | None = None
        self.upload: Upload | None = None  # of a body that did not come with its head
        self.environ: dict[str, Any] | None = None  # what the application was called with, while its task has it
        self.failure: BaseException | None = None  # what the application raised, or why the server refused
        self.failure_text = ""  # the same in a line, of the last exception of an application on this connection
        self.ended_by = ""  # why the server answered by itself, as `why_refused` says it
        self.began_at = 0.0  # the first bytes, if the request did not come in one piece
        self.waiting_since = 0.0  # it was complete; of an earlier request as long as this one is not
        self.started_at = 0.0  # a thread had it; noted, as the next one is, where the answer took longer than its task
        self.returned_at = 0.0  # the application was done

    # -- what is said of it

    @property
    def scheme(self) -> str:
        """The scheme of its listener."""
        return self.settings.scheme

    def describe(self) -> str:
        """Name the request as log lines do. Any thread."""
        request = self.request
        if request is None:
            return "a request that has just ended"
        # Without the query, where people put what does not belong into a log.
        return f"{request.method} {request.target.partition('?')[0][:TARGET_CHARACTERS]}"

    @property
    def phase(self) -> str:
        """How far the request has come, as operators read it. Any thread."""
        state = self.state
        if state <= ExchangeState.BODY and self.reader.reading is Reading.DONE:  # and begins soon
            state = ExchangeState.QUEUED
        return _WORDS[state]

    @property
    def may_be_followed(self) -> bool:
        """Whether bytes may be on their way that will get no response.

        A client that asked for the end itself sends no more, except for a body (and old ones for a line end behind
        it); any other may have sent its next request already.
        """
        request = self.request
        return request is None or isinstance(self.failure, HttpError) or request.keep_alive or not request.complete

    @property
    def is_over(self) -> bool:
        """Whether the client has got everything that was begun."""
        return self.fault is None and self.encoder.sending in (_WAIT, Sending.DONE)

    # -- before a thread has it: the holder of the role

    def expect(self, move: ExchangeMove, deadline: float) -> None:
        """A request has begun, or its head is here: more of it must come until then."""
        self.move(move)
        self.deadline = deadline
        if not self.began_at:
            self.began_at = self.loop.now

    def refuse(self, error: HttpError) -> bool:
        """Answer by the server itself, then end the connection; always True."""
        self._forget_task()
        return self._answer(error)

    def _answer(self, error: HttpError) -> bool:
        if self.recorder is not None:
            self.recorder.on_refusal(self, error)
        self.failure, self.ended_by = error, why_refused(error, self.state)
        self.move(ExchangeMove.REFUSE)
        self._drop_body()
        data = self.connection.encode_error(error, self.settings.http_date())
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        self.push(data)
        if self.state is ExchangeState.FLUSHING:
            self.flush()
        return True

    def _forget_task(self) -> None:
        """No thread has had the request: what is noted is of an earlier one."""
        if self.state < _RUNNING:
            self.started_at = self.returned_at = 0.0
            if self.state is not ExchangeState.QUEUED:
                self.waiting_since = 0.0

    def wait(self) -> None:
        """The request has waited long for its turn; harmless when it waits already."""
        if self.state is not _QUEUED:
            self.state = NEXT[self.state][_QUEUE]  # type: ignore[assignment]  # as in begin()
            self.waiting_since = self.loop.heard_at
            self.deadline = self.waiting_since + self.settings.deadlines.queue_timeout

    def queue(self) -> None:
        """The request waits for a thread; harmless when it does already."""
        self.wait()
        if not self.line.mask:
            self.line.watch(READ)

    # -- the task

    def begin(self) -> None:
        """A thread has the request. Holder of the role, or a task thread that took it out of the queue."""
        self.state = NEXT[self.state][_RUN]  # type: ignore[assignment]  # _move without its call, 60 ns of a request
        self.deadline = NEVER
        self.send_count = 0
        if self.loop.draining and not (self.line.can_be_passed and self.loop.has_heir()):
            self.encoder.forbid_keep_alive()

    def run(self) -> None:
        """Answer the request. Task thread; never raises."""
        request = self.request
        if request is None:  # its connection ended when the job was passed on
            return
        if self.recorder is not None:
            self.recorder.on_start(self)
        if self.fault is None:
            try:
                self.context = context = copy_context()
                context.run(self.settings.handler, request, self.body, self)
            except BaseException:  # border: the handler has one of its own; this keeps the thread if that fails
                report_defect("the handler of %s failed", self.whose())
                self.break_off(Fault.CUT)
        if self.recorder is not None:  # looked at anew: a child that comes back from the application has none
            self.recorder.on_return(self)

    def set_request_timeout(self, seconds: float) -> None:
        """Give the present request its own limit, from its start on; 0 for none. Task thread. Raises ValueError."""
        override(self, seconds, self.loop.limit(seconds))

    def fail(self, error: BaseException) -> None:
        """The application raised, or its answer cannot be sent. Task thread.

        What an exception says is said by code of the application, which must not run in the event loop.
        """
        self.failure = error
        ledger = self.loop.ledger
        if ledger is not None and ledger.describe is not None:
            self.failure_text = ledger.describe(error)

    # -- after the task: the holder of the role, or the task thread under the role's lock

    def note(self, started_at: float, returned_at: float) -> None:
        """The task ran without the role, or took longer than a moment. Who settles it next."""
        self.started_at, self.returned_at = started_at, returned_at
        held = self.loop.held  # read once: the holder of the role may take it away at any time
        if held is not None and not returned_at:
            held.lend(self)

    def settle_aside(self) -> bool:
        """Take the exchange back without the role, if nothing is left to do but to wait for the next request."""
        if self.state is not _RUNNING:  # revoked
            return False
        answered = self.outbuf is None and self.fault is None and self.encoder.sending is _WAIT
        if not answered or self.line.state is not _OPEN or self.reader.buffer or self.loop.draining:
            return False
        ledger = self.ledger
        if ledger is not None and ledger.is_unusual(self):  # more than a count becomes of it, and that takes a while
            return False
        try:
            if self.line.mask != READ:
                self.line.watch(READ)
        except OSError:  # the poller failed: nobody would hear the next request
            self.fault = Fault.CLIENT
            return False
        if ledger is not None:
            ledger.add(self, ledger.aside, self.returned_at)
        self.become_idle()
        return True

    def settle(self, started_at: float = 0.0) -> None:
        """Take the exchange back from its task, which has begun then if it ran inline. Holder of the role."""
        if self.outbuf is not None or self.fault is not None or self.encoder.sending is not _WAIT:
            if started_at:
                self.note(started_at, self.loop.now)
            self._settle_slowly()
            return
        ledger = self.ledger
        if ledger is not None:
            # Written out for nearly every request of a busy server: a call would cost as much again.
            seconds = self.loop.now - (self.began_at or self.waiting_since)
            if seconds < FAST_SECONDS:
                request: Any = self.request
                environ: Any = self.environ
                head: Any = self.encoder.response_head
                try:
                    route = environ[ROUTE] if ROUTE in environ else ""  # noqa: SIM401 - get() would take twice the time
                    row = ledger.fast[route, request.method, head.code, environ[SCHEME]]
                    row[FAST] += 1
                    row[FAST_SUM] += seconds
                except Exception:  # border: the first of its kind, or whatever the application has put there
                    self._count(started_at)
            else:
                self._count(started_at)
        self.become_idle()
        if self.reader.buffer or self.line.state is not _OPEN:
            self.loop.again(self.line.fd)

    def _count(self, started_at: float = 0.0) -> None:
        """The request has ended, in a way of which more is to be said. Holder of the role."""
        if started_at:
            self.note(started_at, self.loop.now)
        ledger = self.ledger
        if ledger is not None:
            ledger.add(self, ledger.inline, self.loop.now)

    def keep(self) -> None:
        """What was left of the response is with the kernel, and the next request may come. Holder of the role."""
        self._count()
        self.become_idle()

    def become_idle(self) -> None:
        """Forget the request that was answered; the next one may come."""
        self.request = self.context = self.environ = self.failure = None
        self.began_at = 0.0
        self.number += 1
        if self.body is not None:
            self._drop_body()
        loop = self.loop
        # The deadline first: a sweep that sees an idle exchange without one would not come again.
        self.deadline = loop.now + loop.idle_seconds
        self.state = NEXT[self.state][_KEEP]  # type: ignore[assignment]  # as in begin()
        line = self.line
        if line.mask != READ:
            line.watch(READ)

    def _settle_slowly(self) -> None:
        if self.state is not _RUNNING:
            self._let_go()
        elif self.is_broken:
            self.move(ExchangeMove.FLUSH)  # the task has it no more
            self.line.close()
        else:
            if not self.encoder.response_done:
                self.fault = Fault.CUT
            if self.body is not None or self.upload is not None:
                self._drop_body()
            self.move(_FLUSH)
            self.flush()

    # -- sending what is left: the holder of the role

    def flush(self) -> None:
        """The client takes output, and no task is running: send on, and finish when everything is with the kernel."""
        outbuf = self.outbuf
        if outbuf is None:
            self._finish()
            return
        before = outbuf.flushed_bytes
        try:
            is_empty = outbuf.flush(self.wire)
        except BrokenFileError as error:
            say(logging.ERROR, "the answer to %s is cut off: %s", self.whose(), error)
            self.fault = Fault.CUT
            self._finish()
            return
        except OSError:
            self.line.close()
            return
        if is_empty:
            self._finish()
            return
        line = self.line
        if self.deadline == NEVER or line.mask != WRITE:
            self.start_flush_clock()
        if outbuf.flushed_bytes > before or line.mask != WRITE or self.settings.tls:  # whose records move in parts
            self.look_at_delivery()
            line.watch(WRITE)
        else:
            line.note_no_progress()

    def _finish(self) -> None:
        """Everything that can be sent is with the kernel."""
        if self.recorder is not None:
            self.recorder.on_end(self)
        if self.outbuf is not None:
            self._drop_outbuf()
        self.line.finish()

    # -- the end: the holder of the role

    def give_up(self, fault: Fault) -> None:
        """End the connection; a task that still runs gives the exchange back then, and is free."""
        if self.state in (ExchangeState.QUEUED, ExchangeState.RUNNING):
            self.break_off(fault)
            self.line.cut(reset=self.encoder.ends_with_connection)
        else:
            if self.state is not ExchangeState.IDLE:
                self.fault = self.fault or fault
            self.line.close()

    def let_go(self) -> None:
        """Lose it in a child that was only forked; the parent records it. The child's only thread takes no lock."""
        self.fault = Fault.CLIENT
        for part in (self.recorder, self.outbuf):
            if part is not None:
                part.let_go()

    def revoke(self, fault: Fault) -> None:
        """Take the exchange from its task, which can neither write nor settle any more; the connection is over.

        Holder of the role, or the thread that owns the server when no thread leads. Only for one that is RUNNING. The
        descriptor is given back when the task returns: the system would give its number to the next connection, and
        the task might be about to write.
        """
        with self.loop.lock:
            if self.state is not _RUNNING:
                return  # the task has settled meanwhile
            self.break_off(fault)
            with contextlib.suppress(OSError):  # whatever the poller says
                if self.line.mask:
                    self.line.watch(0)
            self.move(ExchangeMove.REVOKE)
            self.deadline = NEVER
        if self.recorder is not None:
            self.recorder.on_end(self)
        self._count(max(self.started_at, self.waiting_since))  # inline, it began at once
        self.line.close(reset=True)

    def answer_instead(self, error: HttpError) -> None:
        """Answer in place of the task, which may not any more, and end the connection. Holder of the role.

        By an exchange and a protocol that are new: the task may be in the middle of using this one and its own.
        """
        request, line = self.request, self.line
        assert request is not None
        line.connection = connection = self.settings.connect()
        line.exchange = other = Exchange(line, connection, self.loop, self.settings)
        connection.succeed(request)
        other.request, other.number, other.environ = request, self.number, self.environ
        other.began_at, other.waiting_since = self.began_at, self.waiting_since
        other.started_at = self.timing.started if self.timing is not None else 0.0
        other.outbuf, self.outbuf = self.outbuf, None  # a 100 Continue that has not left yet
        other._taken_bytes = self._taken_bytes
        if self.recorder is not None:
            other.recorder = self.recorder.part()
        other._answer(error)

    def end(self) -> None:
        """The connection ends, or brings no further request: let go of everything."""
        if self.state >= _REVOKED:
            return  # the task lets go of the rest
        if self.state < _RUNNING:
            self._forget_task()
        if self.recorder is not None:
            self.recorder.on_end(self)
        if self.ledger is not None and self.state > _HEAD:
            self._count()
        self.move(_END)
        self.deadline = NEVER
        if self.body is not None or self.upload is not None:
            self._drop_body()
        if self.outbuf is not None:
            self._drop_outbuf()
        self.request = self.context = self.environ = self.failure = None
        self.line = _NO_LINE

    def close(self) -> None:
        """Settling failed: end the connection."""
        if self.state is _RUNNING:
            self.move(ExchangeMove.FLUSH)  # the task has it no more
        self.line.close()

    def _let_go(self) -> None:
        """The task of an exchange that was taken from it has returned. Any thread."""
        self._drop_body()
        self._drop_outbuf()
        if self.state is ExchangeState.DETACHED:  # the connection has gone on without it
            self.move(ExchangeMove.END)
            return
        with self.loop.lock:
            self.release()

    def release(self) -> None:
        """Of the task and the connection, which share the descriptor of a revoked exchange, the last one closes it.

        Any thread, under the role's lock.
        """
        if self.state is ExchangeState.REVOKED:
            self.move(ExchangeMove.END)
        else:
            self.wire.close()

    def _drop_body(self) -> None:
        if self.body is not None:
            try:  # noqa: SIM105 - suppress() would take ten times as long, of each small body
                self.body.close()
            except (OSError, BufferError):  # of what the application does with it
                pass
            self.body = None
        if self.upload is not None:
            self.upload.close()
            self.upload = None

    def move(self, move: ExchangeMove) -> None:
        """Change the state. Raises ProtocolMisuse: the move is not in the table."""
        state = NEXT[self.state][move]
        if state is None:
            raise ProtocolMisuse(f"an exchange cannot {move.name} in state {self.state.name}")
        self.state = state
