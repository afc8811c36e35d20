"""The row of this process in the counters of a fleet.

A worker is handed its row before its server opens. From then on the metrics of this process count there and open no
listener: the master shows the sums, at the address that all workers were configured with.
"""

import os
from typing import Final

from waitressd.metrics import layout
from waitressd.metrics.area import Area, write_certificates
from waitressd.metrics.layout import to_ticks
from waitressd.metrics.shown import ServerGauges, write_tls
from waitressd.requestlog.failures import say


class AdoptedRow:
    """A row, for the first metrics that ask for it; those that come later would count everything twice."""

    def __init__(self, area: Area, index: int) -> None:
        self.area: Final = area
        self.pid: Final = os.getpid()
        self._numbers: Final = area.row(index)
        self._is_free = True
        self._ends: dict[str, float] = {}  # of certificates, as they were written last

    def take(self) -> memoryview | None:
        """Return the row, the first time. The thread that opens the server."""
        numbers = self._numbers if self._is_free else None
        self._is_free = False
        return numbers

    def write(self, gauges: ServerGauges, now: float) -> None:
        """Write how busy this process is at this moment (monotonic seconds). One thread at a time."""
        row = self._numbers
        row[layout.BUSY_THREADS] = gauges.busy_threads
        row[layout.IDLE_THREADS] = gauges.idle_threads
        row[layout.QUEUE_DEPTH] = gauges.queue_depth
        row[layout.OLDEST_WAIT] = to_ticks(gauges.oldest_wait_seconds)
        for number, state in enumerate(layout.STATES):
            row[layout.CONNECTIONS + number] = gauges.connections[state]
        row[layout.OPEN_HANDSHAKES] = gauges.open_handshakes
        write_tls(row, gauges)
        if gauges.certificate_ends != self._ends:
            self._ends = dict(gauges.certificate_ends)
            write_certificates(row, self._ends)
        row[layout.GAUGES_AT] = to_ticks(now)


_adopted: list[AdoptedRow] = []


def adopt_row(fd: int, index: int | None) -> None:
    """Count in this row of the area behind a descriptor, which may be closed afterwards.

    In a worker, before its server opens. Never fails: without a row, or with one that another version of the server
    has laid out, the worker says so and counts for itself.
    """
    try:
        if index is None:
            raise ValueError("there is no row for it")
        found = AdoptedRow(Area.attach(fd), index)
    except (OSError, ValueError) as error:
        say("The metrics do not show what this worker counts: %s", error)
        area = Area.private()
        found = AdoptedRow(area, area.claim(1) or 0)
    _adopted[:] = [found]


def adopted_row() -> AdoptedRow | None:
    """Return the row of this process, None if it is no worker of a fleet; what a worker forks is none."""
    return _adopted[0] if _adopted and _adopted[0].pid == os.getpid() else None


def drop_row() -> None:
    """Be no worker any more."""
    _adopted.clear()
