"""The counters of one server, written down anew whenever somebody looks."""

import threading
import time
from typing import TYPE_CHECKING, Final

from waitressd.metrics.area import SERIES, Area
from waitressd.metrics.layout import COUNTERS
from waitressd.metrics.look import Watched, ledgers_of, look_at
from waitressd.metrics.pauses import Steps
from waitressd.metrics.row import RowWriter
from waitressd.metrics.shown import Picture, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class ServerCounts:
    """What a server has counted. `findings` says what is the matter, `not_ready` why it wants no requests, if known.

    Several may look at once, also in one thread; each pauses until another has written down what it has seen.
    """

    def __init__(self, server: Watched, series: int = SERIES) -> None:
        self.findings: Callable[[], Collection[str]] | None = None
        self.not_ready: Callable[[], str] | None = None
        self._server: Final = server
        self._started: Final = time.time()
        self._area: Final = Area.private(series=series)
        self._row: Final = self._area.row(self._area.claim(1) or 0)
        self._writer: Final = RowWriter(self._row, self._area.series.slot)
        self._lock: Final = threading.Lock()  # held while numbers are written

    def look(self) -> Steps[Picture]:
        """See Shown."""
        figures = yield from look_at(self._server, self.findings() if self.findings is not None else None)
        while not self._lock.acquire(blocking=False):
            yield
        try:
            yield from self._writer.write(ledgers_of(self._server.lanes), figures)
            totals = Totals(list(self._row[COUNTERS:]), self._area.series.keys())
        finally:
            self._lock.release()
        return Picture(
            self._started,
            totals,
            figures,
            not_ready=self.not_ready() if self.not_ready is not None else None,
        )
