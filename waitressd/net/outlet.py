"""The sending half of a channel: what a task writes, and what the client has not taken yet.

A task thread calls `write`, `write_parts`, `write_file` and `is_gone` while it owns the channel. The holder of the
dispatcher role meanwhile sends what was left behind and notes what the poller says; the two meet in the output buffer,
under its lock, and in the mask the poller was told, under the role's lock.
"""

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

from waitressd.http.errors import ClientDisconnected
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.outbuf import WOULD_BLOCK, FilePart, OutBuffer, after
from waitressd.net.poller import GONE, PARKED, PEER_CLOSED, WRITE
from waitressd.net.sendqueue import unacknowledged_bytes
from waitressd.net.transfer import BrokenFileError, send_parts
from waitressd.peer import Origin, Peer

if TYPE_CHECKING:
    from waitressd.net.dispatcher import Dispatcher

NEVER: Final = float("inf")
LOOKS: Final = 8  # at what the client takes from the kernel, before it is given up for taking nothing


class Outlet:
    """One client's socket as seen by whoever writes to it. See the module for who may call what."""

    __slots__ = (
        "_busy_since",
        "_cut",
        "_delivered_bytes",
        "_delivered_first",
        "_mask",
        "_moved_bytes",
        "_progress_at",
        "_settings",
        "deadline",
        "dispatcher",
        "fd",
        "gone",
        "half_closed",
        "origin",
        "outbuf",
        "sock",
    )

    def __init__(self, sock: socket.socket, peer: Peer, dispatcher: "Dispatcher", settings: ChannelSettings) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.origin = Origin(peer, settings.listener)
        self.dispatcher = dispatcher
        self.deadline = dispatcher.now + dispatcher.idle_seconds
        self.outbuf: OutBuffer | None = None  # once the kernel took less than was written
        self.gone = False  # the connection is dead in both directions
        self.half_closed = False  # the client will send no more; it may still read
        self._settings = settings
        self._mask = 0  # what the poller was told last, 0 for nothing; under the role's lock while a task runs
        self._cut = False  # the answer is incomplete and must not look complete
        self._busy_since = 0.0  # when the present body or flush began
        self._moved_bytes = 0  # bytes of it, for the minimum rate
        self._progress_at = 0.0  # when the client was last seen to take something
        self._delivered_first = 0  # of the output buffer's bytes, confirmed by the client when the flush began,
        self._delivered_bytes = 0  # and at the last look

    @property
    def peer(self) -> Peer:
        """The client, for log lines and for the counts of connections."""
        return self.origin.peer

    # -- the task that owns the channel

    def write(self, data: bytes) -> None:
        """Send what the kernel takes, keep the rest. Task thread.

        Waits while more than the high water is pending, at most until the stall deadline. Raises ClientDisconnected.
        """
        if self.gone:  # cut off from here: where only a reset shows that, the socket is still open
            raise self._lost()
        if self.outbuf is None:
            try:
                sent = self.sock.send(data)
            except WOULD_BLOCK:
                sent = 0
            except OSError:
                raise self._lost() from None
            if sent == len(data):
                return
            self._write_slowly((memoryview(data)[sent:],))
        else:
            self._write_slowly((data,))

    def write_parts(self, parts: Sequence[bytes]) -> None:
        """`write` of several pieces in order, without joining them. Task thread. Raises ClientDisconnected."""
        if self.gone:
            raise self._lost()
        if self.outbuf is None:
            try:
                sent = send_parts(self.sock, parts)
            except WOULD_BLOCK:
                sent = 0
            except OSError:
                raise self._lost() from None
            if sent == sum(map(len, parts)):
                return
            self._write_slowly(after(parts, sent))
        else:
            self._write_slowly(parts)

    def write_file(self, file: BinaryIO, offset: int, count: int, close: Callable[[], None]) -> None:
        """Send a stretch of a regular file; it must be the last thing of the answer. Task thread.

        `close` is called once, by a task thread, when the bytes are out or the connection ends, also when this raises
        ClientDisconnected.
        """
        if self.gone:
            close()
            raise self._lost()
        part = FilePart(file, offset, count, close)
        try:
            while part.count and self.outbuf is None:
                part.send(self.sock)
        except (*WOULD_BLOCK, BrokenFileError):
            pass  # a broken file is seen again when what is left of it is sent
        except OSError:
            close()
            raise self._lost() from None
        if not part.count:
            close()
            return
        self._new_outbuf().attach(part)
        self._write_slowly(())

    def is_gone(self) -> bool:
        """Whether the client has left, or will at least send no more. Any thread."""
        return self.gone or self.half_closed

    def let_go(self) -> None:
        """Lose the client in a child that was only forked; the parent goes on with it. The child's only thread."""
        self.gone = True
        if self.outbuf is not None:
            self.outbuf.broken = True
        self.sock.close()

    def _write_slowly(self, parts: Sequence[bytes | memoryview]) -> None:
        outbuf = self.outbuf or self._new_outbuf()
        # Before more is kept, not after: a task that has nothing more to say need not wait until its client took it.
        # One comparison without the lock: a number that is just being lowered only makes the wait end at once.
        if parts and outbuf.pending_bytes > self._settings.output.memory_bytes:
            self._wait_below_high_water(outbuf)
        if outbuf.broken:
            raise self._lost()
        had_failed = outbuf.spool_failure
        try:
            outbuf.append(self.sock, parts)
        except OSError:
            raise self._lost() from None
        if outbuf.spool_failure is not had_failed:
            self.dispatcher.logs.spool("cannot keep an answer to %s on disk: %s", self.peer, outbuf.spool_failure)
        if outbuf.is_empty:
            return
        try:
            with self.dispatcher.role.lock:
                if not self._mask & WRITE:
                    self._start_flush_clock()
                    self._watch(PARKED | WRITE)
        except OSError:  # the poller cannot take it: nobody would send the rest
            raise self._lost() from None

    def _wait_below_high_water(self, outbuf: OutBuffer) -> None:
        """Wait until the client has taken enough. Raises ClientDisconnected when it takes nothing."""
        deadline = self.deadline
        while not outbuf.wait_below_high_water(self._settings.deadlines.stall_seconds):
            # The holder of the role looks often enough whether the client takes anything, and moves its deadline.
            if outbuf.broken or self.deadline in (deadline, NEVER):
                raise self._lost()
            deadline = self.deadline

    def _new_outbuf(self) -> OutBuffer:
        if self.outbuf is None:
            self.outbuf = OutBuffer(self._settings.output)
        return self.outbuf

    def _lost(self) -> ClientDisconnected:
        self.gone = True
        return ClientDisconnected(f"{self.peer} has left")

    # -- what the poller says while a task owns the channel: the holder of the role, under the role's lock

    def on_ready_while_busy(self, mask: int) -> None:
        """Note that the client left or takes output again, and keep a level-triggered event from spinning."""
        if mask & GONE or self.gone:
            # Silence: a dead peer is reported for ever, and only the task can give the channel back.
            self.gone = self.half_closed = True
            if self.outbuf is not None:
                self.outbuf.break_off()
            self._watch(0)
            return
        if mask & PEER_CLOSED:
            self.half_closed = True
        wanted = PARKED & ~PEER_CLOSED if self.half_closed else PARKED
        # Asked for by the task, that is; what was left of a 100 Continue goes out with the answer.
        if self._mask & WRITE and self.outbuf is not None and self.outbuf.pending_bytes:
            wanted |= WRITE
            if self.deadline == NEVER:  # what was flushed a moment ago was all, and the task has written more since
                self._start_flush_clock()
        self._watch(wanted)

    def flush_while_busy(self) -> None:
        """Send what a running task left behind. Holder of the role, without the lock."""
        outbuf = self.outbuf
        if outbuf is None:
            return
        before = outbuf.flushed_bytes
        try:
            outbuf.flush(self.sock)
        except BrokenFileError:
            pass  # the end of the answer in any case: it is dealt with when the task is over
        except OSError:
            self.gone = True
            outbuf.break_off()
        self._count_flushed(outbuf.flushed_bytes - before)
        if not outbuf.pending_bytes:
            self.deadline = NEVER

    # -- shared

    def _pace(self, deadline: float, min_rate: int) -> float:
        """Bring a deadline forward to where the bytes moved so far fall below the minimum rate."""
        if not min_rate:
            return deadline
        return min(deadline, self._busy_since + self._settings.deadlines.grace_seconds + self._moved_bytes / min_rate)

    def _start_flush_clock(self) -> None:
        self._busy_since = self._progress_at = self.dispatcher.now
        self._moved_bytes = 0
        self._delivered_first = self._delivered_bytes = self._count_delivered()
        self._plan_look()

    def _count_flushed(self, sent_bytes: int) -> None:
        """The kernel took bytes: that is progress."""
        if sent_bytes:
            self._moved_bytes += sent_bytes
            self._progress_at = self.dispatcher.now
            self._plan_look()

    def _goes_on_taking(self) -> bool:
        """Look whether the client takes what the kernel has for it, and enough in all; then it has a new deadline."""
        delivered = self._count_delivered()
        if delivered > self._delivered_bytes:
            self._delivered_bytes = delivered
            self._moved_bytes = max(self._moved_bytes, delivered - self._delivered_first)
            self._progress_at = self.dispatcher.now
        self._plan_look()
        return self.deadline > self.dispatcher.now

    def _plan_look(self) -> None:
        """Progress moves the stall deadline, the minimum rate bounds how far; the next look comes before that."""
        stall_seconds = self._settings.deadlines.stall_seconds
        end = self._pace(self._progress_at + stall_seconds, self._settings.deadlines.response_min_rate)
        self.deadline = min(end, self.dispatcher.now + stall_seconds / LOOKS)

    def _count_delivered(self) -> int:
        """Bytes of the output buffer that the client's side has confirmed; less than 0 for what went before it."""
        return (self.outbuf.flushed_bytes if self.outbuf is not None else 0) - unacknowledged_bytes(self.sock)

    def _watch(self, mask: int) -> None:
        """Tell the poller what to report; 0 ends the registration."""
        poller = self.dispatcher.poller
        if not mask:
            poller.remove(self.fd)
        elif self._mask:
            poller.modify(self.fd, mask)
        else:
            poller.add(self.fd, mask)
            self.dispatcher.fresh.discard(self)
        self._mask = mask
