"""The row of this process in the counters of a fleet.

A worker is handed its row before its server opens. From then on it writes there what it counts, about twice a second,
when its master asks, and once more at its end: so a worker that is killed takes with it what it has counted in that
time, and no more.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from waitressd.metrics.area import Area
from waitressd.metrics.gauges import write_certificates, write_gauges
from waitressd.metrics.look import Watched, ledgers_of, look_at
from waitressd.metrics.pauses import finish
from waitressd.metrics.row import RowWriter
from waitressd.net.logs import report_defect
from waitressd.requestlog.failures import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

WRITE_SECONDS: Final = 0.5  # between two times


class AdoptedRow:
    """A row, and what is written to it. Any thread."""

    def __init__(self, area: Area, index: int) -> None:
        self.area: Final = area
        self.pid: Final = os.getpid()
        self.findings: Callable[[], Collection[str]] | None = None
        """Says what is the matter, where somebody looks for that."""
        self._row: Final = area.row(index)
        self._writer: Final = RowWriter(self._row, area.series.slot)
        self._ends: dict[str, float] = {}  # of certificates, as they were written last
        self._due = 0.0
        self._server: Watched | None = None
        self._lock: Final = threading.Lock()  # held while the row is written

    def begin(self, server: Watched) -> None:
        """Write down from now on what this server counts."""
        self._server = server

    def on_tick(self, now: float) -> None:
        """Write, if it is time (monotonic seconds)."""
        if now >= self._due:
            self._due = now + WRITE_SECONDS
            self._write(now)

    def refresh(self) -> None:
        """Write, because somebody looks. Never raises."""
        try:
            self._write(time.monotonic())
        except Exception:  # border: the thread that hears the master must go on
            report_defect("writing the counters failed")

    def end(self) -> None:
        """Write once more what has come since the last time; twice is harmless."""
        self._write(time.monotonic())
        self._server = None

    def _write(self, now: float) -> None:
        with self._lock:
            if (server := self._server) is not None:
                self._write_figures(server, now)

    def _write_figures(self, server: Watched, now: float) -> None:
        figures = finish(look_at(server, self.findings() if self.findings is not None else None))
        finish(self._writer.write(ledgers_of(server.lanes), figures))
        if figures.certificate_ends != self._ends:
            self._ends = dict(figures.certificate_ends)
            write_certificates(self._row, self._ends)
        write_gauges(self._row, figures, now)


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
