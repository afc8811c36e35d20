"""The metrics of a fleet, for its master: the counters of all workers."""

import os
from collections.abc import Callable
from typing import Final

from waitressd.memoryfile import new_file
from waitressd.metrics.area import ROWS, SERIES, Area
from waitressd.metrics.shown import FleetState
from waitressd.metrics.view import FleetView


class FleetMetrics:
    """Counters of all workers, in memory that they share with the master.

    `claim`, `retire` and `close` belong to one thread of the master, the view to any. `state` is called by the threads
    that show the metrics. Raises OSError if there is no memory.
    """

    def __init__(
        self, state: Callable[[], FleetState], rows: int = ROWS, series: int = SERIES, fd: int | None = None
    ) -> None:
        """`series` is the bound of their number, as long as the master lives.

        `fd` is the memory in which another master has counted. Raises ValueError: it means something else by that.
        """
        self.fd: Final = new_file("waitressd-metrics") if fd is None else fd
        """What workers need, to find their row; closed by `close`."""
        self._area: Final = Area.create(self.fd, rows, series) if fd is None else Area.attach(fd)
        self.view: Final = FleetView(self._area, state)
        """What there is to show."""

    # -- rows

    def claim(self, place: int) -> int | None:
        """Return the row for a new worker in this place (1 or more), to be handed to `adopt_row` there.

        None if so many workers exist already; this one can only count for itself.
        """
        return self._area.claim(place)

    def retire(self, row: int) -> None:
        """Keep what a worker has counted, and free its row. It has ended; twice is harmless."""
        self._area.retire(row)

    def close(self) -> None:
        """Let go of them. Twice is not harmless: the descriptor may belong to another by then."""
        self._area.close()
        os.close(self.fd)
