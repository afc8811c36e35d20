"""What is shown: counters as values, how busy each process is, and what a master says of its workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from waitressd.metrics import layout
from waitressd.metrics.figures import Figures
from waitressd.metrics.histogram import Histogram
from waitressd.metrics.layout import COUNTERS, SERIES_BOUNDS, SLOT, SLOTS, STATUSES, TICKS_PER_SECOND
from waitressd.metrics.pauses import Steps
from waitressd.metrics.series import AnyKey
from waitressd.net.ledger import BOUNDS, BUCKETS, ENDED_BY, Key

K = TypeVar("K")

NOT_READY: Final = ("starting", "leaving", "draining", "paused", "queue", "no_worker")
"""Why a server or a fleet may want no requests."""


@dataclass(frozen=True, slots=True)
class FleetState:
    """What a master says of its workers; counts of events must not fall."""

    workers: Mapping[str, int]
    """Worker processes by stage."""
    exits: Mapping[str, int]
    """Worker processes that have ended since the start, by reason."""
    ages: Mapping[int, float]
    """How long the worker of each place has been running, in seconds."""
    reloads: Mapping[str, int]
    """Reloads since the start, by result."""
    generation: int
    """The number of the code that runs."""
    moved: Mapping[str, int] = field(default_factory=dict)
    """Connections that workers have given to each other since the start, by why."""
    private_bytes: Mapping[int, int] = field(default_factory=dict)
    """Memory of the worker of each place that it shares with nobody, where that is known."""
    wanted: int = 0
    """How many workers there should be."""


class Totals:
    """The counters of a row, or the sums of several, as values; `keys` are those of its slots, in their order."""

    def __init__(self, numbers: Sequence[int], keys: Sequence[AnyKey] = ()) -> None:
        """`numbers` are the counters: a row from `layout.COUNTERS` on. `keys` are those of its slots."""
        self._numbers: Final = numbers
        self.keys: Final[dict[Key, int]] = {key: slot for slot, key in enumerate(keys) if len(key) > 1}
        """The series of requests, and their slots."""
        self._logs: Final = {key[0]: slot for slot, key in enumerate(keys) if len(key) == 1}

    def count(self, name: str) -> int:
        """Return one of `layout.COUNTS_OF`."""
        return self._numbers[layout.COUNTS_OF.index(name)]

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """(class of status, who ended it) -> count, for those that there were."""
        found: dict[tuple[str, str], int] = {}
        for status, name in enumerate(STATUSES):
            first = layout.CLASSES + status * layout.CLASS - COUNTERS
            counts = self._numbers[first : first + len(ENDED_BY)]
            found |= {(name, ended_by): count for ended_by, count in zip(ENDED_BY, counts, strict=True) if count}
        return found

    def phase(self, phase: str, status: str) -> Histogram:
        """Return the durations of one of `layout.PHASES` in requests with this class of status."""
        return self._histogram(layout.histogram_at(STATUSES.index(status), phase))

    def series(self, slot: int) -> Histogram:
        """Return the durations of the requests of a series."""
        first = SLOTS + slot * SLOT - COUNTERS
        *counts, ticks = self._numbers[first : first + SLOT]
        return Histogram(SERIES_BOUNDS, counts, ticks / TICKS_PER_SECOND)

    @property
    def lost_records(self) -> dict[str, int]:
        """How many records each request log has lost."""
        return {name: self._numbers[SLOTS + slot * SLOT - COUNTERS] for name, slot in self._logs.items()}

    @property
    def delays(self) -> Histogram:
        """How late timers were."""
        return self._histogram(layout.DELAYS)

    @property
    def timeouts(self) -> dict[str, int]:
        """What became of requests over their time limit."""
        return self._named(layout.TIMED_OUT, layout.TIMEOUTS)

    @property
    def handshakes(self) -> dict[str, int]:
        """How the handshakes of TLS ended, by their results."""
        return self._named(layout.HANDSHAKES_ENDED, layout.HANDSHAKES)

    @property
    def reloads(self) -> dict[str, int]:
        """What became of changed certificates."""
        return self._named(layout.CERTIFICATES_CHANGED, layout.RENEWALS)

    def _named(self, first: int, names: Sequence[str]) -> dict[str, int]:
        return dict(zip(names, self._numbers[first - COUNTERS :], strict=False))

    def _histogram(self, first: int) -> Histogram:
        *counts, ticks = self._numbers[first - COUNTERS : first - COUNTERS + BUCKETS + 1]
        return Histogram(BOUNDS, counts, ticks / TICKS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Picture:
    """All that there is to show at one moment."""

    started: float
    """When the counters began, in seconds since the epoch."""
    totals: Totals
    figures: Figures | None = None
    """Those of the server of this process; None where several processes are shown."""
    workers: Mapping[int, Figures] = field(default_factory=dict)
    """Those of the workers of a fleet, by place."""
    ages: Mapping[int, float] = field(default_factory=dict)
    """How long ago each of them has said so, in seconds."""
    fleet: FleetState | None = None
    """What the master says."""
    not_ready: str | None = None
    """Why no requests are wanted, one of NOT_READY; "" if they are, None if nobody can say."""

    @property
    def processes(self) -> list[tuple[int, Figures]]:
        """Each process that is shown, with its place; 0 outside of a fleet."""
        return [(0, self.figures)] if self.figures is not None else list(self.workers.items())


class Shown(Protocol):
    """Whatever has metrics to show."""

    def look(self) -> Steps[Picture]:
        """Look at it, with pauses. Any thread."""


def together(figures: Sequence[Figures]) -> Figures:
    """Add up the gauges of several processes: of waiting, the longest; of certificates, the first end."""
    return Figures(
        **{name: sum(getattr(each, name) for each in figures) for name in _ADDED},
        rss_bytes=_known_sum([each.rss_bytes for each in figures]),
        fds=_known_sum([each.fds for each in figures]),
        fd_limit=_known_sum([each.fd_limit for each in figures]),
        oldest_wait_seconds=max(each.oldest_wait_seconds for each in figures),
        process_started=min(each.process_started for each in figures),
        connections=_added([each.connections for each in figures]),
        running=_added([each.running for each in figures]),
        certificate_ends={
            name: min(each.certificate_ends[name] for each in figures if name in each.certificate_ends)
            for name in dict.fromkeys(name for each in figures for name in each.certificate_ends)
        },
        findings=_found([each.findings for each in figures if each.findings is not None]),
    )


_ADDED: Final = (
    "busy_threads", "idle_threads", "overdue_threads", "threads_limit", "queue_depth", "queue_limit",
    "connections_limit", "open_handshakes", "cpu_seconds",
)  # fmt: skip


def _found(every: Sequence[frozenset[str]]) -> frozenset[str] | None:
    return frozenset().union(*every) if every else None


def _known_sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _added(every: Sequence[Mapping[K, int]]) -> dict[K, int]:
    found: dict[K, int] = {}
    for each in every:
        for name, count in each.items():
            found[name] = found.get(name, 0) + count
    return found
