"""One client: its socket, what comes before HTTP on it, its HTTP connection, and what ends it.

A channel belongs to the holder of the dispatcher role. While a task owns its exchange (see `exchange.py`), the holder
only notes what the poller says, and neither reads nor closes: it may end the connection under a task, but it never
gives the descriptor back, because the system gives the same number to the next connection.
"""

import contextlib
import itertools
import logging
import socket
from collections.abc import Callable
from typing import Final

from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import Request
from waitressd.http.states import Reading, Sending
from waitressd.net import wire
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.eventloop import EventLoop
from waitressd.net.exchange import Exchange
from waitressd.net.handover import Kept
from waitressd.net.intake import receive, take_whole_body
from waitressd.net.logs import say
from waitressd.net.poller import GONE, PARKED, PEER_CLOSED, READ, WRITE
from waitressd.net.preface import Preface, PrefaceError
from waitressd.net.progress import NEVER
from waitressd.net.recorder import Fault
from waitressd.net.states import CHANNEL_TRANSITIONS, ChannelMove, ChannelState, ExchangeState
from waitressd.net.wire import DROP_BYTES, WOULD_BLOCK, PartialRecordError, Wire
from waitressd.peer import UNIX, Origin, Peer

FRUITLESS_EVENTS: Final = 16  # events in a row without a byte moved, before the channel is given up
IN_FLIGHT_BYTES: Final = 10 * 1460  # of a response, that are on their way at once (the initial window of RFC 6928)
# As plain globals: looking a member up in its class costs as much as the comparison.
_OPEN: Final = ChannelState.OPEN
_CLOSED: Final = ChannelState.CLOSED
_CLOSE: Final = ChannelMove.CLOSE
_WAIT: Final = Sending.WAIT
_RUNNING: Final = ExchangeState.RUNNING
_REVOKED: Final = ExchangeState.REVOKED  # the first state in which the connection has lost its exchange
_HALF_CLOSED: Final = ChannelState.HALF_CLOSED  # the last state in which requests are read
_IDLE: Final = ExchangeState.IDLE
_DONE: Final = Reading.DONE
_BODY: Final = ExchangeState.BODY  # the last state in which bytes are read for a request

_numbers: Final = itertools.count(1)  # of this process; one step of the interpreter, so no two channels share one


