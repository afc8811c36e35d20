"""The hook: what is counted of each record."""

import threading
import time
from typing import Any, Final, Protocol

from waitressd.metrics.histogram import Histogram
from waitressd.requestlog.record import RequestRecord

PHASES: Final = ("queue", "application", "flush", "total")
UNANSWERED: Final = "none"
COMPLETE: Final = "complete"


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
    def handshakes(self) -> Any:  # noqa: ANN401 - a mapping from result to count
        """Those that are over, by their results; empty without TLS."""

    @property
    def certificate_ends(self) -> Any:  # noqa: ANN401 - a mapping from name to seconds since the epoch
        """When the certificates expire."""

    @property
    def reloads(self) -> Any:  # noqa: ANN401 - a mapping from result to count
        """How many times changed certificates were taken, and how many times not."""


class Watched(Protocol):
    """A server that says how busy it is."""

    def snapshot(self) -> Gauges:
        """Say it. Any thread."""


class Metrics:
    """Counters and histograms of one server, and its gauges. Any thread."""

    def __init__(self) -> None:
        self.started: Final = time.time()
        self.server: Watched | None = None
        self.lock: Final = threading.Lock()  # guards what follows
        self.requests: dict[tuple[str, str], int] = {}  # (class of status, who ended it) -> count
        self.phases: dict[tuple[str, str], Histogram] = {}  # (phase, class of status) -> durations
        self.body_bytes_received = 0
        self.body_bytes_sent = 0

    def __call__(self, record: RequestRecord) -> None:
        """Count a request that is over."""
        status = f"{record.status // 100}xx" if record.status else UNANSWERED
        durations = (record.queue_time, record.application_time, record.flush_time, record.duration)
        key = (status, record.ended_by or COMPLETE)
        with self.lock:
            self.requests[key] = self.requests.get(key, 0) + 1
            self.body_bytes_received += record.body_bytes_received
            self.body_bytes_sent += record.body_bytes_sent
            for phase, seconds in zip(PHASES, durations, strict=True):
                if seconds is not None:
                    histogram = self.phases.get((phase, status))
                    if histogram is None:
                        histogram = self.phases[phase, status] = Histogram()
                    histogram.add(seconds)

    def start(self, server: Watched) -> None:
        """Remember the server whose gauges are shown."""
        self.server = server

    def gauges(self) -> Gauges | None:
        """Return how busy the server is now; None if there is none."""
        return self.server.snapshot() if self.server is not None else None
