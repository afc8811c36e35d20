"""Streams whose blocks come fast: each block is with the kernel at once, which sends several of them together.

A send whose bytes leave at once wakes the client, and costs five times as much as one that the kernel keeps for a
moment (MSG_MORE). A table that an application yields row by row is hundreds of them. So once some blocks of a stream
have followed each other at once, the kernel is told with each further one that more will come; it sends what fills a
packet. What is left is *pushed*: by the watcher, a millisecond later at the latest, or by the next block, if that
takes longer, and in any case by the end of the stream. 200 blocks of 1 KiB take half of the processor time (measured).

The watcher comes often for that, which costs as much as some dozen sends in each millisecond. So blocks are held only
while streams keep the server busy; one stream now and then would lose. It also needs the interpreter, and an
application that computes has it: a stream for which it came late holds nothing any more. Whatever happens, no block
needs anybody but the kernel to arrive, which pushes by itself once the client has acknowledged what was sent before, or
when its timer for that runs out, after 200 ms or, on a slow path, more. So transmission goes on while the application
makes its next block, as PEP 3333 demands of every block.

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
PUSH_SECONDS: Final = 0.0004  # between two pushes; what has been held for as long is pushed
LATE_SECONDS: Final = 0.003  # after the first block that is held: so late a push shows that it may come any time
LOOK_SECONDS: Final = 0.005  # between two looks at how busy streams are, at least
BUSY_BLOCKS: Final = 20_000  # fast ones a second: so many are worth the pushes
BUSY_LOOKS: Final = 2  # that find so many, one after the other, before any is held

_EVENTS: Final = b"text/event-stream"  # a stream whose blocks are wanted one by one
_MORE: Final[int] = getattr(socket, "MSG_MORE", 0)  # 0 where there is none
_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class Burst:
    """The sends of one stream. Its task's thread, except for `push`."""

    __slots__ = ("_blocks", "_bursts", "_clock", "_is_held", "_needed", "_sent_at", "_wire", "held_at")

    def __init__(self, bursts: "Bursts", wire: socket.socket, clock: Callable[[], float]) -> None:
        self._bursts = bursts
        self._wire = wire
        self._clock = clock
        self._blocks = 0  # that have followed each other fast
        self._sent_at = clock()
        self._is_held = False  # something may have to be pushed, and the watcher knows
        self.held_at = 0.0  # since when, or when it was so last; 0.0 while nothing was ever held
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
        bursts = self._bursts
        bursts.fast_blocks += 1
        if not bursts.is_watched:
            return self._wire.send(data)
        sent = self._wire.send(data, _MORE)
        # Look after the send: a push that begins before this line either sees the block, or is asked for once more.
        if not self._is_held:
            self.held_at = now
            self._is_held = True
            bursts.held.append(self)
        return sent

    def push(self, now: float) -> None:
        """Have the kernel send what it holds. The watcher's thread; harmless where the stream has ended."""
        if now - self.held_at > LATE_SECONDS:
            self._needed = sys.maxsize
        self._is_held = False
        self._push()

    def end(self) -> None:
        """Have the kernel send what it holds: the task has no more blocks."""
        # Not only where something is held now: a push may have begun and not be done, and a reset may follow.
        if self.held_at:
            self._push()

    def _push(self) -> None:
        # Setting the option sends what waits, also where it was set before (tcp(7)). A descriptor that was closed
        # meanwhile, and is another connection's by now, gets what each of ours has.
        with contextlib.suppress(OSError):
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Bursts:
    """Those of one event loop, and what is to be pushed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.fast_blocks = 0  # since the last look; a lost update of two threads does no harm
        self.is_watched = False  # somebody pushes again and again, so blocks may be held
        self.held: deque[Burst] = deque()  # `append` and `popleft` are atomic
        self._clock = clock
        self._looked_at = clock()
        self._busy_looks = 0  # the last ones, that found many

    def begin(self, out: Sender, head: ResponseHead | None) -> Burst | None:
        """Return how to send the blocks of a stream; None where each has to leave by itself. Task thread."""
        if not _MORE or type(out) is not socket.socket or out.family not in _FAMILIES:
            return None
        return None if head is None or _EVENTS in head.octets.lower() else Burst(self, out, self._clock)

    def look(self) -> None:
        """See whether streams are busy enough for their blocks to be held. The watcher, at each of its ticks."""
        now = self._clock()
        seconds = now - self._looked_at
        if seconds < LOOK_SECONDS:
            return
        is_busy = self.fast_blocks > BUSY_BLOCKS * seconds
        self._busy_looks = self._busy_looks + 1 if is_busy else 0
        self.is_watched = self._busy_looks >= BUSY_LOOKS
        self.fast_blocks = 0
        self._looked_at = now

    def push(self) -> bool:
        """Push what has been held for long enough; whether to come again after PUSH_SECONDS. The watcher."""
        now, held = self._clock(), self.held
        for _ in range(len(held)):
            burst = held.popleft()
            if now - burst.held_at < PUSH_SECONDS:
                held.append(burst)  # it may well have ended by the next time
            else:
                burst.push(now)
        return self.is_watched or bool(held)
