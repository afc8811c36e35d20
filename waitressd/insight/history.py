"""What was counted in the last five minutes, second by second: windows of it, and places of a chart.

What was counted so far is a *reading*. It only grows, so a window is the difference of two readings, and windows add up
by themselves. A reading is kept for each whole second; of the routes those of the last ten seconds, and every fifth one
before them.

One thread takes readings, any thread looks at them. What is kept never changes, so nobody needs a lock.
"""

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import sub
from typing import Final

from waitressd.insight.percentiles import PERCENTILES, percentile
from waitressd.net.ledger import BOUNDS, BUCKETS

WINDOWS: Final = (10, 60, 300)  # seconds
FINE_SECONDS: Final = 10  # for which each reading of the routes is kept
COARSE_SECONDS: Final = 5  # between two of them that are kept for longer
STEP_SECONDS: Final = 2  # of a place of a chart
STEPS: Final = WINDOWS[-1] // STEP_SECONDS

STATUSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Requests by the class of their status; 'none' were not answered."""
REFUSALS: Final = ("refused", "refused_full", "refused_late")
"""Of them, those that the server refused; those with 503, because the queue was full, or after too long in it."""
PHASES: Final = ("total", "queue", "application", "receive", "flush")
"""Durations that are summed, and counted in buckets."""
TIMERS: Final = "timers"
"""How late timers of the server were, which is counted in buckets, too; behind those of PHASES."""
TICKS_PER_SECOND: Final = 1_000_000  # sums are whole numbers, so they do not depend on the order of what is summed

TICKS_AT: Final = len(STATUSES) + len(REFUSALS)
BUCKETS_AT: Final = TICKS_AT + len(PHASES)
NUMBERS: Final = BUCKETS_AT + BUCKETS * (len(PHASES) + 1)
ROUTE_NUMBERS: Final = BUCKETS_AT + BUCKETS  # of a route the whole duration alone is kept in buckets


_COUNTED: Final = (*PHASES, TIMERS)


class Sums:
    """Requests that have ended: how many, how long they took together, and how many of them took how long. A value."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers

    def __getitem__(self, status: str) -> int:
        """Return how many had a status of this class; see STATUSES."""
        return self._numbers[STATUSES.index(status)]

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._numbers[: len(STATUSES)])

    def refusals(self, kind: str) -> int:
        """Return how many were refused; see REFUSALS."""
        return self._numbers[len(STATUSES) + REFUSALS.index(kind)]

    def seconds(self, phase: str) -> float:
        """Return how long one of PHASES took in all of them together."""
        return self._numbers[TICKS_AT + PHASES.index(phase)] / TICKS_PER_SECOND

    def buckets(self, phase: str) -> Sequence[int]:
        """Return how many took how long in one of PHASES, or TIMERS; of a route, in the first one alone."""
        start = BUCKETS_AT + BUCKETS * _COUNTED.index(phase)
        return self._numbers[start : start + BUCKETS]

    def percentiles(self, phase: str) -> tuple[float | None, ...]:
        """Return the PERCENTILES of what `buckets` returns, in seconds."""
        buckets = self.buckets(phase)
        return tuple(percentile(buckets, BOUNDS, share) for share in PERCENTILES.values())


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted so far, and how busy the server is at this moment. Nothing in it changes any more."""

    totals: Sequence[int]
    """NUMBERS numbers: those of STATUSES, REFUSALS and PHASES (in ticks), and buckets of PHASES and TIMERS."""
    routes: Mapping[str, Sequence[int]]
    """The first ROUTE_NUMBERS of them for each route, '' for requests of which nobody has said the route."""
    busy_threads: int = 0
    queue_depth: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What has happened between two readings."""

    seconds: int
    """How long it is: shorter than what was asked for while the server is younger, and 1 at least."""
    totals: Sums
    routes: dict[str, Sums]
    """Those with requests. Where the window is longer than ten seconds, of up to four seconds less."""