class Channel:
    """One client and everything held for it. See the module for who may call what."""

    __slots__ = (
        "_deadline", "_fruitless_events", "_settings", "connection", "exchange", "fd", "loop", "mask", "number",
        "opened_at", "origin", "preface", "received_bytes", "state", "wire",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, peer: Peer, loop: EventLoop, settings: ChannelSettings, kept: Kept | None = None
    ) -> None:
        """Begin with a connection, or go on with one that another process has `kept` so far."""
        self.wire: Wire = sock
        self.preface: Preface | None = None  # what is read before HTTP
        is_new = kept is None or kept.is_new
        if is_new and (settings.tls is not None or settings.proxy_protocol is not None):
            self.wire, self.preface = settings.begin(sock)
        self.fd = sock.fileno()
        self.number = next(_numbers)  # of the connection; no other one of this process ever has it
        self.opened_at = loop.now if kept is None else kept.opened_at  # monotonic seconds
        self.received_bytes = 0  # of HTTP, heads included; counted where there is a ledger
        self.loop = loop
        self.origin = Origin(peer, settings.listener, None if kept is None else kept.proxied)
        self.state = _OPEN
        self.mask = 0
        self.connection = settings.connect()
        self.exchange = Exchange(self, self.connection, loop, settings)
        self._settings = settings
        self._deadline = NEVER  # of a state of the connection itself
        self._fruitless_events = 0
        if kept is not None:
            self.exchange.number += kept.answered
            self.exchange.deadline = kept.idle_since + loop.idle_seconds
        if self.preface is not None:
            self.state = ChannelState.PREFACE
            self._start(self.preface)

    @property
    def peer(self) -> Peer:
        """The client, for log lines."""
        return self.origin.peer

    @property
    def sent_bytes(self) -> int:
        """What the kernel has taken for the client since the connection began. Any thread."""
        return self.exchange.sent_bytes

    @property
    def counted_as(self) -> Peer:
        """The client whose connection this is, where one may have only so many: nobody's until a balancer names it."""
        if self._settings.proxy_protocol is None:
            return self.origin.peer
        proxied = self.origin.proxied
        return UNIX if proxied is None or proxied.source is None else self.origin.peer

    @property
    def deadline(self) -> float:
        """The one deadline of the present state."""
        return self.exchange.deadline if self.state <= _HALF_CLOSED else self._deadline

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and has nothing of one."""
        return self.exchange.state is _IDLE or self.state is ChannelState.PREFACE

    @property
    def phase(self) -> str:
        """What it is waiting for, as operators read it. Any thread."""
        if self.state <= _HALF_CLOSED:
            return self.exchange.phase
        return "idle" if self.state is ChannelState.PREFACE else self.state.name.lower()

    # -- another process goes on with it

    @property
    def can_be_passed(self) -> bool:
        """Whether another process can go on with it once it is idle: it is past what comes before HTTP, and in clear.

        The state of an encrypted one is in the memory of this process.
        """
        return self.state is ChannelState.OPEN and self._settings.tls is None

    @property
    def is_at_rest(self) -> bool:
        """Whether another process can go on with it now: it waits for a request, and no byte of it is here.

        What lies in the kernel goes with it.
        """
        exchange = self.exchange
        is_idle = exchange.state is _IDLE and exchange.request is None and exchange.outbuf is None
        has_all = not exchange.reader.buffer and exchange.encoder.sending is Sending.WAIT and exchange.fault is None
        return is_idle and has_all and self.can_be_passed

    def pass_by(self, give: Callable[[socket.socket, Kept], bool]) -> bool:
        """Pass a connection at rest to another process; False, and nothing has changed, when none takes it.

        Its client notices nothing: the connection is neither shut down nor lingers, its other descriptor keeps it open.
        """
        exchange, origin = self.exchange, self.origin
        idle_since = max(self.opened_at, exchange.deadline - self.loop.idle_seconds)
        kept = Kept(origin.listener, origin.peer, exchange.number - 1, self.opened_at, idle_since, origin.proxied)
        assert isinstance(self.wire, socket.socket)
        if not give(self.wire, kept):
            return False
        with contextlib.suppress(OSError):  # the descriptor must be given back whatever the poller says
            if self.mask:
                self.watch(0)
        self._move(ChannelMove.PASS)
        exchange.end()
        self.loop.forget(self.fd, self.counted_as)
        self.wire.close()
        return True

    # -- what the poller says

    def on_ready(self, mask: int) -> Exchange | None:
        """Act on an event, or with 0 on what is buffered; return the exchange if a request is complete and may run."""
        exchange = self.exchange
        if exchange.state > _BODY or self.preface is not None:  # it is busy, lingers or is closed; or it has not begun
            return self._on_rare_event(mask)
        if not mask:
            return self.advance()
        reader = exchange.reader
        if reader.reading is _DONE or (exchange.state is _IDLE and reader.buffer):
            return None  # its next request is here already and has a turn of its own; reading on would give it two
        held = self.loop.held
        try:
            data = self.wire.recv(exchange.ask_bytes) if held is None else held.receive(self.wire, exchange.ask_bytes)
        except WOULD_BLOCK as nothing:
            self.note_no_progress(nothing)
            return None
        except OSError:
            self.close()  # reset by the client: nothing was lost that could still be answered
            return None
        self._fruitless_events = 0
        if data:
            if exchange.ledger is not None:
                self.received_bytes += len(data)
        else:
            self._move(ChannelMove.FINISH)
            reader.feed_eof()
        return self.advance(data)

    def _on_rare_event(self, mask: int) -> Exchange | None:
        """An event of a channel that does not read a request."""
        if self.state is ChannelState.PREFACE:
            return self._read_preface()
        if self.state is ChannelState.LINGERING:
            self._drop_input()
        elif self.exchange.state is ExchangeState.FLUSHING:
            self.exchange.flush()
        elif mask and self.state is not ChannelState.CLOSED:
            return self._on_event_while_busy(mask)
        return None

    def _on_event_while_busy(self, mask: int) -> Exchange | None:
        exchange = self.exchange
        if mask & WRITE:
            exchange.flush_while_busy()
        with self.loop.lock:
            is_busy = exchange.state in (ExchangeState.QUEUED, ExchangeState.RUNNING)
            if is_busy:
                try:
                    self._park(mask)
                except OSError:  # the poller failed, but only the task may close what it uses
                    exchange.break_off(Fault.CLIENT)
                    self.cut(reset=self.connection.encoder.ends_with_connection)
        if not is_busy:
            return self.on_ready(mask)  # the task settled meanwhile: the event is an ordinary one
        if exchange.is_broken and exchange.state is ExchangeState.QUEUED and self.loop.withdraw(exchange):
            self.close()
        return None

    def _park(self, mask: int) -> None:
        """Note that the client left or takes output again, and keep a level-triggered event from spinning."""
        exchange = self.exchange
        if mask & (GONE | PEER_CLOSED) and self.state is ChannelState.OPEN:
            self._move(ChannelMove.FINISH)
        if mask & GONE or exchange.is_broken:
            # Silence: a dead peer is reported for ever, and only the task can give the exchange back.
            exchange.break_off(Fault.CLIENT)
            self.watch(0)
            return
        wanted = PARKED if self.state is ChannelState.OPEN else PARKED & ~PEER_CLOSED
        # Asked for by the task, that is; what was left of a 100 Continue goes out with the response.
        if self.mask & WRITE and exchange.outbuf is not None and exchange.outbuf.pending_bytes:
            wanted |= WRITE
            if exchange.deadline == NEVER:  # what was flushed was all, and the task has written more since
                exchange.start_flush_clock()
        self.watch(wanted)

    def note_no_progress(self, why: OSError | None = None) -> None:
        """An event moved nothing. That happens; again and again it is a loop that would eat a processor."""
        self._fruitless_events = 0 if isinstance(why, PartialRecordError) else self._fruitless_events + 1
        if not self.mask:
            self.watch(READ)
        elif self._fruitless_events > FRUITLESS_EVENTS:
            say(logging.ERROR, "%s is reported ready and gives nothing; closed", self.peer)
            self.close()

    # -- before HTTP

    def _start(self, preface: Preface) -> None:
        self._deadline = self.loop.now + preface.timeout_seconds
        preface.start(self.loop, self.close)

    def _read_preface(self) -> Exchange | None:
        preface = self.preface
        assert preface is not None
        try:
            origin = preface.read(self.origin, self._settings.recv_bytes)
        except WOULD_BLOCK:
            self.note_no_progress()
            return None
        except PrefaceError as error:
            self._reject(preface, error)
            return None
        except OSError:
            self.close()
            return None
        self._fruitless_events = 0
        if origin is not None:
            return self._begin(preface, origin)
        if self.mask != preface.wants:
            self.watch(preface.wants)
        return None

    def _begin(self, preface: Preface, origin: Origin) -> Exchange | None:
        """The preface is complete: another one begins, or HTTP does."""
        before, self.origin = self.origin, origin
        was_named = origin.proxied is not before.proxied
        if was_named and self.counted_as is not UNIX and not self.loop.admit(origin.peer):
            self.origin = before  # it was not counted
            self.close()
            return None
        self.preface = preface.following
        if self.preface is not None:
            self._start(self.preface)
            return self._read_preface()
        self.exchange.origin = origin
        self._move(ChannelMove.BEGIN)
        self.exchange.deadline = self.loop.now + self.loop.idle_seconds
        if preface.rest:
            self.received_bytes += len(preface.rest)
            return self.advance(preface.rest)
        if self.mask & WRITE:
            self.watch(READ)
        return self.on_ready(READ)  # the first request has probably come with the end of the preface

    def _reject(self, preface: Preface, error: PrefaceError) -> None:
        preface.report(error, self.peer)
        if error.answer is not None:
            with contextlib.suppress(OSError):
                preface.answer(self.connection.encode_error(error.answer, self._settings.http_date()))
        if error.keeps_answer:
            self._linger()
        else:
            self.close()

    # -- reading requests

    def advance(self, data: bytes = b"") -> Exchange | None:
        """Take what the connection has, and `data`, which has just come.

        Return the exchange if its request is complete and may run.
        """
        exchange = self.exchange
        try:
            event = self.connection.next_event(data)
            if type(event) is Request:
                exchange.request = event
                if event.complete or take_whole_body(exchange, event):
                    return exchange
            return receive(exchange, event)
        except HttpError as error:
            self.loop.logs.refused_head(self.connection.reader.refused_line, self.origin)
            exchange.request = exchange.request or error.request
            exchange.refuse(error)
        except OSError as error:
            self.loop.logs.spool("cannot keep a request body of %s on disk: %s", self.peer, error)
            exchange.refuse(HttpError(503, "The server cannot store the request body at the moment."))
        return None

    # -- the end

    def finish(self) -> None:
        """The present response is with the kernel, as far as it goes: keep the connection, or end it."""
        exchange, connection = self.exchange, self.connection
        if exchange.fault is not None and connection.encoder.ends_with_connection:
            # Where the end of the connection is the end of the body, only a reset tells a cut response from a complete
            # one. Elsewhere framing shows what is missing, and earlier responses on their way must not be destroyed.
            self.close(reset=True)
        elif exchange.fault is None and connection.encoder.sending is _WAIT:
            exchange.keep()
            self.loop.again(self.fd)
        elif self._settings.tls is not None and exchange.fault is None and not wire.farewell(self.wire):
            exchange.deadline = self.loop.now + self._settings.deadlines.send_timeout
            self.watch(WRITE)  # and comes back here
        elif (
            exchange.may_be_followed
            or connection.reader.dropped_bytes
            # Nothing of a small response is left here that a reset could destroy.
            or (exchange.sent_bytes > IN_FLIGHT_BYTES and wire.unacknowledged_bytes(self.wire) > IN_FLIGHT_BYTES)
            or wire.drop_unread(self.wire)
        ):
            self._linger()
        else:
            self.close()

    def expect_end(self, deadline: float) -> None:
        """The server stops: wait for a request no longer than that, and let the present response be the last one."""
        if self.is_idle:
            self.exchange.deadline = min(self.exchange.deadline, deadline)
            self._deadline = min(self._deadline, deadline)
        else:
            self.connection.encoder.forbid_keep_alive()

    def on_deadline(self) -> None:
        """The one deadline of the present state has passed."""
        if self.state <= _HALF_CLOSED:
            self._on_exchange_deadline(self.exchange)
        elif self.preface is not None and not self.loop.draining:
            self._reject(self.preface, self.preface.late())
        else:
            self.close()

    def _on_exchange_deadline(self, exchange: Exchange) -> None:
        if exchange.state is _IDLE:
            self.close()
        elif exchange.state <= _BODY:
            exchange.refuse(HttpError(408, "The request did not arrive in time."))
        elif exchange.state is ExchangeState.QUEUED:
            self.loop.expire(exchange)
        else:
            with self.loop.lock:
                if exchange.deadline <= self.loop.now:
                    exchange.look_at_delivery()
                if exchange.deadline > self.loop.now:
                    return  # or it was queued when its deadline passed, and at that moment a thread took it
                exchange.deadline = NEVER
            self.loop.logs.stalled("%s takes its answer too slowly or not at all; cut off", self.peer)
            exchange.give_up(Fault.DEADLINE)

    def give_up(self, fault: Fault) -> None:
        """The server does not wait any longer: end the connection, under a running task as well."""
        if self.state <= _HALF_CLOSED:
            self.exchange.give_up(fault)
        else:
            self.close()

    def cut(self, *, reset: bool) -> None:
        """End the connection under a task that still runs; its descriptor stays."""
        if reset:
            # Where the end of the connection is the end of the body, FIN would make the response look complete.
            wire.reset(self.wire)
        else:
            wire.cut(self.wire)

    def _linger(self) -> None:
        """Shut our side and read on for a while: a close with unread bytes would destroy the response on its way."""
        try:
            wire.close_write(self.wire)
        except OSError:
            self.close()
            return
        self._move(ChannelMove.LINGER)
        self.preface = None
        self.exchange.end()
        self._deadline = self.loop.now + self._settings.deadlines.linger_timeout
        self.watch(READ)

    def _drop_input(self) -> None:
        """Drop what a client sends that will get no response."""
        try:
            data = self.wire.recv(DROP_BYTES)
            self.received_bytes += len(data)
            if not data:
                self.close()
        except WOULD_BLOCK:
            self.note_no_progress()
        except OSError:
            self.close()

    def let_go(self) -> None:
        """Lose the client in a child that was only forked; the parent goes on with it. The child's only thread."""
        self.exchange.let_go()
        self.wire.close()

    def close(self, *, reset: bool = False) -> None:
        """Give everything back; with `reset` the client sees that the response is incomplete. Harmless when closed."""
        if self.state is _CLOSED:
            return
        exchange = self.exchange
        if self.state <= _HALF_CLOSED and exchange.state is _RUNNING:
            exchange.revoke(Fault.STOP)  # which comes back here
            return
        has_unsent = exchange.outbuf is not None and exchange.outbuf.unsent_bytes > 0
        reset = reset or has_unsent or (exchange.is_broken and exchange.state > _BODY)
        is_shared = self.state <= _HALF_CLOSED and exchange.state >= _REVOKED
        if self._settings.tls is not None and not reset and exchange.is_over:
            wire.farewell(self.wire)
        self._move(_CLOSE)
        if self.preface is not None:
            self.preface.close()
            self.preface = None
        self._deadline = NEVER
        try:
            exchange.end()
        finally:  # whatever fails, the descriptor is given back and the poller forgets it
            self._let_go(reset=reset, is_shared=is_shared)

    def _let_go(self, *, reset: bool, is_shared: bool) -> None:
        if self.mask:  # which nearly no connection has that brought one request
            with contextlib.suppress(OSError):  # the socket must be closed whatever the poller says
                self.watch(0)
        if reset:
            wire.reset_at_close(self.wire)
        self.loop.forget(self.fd, self.counted_as)
        if is_shared:  # its task may be about to write
            self.cut(reset=self.connection.encoder.ends_with_connection)
            with self.loop.lock:
                self.exchange.release()
        else:
            self.wire.close()

    # -- the poller

    def watch(self, mask: int) -> None:
        """Tell the poller what to report; 0 ends the registration. Raises OSError when it cannot."""
        poller = self.loop.poller
        if not mask:
            poller.remove(self.fd)
        elif self.mask:
            poller.modify(self.fd, mask)
        else:
            poller.add(self.fd, mask)
            self.loop.registered(self.fd)
        self.mask = mask
        self._fruitless_events = 0  # something has changed

    def register(self) -> None:
        """Make the poller know a new channel. Holder of the role, under its lock."""
        if not self.mask and self.state is not ChannelState.CLOSED:
            self.watch(READ)

    def _move(self, move: ChannelMove) -> None:
        state = CHANNEL_TRANSITIONS.get((self.state, move))
        if state is None:
            raise ProtocolMisuse(f"a channel cannot {move.name} in state {self.state.name}")
        self.state = state
