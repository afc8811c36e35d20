"""Where slow requests are, and since when: a look at the threads about once a second.

A request is slow when `slow_threshold` has passed since its first byte. What its thread was found to do at the first
look after that is kept until the request has ended: afterwards nobody could tell any more why it took so long. How long
it has been in one place is known from the looks since.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from waitressd.dispatch.lane import Lane
from waitressd.insight.looks import look_at
from waitressd.net.exchange import Exchange
from waitressd.net.stacks import NOWHERE, Stack
from waitressd.net.states import ExchangeState

LOOK_SECONDS: Final = 1.0  # the age from which on a request's place is noted
SHORTEST_PAUSE_SECONDS: Final = 0.05  # between two looks


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a request was found."""

    place: str
    """At the last look, as "shop/reports.py:214 totals"."""
    since: float
    """The first of the looks that have found it there one after the other, in monotonic seconds."""
    stack: Stack
    """At the first look after it became slow; without frames before that."""


class Watch:
    """The places of those requests of a server that have been running for a second, or are slow.

    `look` is for one thread, everything else for any. What the dictionary holds never changes, so there is no lock: an
    entry is put there, replaced or taken out in one step.
    """

    def __init__(self, lanes: Callable[[], Sequence[Lane]], slow_threshold: float) -> None:
        self._lanes = lanes
        self._slow_threshold = slow_threshold
        self._noted_seconds = min(LOOK_SECONDS, slow_threshold)
        self._pause_seconds = max(SHORTEST_PAUSE_SECONDS, self._noted_seconds / 4)
        self._next_look = 0.0
        self._seen: dict[tuple[Exchange, int], Seen] = {}

    def look(self, now: float) -> None:
        """Note where the threads are, if the last look was long enough ago. `now` is the monotonic time."""
        if now < self._next_look:
            return
        self._next_look = now + self._pause_seconds
        for exchange, number in list(self._seen):
            # Its end has taken it out, unless a look has put it back at the same moment.
            if exchange.number != number or exchange.state is ExchangeState.DONE:
                self._seen.pop((exchange, number), None)
        busy = {worker.thread_id: worker for lane in self._lanes() for worker in lane.busy_workers()}
        begun = {thread_id: _begun(worker.job, worker.started) for thread_id, worker in busy.items()}
        old = [thread_id for thread_id, since in begun.items() if now - since >= self._noted_seconds]
        for found in look_at(old, busy) if old else ():
            if found.exchange is not None and found.stack:
                is_slow = now - _begun(found.exchange, found.started) >= self._slow_threshold
                self._note((found.exchange, found.number), found.stack, now, is_slow=is_slow)

    def _note(self, key: tuple[Exchange, int], stack: Stack, now: float, *, is_slow: bool) -> None:
        before, place = self._seen.get(key, _UNSEEN), stack.place
        self._seen[key] = Seen(
            place,
            before.since if place == before.place else now,
            stack if is_slow and not before.stack else before.stack,
        )

    def seen(self, exchange: Exchange) -> Seen | None:
        """Return where the present request of an exchange was found, None if it was not looked at."""
        return self._seen.get((exchange, exchange.number))

    def take_stack(self, exchange: Exchange) -> Stack:
        """Return where the present request was when it became slow, without frames if nobody looked; forget it."""
        return self._seen.pop((exchange, exchange.number), _UNSEEN).stack


_UNSEEN: Final = Seen("", 0.0, NOWHERE)


def _begun(job: object, started: float) -> float:
    """When a request began: its first byte if that was noted, else its thread had it at once."""
    return (job.began_at or job.waiting_since or started) if isinstance(job, Exchange) else started
