"""What is shown: counters as values, gauges, and what a master says of its workers."""

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from waitressd.metrics import layout
from waitressd.metrics.histogram import BUCKETS, Histogram


class Gauges(Protocol):
    """What a server says of itself at one moment; `waitressd.dispatch.snapshot.Snapshot` is one."""

    @property
    def busy_threads(self) -> int:
        """Threads that run the application."""

    @property
    def idle_threads(self) -> int:
        """Threads that could begin a request."""

    @property
    def queue_depth(self) -> int:
        """Requests that wait for a thread."""

    @property
    def oldest_wait_seconds(self) -> float:
        """How long the first of them has been waiting."""

    @property
    def connections(self) -> Any:  # noqa: ANN401 - a mapping from state to count
        """Connections by state."""

    @property
    def open_handshakes(self) -> int:
        """Handshakes of TLS that are under way."""

    @property
    def certificate_ends(self) -> Any:  # noqa: ANN401 - a mapping from name to seconds since the epoch
        """When the certificates expire."""


class ServerGauges(Gauges, Protocol):
    """What a server says that runs in this process. It counts by itself what becomes of TLS; all empty without that."""

    @property
    def handshakes(self) -> Any:  # noqa: ANN401 - a mapping from result to count
        """Handshakes that are over, by their results."""

    @property
    def reloads(self) -> Any:  # noqa: ANN401 - a mapping from result to count
        """How many times changed certificates were taken, and how many times not."""


@dataclass(frozen=True, slots=True)
class WorkerGauges:
    """What a worker process has said of itself, `age_seconds` ago."""

    busy_threads: int
    idle_threads: int
    queue_depth: int
    oldest_wait_seconds: float
    connections: Mapping[str, int]
    open_handshakes: int
    age_seconds: float
    certificate_ends: Mapping[str, float]


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


class Totals:
    """The counters of a row, or the sums of several, as values."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers: Final = numbers
        self.body_bytes_received: Final = numbers[layout.BODY_BYTES_RECEIVED]
        self.body_bytes_sent: Final = numbers[layout.BODY_BYTES_SENT]

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """(class of status, who ended it) -> count, for those that there were."""
        counts = iter(self._numbers[layout.REQUESTS :])
        found = {(status, ended_by): next(counts) for status in layout.STATUSES for ended_by in layout.ENDED_BY}
        return {key: count for key, count in found.items() if count}

    @property
    def phases(self) -> dict[tuple[str, str], Histogram]:
        """(phase, class of status) -> durations, for those that there were."""
        found = {
            (phase, status): self._histogram(first)
            for status, firsts in zip(layout.STATUSES, layout.HISTOGRAMS, strict=True)
            for phase, first in zip(layout.PHASES, firsts, strict=True)
        }
        return {key: histogram for key, histogram in found.items() if histogram.count}

    @property
    def handshakes(self) -> dict[str, int]:
        """How the handshakes of TLS ended, by their results."""
        return dict(zip(layout.HANDSHAKES, self._numbers[layout.HANDSHAKES_ENDED :], strict=False))

    @property
    def reloads(self) -> dict[str, int]:
        """What became of changed certificates."""
        return dict(zip(layout.RENEWALS, self._numbers[layout.CERTIFICATES_CHANGED :], strict=False))

    def _histogram(self, first: int) -> Histogram:
        *counts, ticks = self._numbers[first : first + BUCKETS + 1]
        return Histogram(counts, ticks / layout.TICKS_PER_SECOND)


def write_tls(numbers: MutableSequence[int] | memoryview, gauges: ServerGauges) -> None:
    """Take over into a row what a server has counted by itself."""
    for number, result in enumerate(layout.HANDSHAKES):
        numbers[layout.HANDSHAKES_ENDED + number] = gauges.handshakes.get(result, 0)
    for number, result in enumerate(layout.RENEWALS):
        numbers[layout.CERTIFICATES_CHANGED + number] = gauges.reloads.get(result, 0)


class Shown(Protocol):
    """Whatever has metrics to show. Any thread."""

    @property
    def started(self) -> float:
        """When the counters began, in seconds since the epoch."""

    def totals(self) -> Totals:
        """Return what was counted."""

    def gauges(self) -> Gauges | None:
        """Return how busy the server of this process is; None if there is none, or several processes are shown."""

    def worker_gauges(self) -> Mapping[int, Sequence[WorkerGauges]]:
        """Return how busy the workers are, by place; two may share one while a worker is replaced."""

    def fleet_state(self) -> FleetState | None:
        """Return what the master says."""
