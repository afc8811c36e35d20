"""Readings for a history, as a ledger would give them."""

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from waitressd.insight.history import (
    BUCKETS_AT,
    NUMBERS,
    PHASES,
    ROUTE_NUMBERS,
    STATUSES,
    TICKS_AT,
    TICKS_PER_SECOND,
    Reading,
)
from waitressd.net.ledger import BOUNDS, BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counters:
    """What would have been counted: so many requests, each of which took so many seconds in the application."""

    def __init__(self) -> None:
        self.totals = array("q", bytes(8 * NUMBERS))
        self.routes: dict[str, array[int]] = {}

    def add(self, count: int = 1, *, status: str = "2xx", route: str = "/", seconds: int = 0) -> None:
        """Count requests that have ended."""
        numbers = self.routes.setdefault(route, array("q", bytes(8 * ROUTE_NUMBERS)))
        for into, phases in ((self.totals, PHASES), (numbers, PHASES[:1])):
            into[STATUSES.index(status)] += count
            for phase in ("total", "application"):
                into[TICKS_AT + PHASES.index(phase)] += count * seconds * TICKS_PER_SECOND
            for place, phase in enumerate(phases):
                took = seconds if phase in {"total", "application"} else 0
                into[BUCKETS_AT + BUCKETS * place + bisect_left(BOUNDS, took)] += count

    def read(self, busy_threads: int = 0, queue_depth: int = 0) -> Reading:
        """Take a reading."""
        routes: dict[str, Sequence[int]] = {route: numbers[:] for route, numbers in self.routes.items()}
        return Reading(self.totals[:], routes, busy_threads, queue_depth)
