"""One request and its response: the job that a thread runs, and the transport through which its task answers.

An exchange is owned by the holder of the dispatcher role, except while it is QUEUED or RUNNING: then its task owns it.
A task thread calls `write`, `write_parts`, `write_file` and `is_gone`; the holder of the role meanwhile sends what was
left behind. The two meet in the output buffer, under its lock, and where the exchange goes from one to the other, under
the role's lock. An exchange that is *revoked* belongs to nobody: its task can neither write nor settle any more.

HTTP/1 has one request at a time, so one exchange serves all requests of a connection: to use it again costs a third of
a new one. Knows nothing of reading, and of its connection what `Line` says.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from waitressd.http.connection import Connection
from waitressd.http.errors import ClientDisconnected, HttpError, Overdue, ProtocolMisuse
from waitressd.http.states import Sending
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import NEVER, EventLoop, Line
from waitressd.net.logs import report_defect, say
from waitressd.net.outbuf import FilePart, OutBuffer, after
from waitressd.net.poller import PARKED, READ, WRITE
from waitressd.net.progress import Delivery, Upload
from waitressd.net.recorder import Fault, Recorder
from waitressd.net.states import NEXT, ChannelState, ExchangeMove, ExchangeState
from waitressd.net.timelimit import Timing, override
from waitressd.net.wire import WOULD_BLOCK, BrokenFileError, Sender, send_parts

if TYPE_CHECKING:
    from waitressd.http.events import Request

TARGET_CHARACTERS: Final = 120  # of a request's target in a line
# As plain globals: looking a member up in its class costs as much as the transition (45 ns of a request each).
_WAIT: Final = Sending.WAIT
_RUN: Final = ExchangeMove.RUN
_KEEP: Final = ExchangeMove.KEEP
_RUNNING: Final = ExchangeState.RUNNING
_OPEN: Final = ChannelState.OPEN


class Exchange:
    """One request and its response. See the module for who may call what."""

    __slots__ = (
        "body", "connection", "context", "deadline", "delivery", "encoder", "environ", "fault", "line", "loop",
        "number", "origin", "out", "outbuf", "reader", "recorder", "request", "settings", "state", "timing", "upload",
        "waiting_since", "wire",
    )  # fmt: skip

    def __init__(self, line: Line, connection: Connection, loop: EventLoop, settings: ChannelSettings) -> None:
        self.line = line
        self.wire = line.wire
        self.out: Sender = line.wire  # where the task's bytes go first; something else while it may run out of time
        self.timing: Timing | None = None  # once a request may run out of time
        self.origin = line.origin  # where the request comes from
        self.connection = connection
        self.encoder = connection.encoder
        self.reader = connection.reader
        self.loop = loop
        self.settings = settings
        self.state = ExchangeState.IDLE
        self.deadline = loop.now + loop.idle_seconds
        self.number = 1  # of the request on its connection
        self.request: Request | None = None
        self.body: BinaryIO | None = None
        # Of the task alone, a copy of its thread's (`contextvars`). What is called for it later runs in it, too.
        self.context: Context | None = None
        self.upload: Upload | None = None  # of a body that did not come with its head
        self.delivery: Delivery | None = None  # how the client takes what waits for it
        self.outbuf: OutBuffer | None = None  # once the kernel took less than was written
        self.fault: Fault | None = None  # why the response breaks off
        self.waiting_since = 0.0  # when the request was queued
        self.environ: dict[str, Any] | None = None  # what the application was called with, while its task has it
        self.recorder = Recorder(settings.observer) if settings.observer is not None else None

    # -- what is said of it

    @property
    def is_broken(self) -> bool:
        """Whether nothing more goes out: what the task writes now raises. Any thread."""
        return self.fault is not None and self.fault is not Fault.CUT

    def describe(self) -> str:
        """Name the request as log lines do. Any thread."""
        request = self.request
        if request is None:
            return "a request that has just ended"
        # Without the query, where people put what does not belong into a log.
        return f"{request.method} {request.target.partition('?')[0][:TARGET_CHARACTERS]}"

    @property
    def key(self) -> tuple[int, int]:
        """The numbers of its connection and, on it, of its request. Any thread."""
        return self.line.number, self.number

    def whose(self) -> str:
        """Name its client as log lines do. Any thread."""
        return str(self.origin.peer)

    # -- before a thread has it: the holder of the role

    def expect(self, move: ExchangeMove, deadline: float) -> None:
        """A request has begun, or its head is here: more of it must come until then."""
        self.move(move)
        self.deadline = deadline
        if self.recorder is not None:
            self.recorder.on_first_byte()

    def succeed(self, former: "Exchange") -> None:
        """Answer the request of another exchange, whose task may yet use that one. Holder of the role."""
        self.number, self.environ, self.waiting_since = former.number, former.environ, former.waiting_since
        assert former.request is not None
        self.connection.succeed(former.request)
        self.outbuf, former.outbuf = former.outbuf, None  # a 100 Continue that has not left yet
        if former.recorder is not None:
            self.recorder = former.recorder.part()

    def refuse(self, error: HttpError) -> bool:
        """Answer by the server itself, then end the connection; always True."""
        if self.recorder is not None:
            self.recorder.on_refusal(self, error)
        self.move(ExchangeMove.REFUSE)
        self.request = None
        self._drop_body()
        data = self.connection.encode_error(error, self.settings.http_date())
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        self.push(data)
        if self.state is ExchangeState.FLUSHING:
            self.flush()
        return True

    def queue(self) -> None:
        """The request waits for a thread; harmless when it does already."""
        if self.state is ExchangeState.QUEUED:
            return
        self.move(ExchangeMove.QUEUE)
        if not self.line.mask:
            self.line.watch(READ)
        self.waiting_since = self.loop.heard_at
        self.deadline = self.waiting_since + self.settings.deadlines.queue_timeout

    # -- the task

    def begin(self) -> None:
        """A thread has the request. Holder of the role, or a task thread that took it out of the queue."""
        self.state = NEXT[self.state][_RUN]  # type: ignore[assignment]  # _move without its call, 60 ns of a request
        self.deadline = NEVER
        if self.loop.draining:
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

    def is_gone(self) -> bool:
        """Whether the client has left, or will at least send no more. Any thread."""
        return self.fault is not None or self.line.state is not _OPEN

    def may_answer(self) -> bool:
        """Whether the server has not answered in place of the task, and will not from here on. Task thread."""
        return self.out is self.wire or self.timing is None or self.timing.take()

    def set_request_timeout(self, seconds: float) -> None:
        """Give the present request its own limit, from its start on; 0 for none. Task thread. Raises ValueError."""
        override(self, seconds, self.loop.limit(seconds))

    def write(self, data: bytes) -> None:
        """Send what the kernel takes, keep the rest. Task thread.

        Waits while more than the high water is pending, at most until the stall deadline. Raises ClientDisconnected.
        """
        if self.fault is not None:
            raise self._lose(self.fault)
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        if self.outbuf is None:
            try:
                sent = self.out.send(data)
            except WOULD_BLOCK:
                sent = 0
            except OSError:
                raise self._lose(Fault.CLIENT) from None
            if sent == len(data):
                return
            self._write_slowly((memoryview(data)[sent:],))
        else:
            self._write_slowly((data,))

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """`write` of several pieces in order, without joining them. Task thread. Raises ClientDisconnected."""
        if self.fault is not None:
            raise self._lose(self.fault)
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        sent = 0
        if self.outbuf is None:
            try:
                sent = send_parts(self.out, parts)
            except WOULD_BLOCK:
                pass
            except OSError:
                raise self._lose(Fault.CLIENT) from None
            if sent == sum(map(len, parts)):
                return
        self._write_slowly(after(parts, sent))

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Send a stretch of a regular file; it must be the last thing of the response. Task thread.

        `close` is called once, by a task thread, when the bytes are out, or when this raises ClientDisconnected.
        """
        if self.fault is not None:
            close()
            raise self._lose(self.fault)
        part = FilePart(file, offset, count, close)
        try:
            while part.count and self.outbuf is None:
                part.send(self.wire)
        except (*WOULD_BLOCK, BrokenFileError):
            pass  # a broken file is seen again when what is left of it is sent
        except OSError:
            close()
            raise self._lose(Fault.CLIENT) from None
        if not part.count:
            close()
            return
        self._new_outbuf().attach(part)
        self._write_slowly(())

    def _write_slowly(self, parts: Sequence[bytes | memoryview]) -> None:
        if not self.may_answer():  # what waits so far is only a 100 Continue
            raise self._lose(Fault.TIMEOUT)
        outbuf = self._new_outbuf()
        # Before more is kept, not after: a task that has nothing more to say need not wait until its client took it.
        # One comparison without the lock: a number that is just being lowered only makes the wait end at once.
        if parts and outbuf.pending_bytes > self.settings.output.outbuf_overflow:
            self._wait_below_high_water(outbuf)
        if self.fault is not None:
            raise self._lose(self.fault)
        had_failed = outbuf.spool_failure
        try:
            outbuf.append(self.wire, parts)
        except OSError:
            raise self._lose(Fault.CLIENT) from None
        if outbuf.spool_failure is not had_failed:
            self.loop.logs.spool("cannot keep an answer to %s on disk: %s", self.whose(), outbuf.spool_failure)
        if not outbuf.unsent_bytes:
            return
        try:
            with self.loop.lock:
                if self.state is ExchangeState.RUNNING and not self.line.mask & WRITE:
                    self.start_flush_clock()
                    self.line.watch(PARKED | WRITE)
        except OSError:  # the poller cannot take it: nobody would send the rest
            raise self._lose(Fault.CLIENT) from None

    def _wait_below_high_water(self, outbuf: OutBuffer) -> None:
        """Wait until the client has taken enough. Raises ClientDisconnected when it takes nothing."""
        deadline = self.deadline
        while not outbuf.wait_below_high_water(self.settings.deadlines.send_timeout):
            # The holder of the role looks often enough whether the client takes anything, and moves its deadline.
            if self.fault is not None or self.deadline in (deadline, NEVER):
                raise self._lose(self.fault or Fault.CLIENT)
            deadline = self.deadline

    def _new_outbuf(self) -> OutBuffer:
        if self.outbuf is None:
            self.outbuf = OutBuffer(self.settings.output, self.settings.machine)
        return self.outbuf

    def _lose(self, fault: Fault) -> ClientDisconnected:
        """Note in the task's thread that a write went nowhere; return what says so to the task."""
        self.fault = self.fault or fault
        if self.recorder is not None:
            self.recorder.on_loss()
        what = Overdue if self.fault is Fault.TIMEOUT else ClientDisconnected
        return what(self.fault.describe(self.origin.peer))

    # -- after the task: the holder of the role, or the task thread under the role's lock

    def settle_aside(self) -> bool:
        """Take the exchange back without the role, if nothing is left to do but to wait for the next request."""
        if self.state is not _RUNNING:  # revoked
            return False
        answered = self.outbuf is None and self.fault is None and self.encoder.sending is _WAIT
        if not answered or self.line.state is not _OPEN or self.reader.buffer or self.loop.draining:
            return False
        try:
            if self.line.mask != READ:
                self.line.watch(READ)
        except OSError:  # the poller failed: nobody would hear the next request
            self.fault = Fault.CLIENT
            return False
        self.become_idle()
        return True

    def settle(self) -> None:
        """Take the exchange back from its task. Holder of the role."""
        if self.outbuf is not None or self.fault is not None or self.encoder.sending is not _WAIT:
            self._settle_slowly()
            return
        self.become_idle()
        if self.reader.buffer or self.line.state is not _OPEN:
            self.loop.again(self.line.fd)

    def become_idle(self) -> None:
        """The response is out, and the next request may come."""
        self.request = self.context = self.environ = None
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
            self._drop_body()
            self.move(ExchangeMove.FLUSH)
            self.flush()

    # -- sending what is left: the holder of the role

    def push(self, data: bytes) -> None:
        """Send bytes of the server's own; they are few, so what the kernel does not take is kept."""
        sent = 0
        try:
            if self.outbuf is None:  # else it goes behind what waits already
                with contextlib.suppress(*WOULD_BLOCK):
                    sent = self.wire.send(data)
            if sent < len(data):
                self._new_outbuf().append(self.wire, (data[sent:],))
        except OSError:
            self.line.close()

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

    def flush_while_busy(self) -> None:
        """Send what a running task left behind. Holder of the role, without the lock."""
        outbuf = self.outbuf
        if outbuf is None:
            return
        before = outbuf.flushed_bytes
        try:
            outbuf.flush(self.wire)
        except BrokenFileError:
            pass  # the end of the response in any case: it is dealt with when the task is over
        except OSError:
            self.break_off(Fault.CLIENT)
        if not outbuf.pending_bytes:
            self.deadline = NEVER
        elif outbuf.flushed_bytes > before:
            self.look_at_delivery()

    def _finish(self) -> None:
        """Everything that can be sent is with the kernel."""
        if self.recorder is not None:
            self.recorder.on_end(self)
        self._drop_outbuf()
        self.line.finish()

    def start_flush_clock(self) -> None:
        """The client has to take from here on what waits for it. Under the role's lock while a task runs."""
        assert self.outbuf is not None
        now = self.loop.now
        self.delivery = Delivery(self.settings.deadlines, self.outbuf, self.wire, now)
        self.deadline = self.delivery.look(now)

    def look_at_delivery(self) -> None:
        """See whether the client takes anything; then it has a new deadline."""
        if self.delivery is not None:
            self.deadline = self.delivery.look(self.loop.now)

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

    def break_off(self, fault: Fault) -> None:
        """The task's next write raises, and one that waits does. The role's lock may be held."""
        self.fault = self.fault or fault
        if self.outbuf is not None:
            self.outbuf.break_off()

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
        self.line.close(reset=True)

    def end(self) -> None:
        """The connection ends, or brings no further request: let go of everything."""
        if self.state >= ExchangeState.REVOKED:
            return  # the task lets go of the rest
        if self.recorder is not None:
            self.recorder.on_end(self)
        self.move(ExchangeMove.END)
        self.deadline = NEVER
        self._drop_body()
        self._drop_outbuf()
        self.request = self.context = None

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
            with contextlib.suppress(OSError, BufferError):  # of what the application does with it
                self.body.close()
            self.body = None
        if self.upload is not None:
            self.upload.close()
            self.upload = None

    def _drop_outbuf(self) -> None:
        if self.outbuf is not None:
            close, self.outbuf, self.delivery = self.outbuf.close(), None, None
            if close is not None:
                self.loop.run_in_pool(close if self.context is None else partial(self.context.run, close))

    def move(self, move: ExchangeMove) -> None:
        """Change the state. Raises ProtocolMisuse: the move is not in the table."""
        state = NEXT[self.state][move]
        if state is None:
            raise ProtocolMisuse(f"an exchange cannot {move.name} in state {self.state.name}")
        self.state = state
