"""Ledgers that tests fill, and what they say in the shapes that tests compare."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from waitressd.config.adjustments import Adjustments
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.lane import Lane
from waitressd.net import ledger as numbers
from waitressd.net.ledger import BOUNDS, ENDED_BY, FAST_SECONDS, Key, Ledger, endings
from waitressd.net.poller import build_poller

NAMES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


def counts(ledger: Ledger) -> dict[Key, int]:
    """How many requests there were of each kind."""
    return {key: sum(endings(ledger.row(key)).values()) for key in ledger.all_keys()}


def ended(ledgers: Iterable[Ledger]) -> Counter[tuple[str, str]]:
    """How many requests there were by class of status and by what ended them, as the metrics call both."""
    found: Counter[tuple[str, str]] = Counter()
    for ledger in ledgers:
        for key in ledger.all_keys():
            for name, count in endings(ledger.row(key)).items():
                if count:
                    found[NAMES[key[2] // 100], name] += count
    return found


def lane_with(ledger: Ledger | None = None, **bounds: Any) -> Lane:
    """Return a lane that has never begun, and counts here."""
    lane = Lane(build_poller(), Bounds(**bounds))
    lane.dispatcher.ledger = ledger
    return lane


class Server:
    """As much of a server as metrics need."""

    def __init__(self, *lanes: Lane, **settings: Any) -> None:
        self.adjustments = Adjustments.from_keywords(**settings)
        self.lanes = lanes
        self.on_tick: list[Callable[[float], object]] = []
        self.figures: dict[str, Any] = {}

    def own_figures(self) -> Mapping[str, Any]:
        """Say what the server alone knows."""
        return self.figures

    def close(self) -> None:
        """Give back what its lanes have."""
        for lane in self.lanes:
            lane.dispatcher.close()


def count(ledger: Ledger, seconds: float = 0.0001, times: int = 1, ended_by: str = "complete", **kind: Any) -> None:
    """Count requests as the holder of the role does: fast ones, or such that were in the application for so long."""
    key = (kind.get("route", "/"), kind.get("method", "GET"), kind.get("status", 200), kind.get("scheme", "http"))
    row = ledger.inline.rows.setdefault(key, [0] * numbers.ROW_NUMBERS)
    if seconds < FAST_SECONDS and ended_by == "complete":
        row[numbers.FAST] += times
        row[numbers.FAST_SUM] += seconds * times
        return
    row[numbers.ENDINGS + ENDED_BY.index(ended_by)] += times
    row[numbers.APPLICATION_SUM] += seconds * times
    row[numbers.TOTAL_SUM] += seconds * times
    row[numbers.QUEUE] += times
    row[numbers.APPLICATION + bisect_left(BOUNDS, seconds)] += times
    row[numbers.TOTAL + bisect_left(BOUNDS, seconds)] += times
    of_class = ledger.inline.classes[key[2] // 100]
    of_class[numbers.RECEIVE] += times
    of_class[numbers.FLUSH] += times