@dataclass(frozen=True, slots=True)
class Step:
    """One place of a chart: two seconds, or one where counting has just begun."""

    seconds: int
    sums: Sums
    percentiles: tuple[float | None, ...]
    """Of the whole duration, for each of PERCENTILES."""
    busy_threads: int
    """The most that a reading of this time has seen."""
    queue_depth: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reading at the end of a second."""

    second: int  # of the monotonic clock
    reading: Reading
    has_routes: bool = True


class History:
    """The readings of the last five minutes. `take` is for one thread, everything else for any."""

    def __init__(self, now: float) -> None:
        """Take the time at which counting began, in monotonic seconds."""
        nothing = Reading(array("q", bytes(8 * NUMBERS)), {})
        self._kept: deque[_Kept] = deque([_Kept(int(now), nothing)], WINDOWS[-1] + 1)
        self._steps: deque[Step] = deque(maxlen=STEPS)

    def is_due(self, now: float) -> bool:
        """Whether another second has ended."""
        return int(now) > self._kept[-1].second

    def take(self, now: float, reading: Reading) -> None:
        """Keep a reading for the end of the last second."""
        before, last = self._kept[-1], int(now)
        for second in range(max(before.second + 1, last - WINDOWS[-1]), last):
            # Nobody looked when this one ended: what was counted since is spread evenly.
            share = (second - before.second) / (last - before.second)
            self._keep(second, replace(before.reading, totals=_between(before.reading.totals, reading.totals, share)))
        self._keep(last, replace(reading, routes=_shared(reading.routes, before.reading.routes)))

    def _keep(self, second: int, reading: Reading) -> None:
        kept = self._kept
        kept.append(_Kept(second, reading))
        if len(kept) > FINE_SECONDS + 2:
            old = kept[-FINE_SECONDS - 2]  # which no short window needs any more, and few of the longer ones
            if old.second % COARSE_SECONDS:
                kept[-FINE_SECONDS - 2] = _Kept(old.second, replace(old.reading, routes={}), has_routes=False)
        if second % STEP_SECONDS == 0:
            self._steps.append(self._step(kept[max(0, len(kept) - 1 - STEP_SECONDS)], kept[-2], kept[-1]))

    def _step(self, begin: _Kept, middle: _Kept, end: _Kept) -> Step:
        sums = Sums(_difference(end.reading.totals, begin.reading.totals))
        return Step(
            max(1, end.second - begin.second),
            sums,
            sums.percentiles("total"),
            max(middle.reading.busy_threads, end.reading.busy_threads),
            max(middle.reading.queue_depth, end.reading.queue_depth),
        )

    def window(self, seconds: int) -> Window:
        """Return what happened in so many whole seconds until the last one has ended; at most the last of WINDOWS."""
        kept = self._kept.copy()
        begin, end = max(0, len(kept) - 1 - seconds), kept[-1]
        base = next(each.reading.routes for each in islice(kept, begin, None) if each.has_routes)  # numbers are shared
        routes = ((route, now, base.get(route)) for route, now in end.reading.routes.items())
        return Window(
            max(1, len(kept) - 1 - begin),
            Sums(_difference(end.reading.totals, kept[begin].reading.totals)),
            {route: Sums(_difference(now, before)) for route, now, before in routes if now is not before},
        )

    def steps(self) -> list[Step]:
        """Return what a chart of the last five minutes shows, the oldest first; STEPS of them at most."""
        return list(self._steps)


def _difference(after: Sequence[int], before: Sequence[int] | None) -> Sequence[int]:
    return after if before is None else list(map(sub, after, before))


def _between(before: Sequence[int], after: Sequence[int], share: float) -> Sequence[int]:
    return array("q", (old + int((new - old) * share) for old, new in zip(before, after, strict=True)))


def _shared(routes: Mapping[str, Sequence[int]], before: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[int]]:
    """Use the old numbers of each route that had no requests: most routes of a second have none."""
    return {route: _old_or_new(before.get(route), numbers) for route, numbers in routes.items()}


def _old_or_new(old: Sequence[int] | None, new: Sequence[int]) -> Sequence[int]:
    return new if old is None or (old is not new and old != new) else old
