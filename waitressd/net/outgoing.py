"""What goes out of one exchange: what its task writes, and what the client has not taken of it yet.

A task thread calls `write`, `write_parts`, `write_file` and `is_gone`; the holder of the dispatcher role meanwhile
sends what was left behind. The two meet in the output buffer, under its lock. Knows nothing of the request.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from waitressd.http.encoder import ResponseEncoder
from waitressd.http.errors import ClientDisconnected, Overdue
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import EventLoop, Line
from waitressd.net.outbuf import FilePart, OutBuffer, after
from waitressd.net.poller import PARKED, WRITE
from waitressd.net.progress import NEVER, Delivery
from waitressd.net.recorder import Fault, Recorder
from waitressd.net.states import ChannelState, ExchangeState
from waitressd.net.wire import WOULD_BLOCK, BrokenFileError, Sender, send_parts

if TYPE_CHECKING:
    from contextvars import Context

    from waitressd.net.timelimit import Timing

# As plain globals: looking a member up in its class costs as much as the comparison.
_OPEN: Final = ChannelState.OPEN
_IDLE: Final = ExchangeState.IDLE


class Outgoing:
    """The way out of an exchange. See the module for who may call what."""

    __slots__ = (
        "_taken_bytes", "context", "deadline", "delivery", "encoder", "fault", "ledger", "line", "loop", "lost_at",
        "origin", "out", "outbuf", "recorder", "send_count", "settings", "state", "timing", "wire",
    )  # fmt: skip

    def __init__(self, line: Line, encoder: ResponseEncoder, loop: EventLoop, settings: ChannelSettings) -> None:
        self.line = line
        self.wire = line.wire
        self.out: Sender = line.wire  # where the task's bytes go first; something else while it may run out of time
        self.timing: Timing | None = None  # once a request may run out of time
        self.origin = line.origin  # where the request comes from
        self.encoder = encoder
        self.loop = loop
        self.ledger = loop.ledger
        self.settings = settings
        self.state = _IDLE
        self.deadline = loop.now + loop.idle_seconds
        # Of the task alone, a copy of its thread's (`contextvars`). What is called for it later runs in it, too.
        self.context: Context | None = None
        self.delivery: Delivery | None = None  # how the client takes what waits for it
        self.outbuf: OutBuffer | None = None  # once the kernel took less than was written
        self.fault: Fault | None = None  # why the response breaks off
        self.lost_at = 0.0  # when a write found that nothing more of it goes out
        self.recorder = Recorder(settings.observer, line.number) if settings.observer is not None else None
        self.send_count = 0  # of the present task
        self._taken_bytes = 0  # see `sent_bytes`

    @property
    def is_broken(self) -> bool:
        """Whether nothing more goes out: what the task writes now raises. Any thread."""
        return self.fault is not None and self.fault is not Fault.CUT

    @property
    def sent_bytes(self) -> int:
        """What the kernel has taken for the client since the connection began, heads included. Any thread."""
        taken_bytes, outbuf = self._taken_bytes, self.outbuf  # in this order, so that nothing is counted twice
        return taken_bytes + (outbuf.flushed_bytes if outbuf is not None else 0)

    def whose(self) -> str:
        """Name its client as log lines do. Any thread."""
        return str(self.origin.peer)

    def is_gone(self) -> bool:
        """Whether the client has left, or will at least send no more. Any thread."""
        return self.fault is not None or self.line.state is not _OPEN

    def write(self, data: bytes) -> None:
        """Send what the kernel takes, keep the rest. Task thread.

        Waits while more than the high water is pending, at most until the stall deadline. Raises ClientDisconnected.
        """
        if self.fault is not None:
            raise self.lose(self.fault)
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        self.send_count += 1
        if self.outbuf is None:
            try:
                sent = self.out.send(data)
            except WOULD_BLOCK:
                sent = 0
            except OSError:
                raise self.lose(Fault.CLIENT) from None
            self._taken_bytes += sent
            if sent == len(data):
                return
            self._write_slowly((memoryview(data)[sent:],))
        else:
            self._write_slowly((data,))

    def write_blocks(self, blocks: Iterator[bytes]) -> None:
        """`write` of each block behind the first one of a response, before the next one is asked for. Task thread.

        Beside the sends this loop is what a stream costs. So what cannot change any more is not looked at again.
        Raises ClientDisconnected, and what `blocks` raises.
        """
        burst = self.loop.bursts.begin(self.out, self.encoder.response_head)
        send = self.out.send if burst is None else burst.send
        try:
            for data in blocks:
                if self.fault is not None or self.outbuf is not None:
                    self.write(data)
                    continue
                try:
                    sent = send(data)
                except WOULD_BLOCK:
                    sent = 0
                except OSError:
                    raise self.lose(Fault.CLIENT) from None
                self.send_count += 1
                self._taken_bytes += sent
                if sent != len(data):
                    self._write_slowly((memoryview(data)[sent:],))
        finally:
            if burst is not None:
                burst.end()

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """`write` of several pieces in order, without joining them. Task thread. Raises ClientDisconnected."""
        if self.fault is not None:
            raise self.lose(self.fault)
        if self.recorder is not None:
            self.recorder.on_write(self.encoder)
        self.send_count += 1
        sent = 0
        if self.outbuf is None:
            try:
                sent = send_parts(self.out, parts)
            except WOULD_BLOCK:
                pass
            except OSError:
                raise self.lose(Fault.CLIENT) from None
            self._taken_bytes += sent
            if sent == sum(map(len, parts)):
                return
        self._write_slowly(after(parts, sent))

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Send a stretch of a regular file; it must be the last thing of the response. Task thread.

        `close` is called once, by a task thread, when the bytes are out, or when this raises ClientDisconnected.
        """
        if self.timing is None:
            self._write_file(file, offset, count, close)
        else:
            self.timing.shielded(self._write_file, file, offset, count, close)

    def _write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        if self.fault is not None:
            close()
            raise self.lose(self.fault)
        part = FilePart(file, offset, count, close)
        try:
            while part.count and self.outbuf is None:
                self._taken_bytes += part.send(self.wire)
        except (*WOULD_BLOCK, BrokenFileError):
            pass  # a broken file is seen again when what is left of it is sent
        except OSError:
            close()
            raise self.lose(Fault.CLIENT) from None
        if not part.count:
            close()
            return
        self._new_outbuf().attach(part)
        self._keep(())

    def may_answer(self) -> bool:
        """Whether the server has not answered in place of the task, and will not from here on. Task thread."""
        timing = self.timing
        return timing is None or self.out is not timing or timing.take()

    def _write_slowly(self, parts: Sequence[bytes | memoryview]) -> None:
        if self.timing is None:
            self._keep(parts)
        else:
            self.timing.shielded(self._keep, parts)

    def _keep(self, parts: Sequence[bytes | memoryview]) -> None:
        if not self.may_answer():  # what waits so far is only a 100 Continue
            raise self.lose(Fault.TIMEOUT)
        outbuf = self._new_outbuf()
        # Before more is kept, not after: a task that has nothing more to say need not wait until its client took it.
        # One comparison without the lock: a number that is just being lowered only makes the wait end at once.
        if parts and outbuf.pending_bytes > self.settings.output.outbuf_overflow:
            self._wait_below_high_water(outbuf)
        if self.fault is not None:
            raise self.lose(self.fault)
        had_failed = outbuf.spool_failure
        try:
            outbuf.append(self.wire, parts)
        except OSError:
            raise self.lose(Fault.CLIENT) from None
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
            raise self.lose(Fault.CLIENT) from None

    def _wait_below_high_water(self, outbuf: OutBuffer) -> None:
        """Wait until the client has taken enough. Raises ClientDisconnected when it takes nothing."""
        deadline = self.deadline
        while not outbuf.wait_below_high_water(self.settings.deadlines.send_timeout):
            # The holder of the role looks often enough whether the client takes anything, and moves its deadline.
            if self.fault is not None or self.deadline in (deadline, NEVER):
                raise self.lose(self.fault or Fault.CLIENT)
            deadline = self.deadline

    def _new_outbuf(self) -> OutBuffer:
        if self.outbuf is None:
            self.outbuf = OutBuffer(self.settings.output, self.settings.machine)
        return self.outbuf

    def lose(self, fault: Fault) -> ClientDisconnected:
        """Note in the task's thread that a write went nowhere; return what says so to the task."""
        self.fault = self.fault or fault
        self.lost_at = self.loop.now
        what = Overdue if self.fault is Fault.TIMEOUT else ClientDisconnected
        return what(self.fault.describe(self.origin.peer))

    # -- what was left: the holder of the role

    def push(self, data: bytes) -> None:
        """Send bytes of the server's own; they are few, so what the kernel does not take is kept."""
        sent = 0
        try:
            if self.outbuf is None:  # else it goes behind what waits already
                with contextlib.suppress(*WOULD_BLOCK):
                    sent = self.wire.send(data)
            self._taken_bytes += sent
            if sent < len(data):
                self._new_outbuf().append(self.wire, (data[sent:],))
        except OSError:
            self.line.close()

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

    def break_off(self, fault: Fault) -> None:
        """The task's next write raises, and one that waits does. The role's lock may be held."""
        self.fault = self.fault or fault
        if self.outbuf is not None:
            self.outbuf.break_off()

    def _drop_outbuf(self) -> None:
        outbuf = self.outbuf
        if outbuf is not None:
            close, self.outbuf, self.delivery = outbuf.close(), None, None
            self._taken_bytes += outbuf.flushed_bytes
            if close is not None:
                self.loop.run_in_pool(close if self.context is None else partial(self.context.run, close))
