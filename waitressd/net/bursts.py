"""Streams whose blocks come fast: each block is with the kernel at once, which sends several of them together.

A send whose bytes leave at once wakes the client, and costs five times as much as one that the kernel keeps for a
moment (MSG_MORE). A table that an application yields row by row is hundreds of them. So once some blocks of a stream
have followed each other at once, the kernel is told with each further one that more will come; it sends what fills a
packet. What is left is *pushed*: by the watcher, half a millisecond later at the latest, or by the next block, if that
takes longer, and in any case by the end of the stream. 200 blocks of 1 KiB take half of the processor time (measured).

The watcher needs the interpreter for that, and an application that computes has it. So a stream for which the watcher
came late holds nothing any more. Whatever happens, no block needs anybody but the kernel to arrive: it pushes by itself
once the client has acknowledged what was sent before, after 200 ms at the latest (tcp(7), TCP_CORK). So transmission
goes on while the application makes its next block, as PEP 3333 demands of every block.

Linux only, and TCP in clear: elsewhere each block leaves at once, and so does each server-sent event.
"""

import contextlib
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from waitressd.http.response import ResponseHead
from waitressd.net.wire import Sender

BURST_SECONDS: Final = 0.0005  # from one block to the next, at most
BURST_BLOCKS: Final = 8  # that follow each other so fast, before the first one is held
PUSH_SECONDS: Final = 0.0005  # between two pushes
LATE_SECONDS: Final = 0.002  # after the first block that is held: so late a push shows that it may come any time
QUIET_PUSHES: Final = 20  # with nothing to push, before somebody has to ring for the next one

_EVENTS: Final = b"text/event-stream"  # a stream whose blocks are wanted one by one
_MORE: Final[int] = getattr(socket, "MSG_MORE", 0)  # 0 where there is none
_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class Burst:
    """The sends of one stream. Its task's thread, except for `push`."""

    __slots__ = ("_blocks", "_bursts", "_clock", "_held_at", "_is_held", "_needed", "_sent_at", "_wire")

    def __init__(self, bursts: "Bursts", wire: socket.socket, clock: Callable[[], float]) -> None:
        self._bursts = bursts
        self._wire = wire
        self._clock = clock
        self._blocks = 0  # that have followed each other fast
        self._sent_at = clock()
        self._is_held = False  # something may have to be pushed, and the watcher knows
        self._held_at = 0.0  # since when
        self._needed = BURST_BLOCKS  # so many of them, before the first one is held

    def send(self, data: bytes) -> int:
        """Send a block, or leave it with the kernel for a moment. Raises OSError as a socket does."""
        now = self._clock()
        if now - self._sent_at > BURST_SECONDS:
            self._blocks = 0
        self._sent_at = now
        self._blocks += 1
        if self._blocks <= self._needed:
            return self._wire.send(data)
        sent = self._wire.send(data, _MORE)
        # Look after the send: a push that begins before this line either sees the block, or is asked for once more.
        if not self._is_held:
            self._held_at = now
            self._is_held = True
            self._bursts.expect(self)
        return sent

    def push(self, now: float) -> None:
        """Have the kernel send what it holds. The watcher's thread; harmless where the stream has ended."""
        if not self._is_held:
            return
        if now - self._held_at > LATE_SECONDS:
            self._needed = sys.maxsize
        self._is_held = False
        self._push()

    def end(self) -> None:
        """Have the kernel send what it holds: the task has no more blocks."""
        if self._is_held:
            self._is_held = False
            self._push()

    def _push(self) -> None:
        # Setting the option sends what waits, also where it was set before (tcp(7)). A descriptor that was closed
        # meanwhile, and is another connection's by now, gets what each of ours has.
        with contextlib.suppress(OSError):
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Bursts:
    """Those of one event loop, and what is to be pushed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: deque[Burst] = deque()  # `append` and `popleft` are atomic
        self._quiet = QUIET_PUSHES  # pushes with nothing to do
        self._ring: Callable[[], None] | None = None  # set while nobody pushes by itself

    def begin(self, out: Sender, head: ResponseHead | None) -> Burst | None:
        """Return how to send the blocks of a stream; None where each has to leave by itself. Task thread."""
        if not _MORE or type(out) is not socket.socket or out.family not in _FAMILIES:
            return None
        return None if head is None or _EVENTS in head.octets else Burst(self, out, self._clock)

    def expect(self, burst: Burst) -> None:
        """A stream has left something with the kernel. Task thread."""
        self._held.append(burst)
        ring = self._ring  # read once: the watcher takes it away when it comes by itself
        if ring is not None:
            ring()

    def push(self, ring: Callable[[], None]) -> bool:
        """Push what is held; False when nothing was for a while, so that `ring` is called for the next. The watcher."""
        if self._push_all():
            self._quiet = 0
            self._ring = None
            return True
        self._quiet += 1
        if self._quiet <= QUIET_PUSHES:
            return True
        # First say that a ring is wanted, then look: what was held before this line is seen by the look.
        self._ring = ring
        return self._push_all()

    def _push_all(self) -> bool:
        held, now = self._held, self._clock()
        count = len(held)
        for _ in range(count):
            held.popleft().push(now)
        return count > 0
