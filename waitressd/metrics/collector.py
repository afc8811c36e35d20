"""The hook: what is counted of each record."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from waitressd.metrics.histogram import BOUNDS, BUCKETS, bucket
from waitressd.metrics.layout import (
    BODY_BYTES_RECEIVED,
    BODY_BYTES_SENT,
    COUNTERS,
    ENDINGS,
    HISTOGRAMS,
    NUMBER_BYTES,
    NUMBERS,
    REQUESTS,
    TICKS_PER_SECOND,
    numbers_in,
)
from waitressd.metrics.shown import FleetState, Gauges, ServerGauges, Totals, WorkerGauges, write_tls
from waitressd.requestlog.record import RequestRecord

_SHORT: Final = BOUNDS[0]  # seconds below which a duration falls into the first bucket
_ENDINGS: Final = len(ENDINGS)


class Watched(Protocol):
    """A server that says how busy it is."""

    def snapshot(self) -> ServerGauges:
        """Say it. Any thread."""


class Metrics:
    """Counters and histograms of one server, and its gauges. Any thread."""

    def __init__(self) -> None:
        self.started: Final = time.time()
        self.server: Watched | None = None
        self.lock: Final = threading.Lock()  # guards what is written to `numbers`
        self.numbers: memoryview = numbers_in(bytearray(NUMBERS * NUMBER_BYTES), 0, NUMBERS)

    def __call__(self, record: RequestRecord) -> None:
        """Count a request that is over."""
        status = record.status // 100
        durations = (record.queue_time, record.application_time, record.flush_time, record.duration)
        request = REQUESTS + status * _ENDINGS + ENDINGS[record.ended_by]
        received, sent = record.body_bytes_received, record.body_bytes_sent
        numbers = self.numbers
        with self.lock:
            numbers[request] += 1
            if received:
                numbers[BODY_BYTES_RECEIVED] += received
            if sent:
                numbers[BODY_BYTES_SENT] += sent
            for first, seconds in zip(HISTOGRAMS[status], durations, strict=True):
                if seconds is not None:
                    numbers[first if seconds < _SHORT else first + bucket(seconds)] += 1
                    numbers[first + BUCKETS] += int(seconds * TICKS_PER_SECOND + 0.5)

    def start(self, server: Watched) -> None:
        """Remember the server whose gauges are shown."""
        self.server = server

    def totals(self) -> Totals:
        """Return what was counted."""
        with self.lock:
            numbers = list(self.numbers[:COUNTERS])
        if self.server is not None:
            write_tls(numbers, self.server.snapshot())
        return Totals(numbers)

    def gauges(self) -> Gauges | None:
        """Return how busy the server is now; None if there is none."""
        return self.server.snapshot() if self.server is not None else None

    def worker_gauges(self) -> Mapping[int, Sequence[WorkerGauges]]:
        """Return none: there are no workers."""
        return {}

    def fleet_state(self) -> FleetState | None:
        """Return None: there is no master."""
        return None
