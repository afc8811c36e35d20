"""What a fleet has counted, seen from any process that knows its area."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from waitressd.metrics.area import Area
from waitressd.metrics.shown import FleetState, ServerGauges, Totals, WorkerGauges


class FleetView:
    """Sums over all workers, and the gauges of each. Any thread; asks no worker, so none can hold it up."""

    def __init__(self, area: Area, state: Callable[[], FleetState] | None = None) -> None:
        self._area: Final = area
        self._state: Final = state

    @property
    def started(self) -> float:
        """When the counters began, in seconds since the epoch."""
        return self._area.started

    def totals(self) -> Totals:
        """Return what was counted by all workers that there are and were."""
        return Totals(self._area.totals())

    def gauges(self) -> ServerGauges | None:
        """Return None: each worker has its own."""
        return None

    def worker_gauges(self) -> Mapping[int, Sequence[WorkerGauges]]:
        """Return how busy the workers were when they last said so, by place."""
        return self._area.gauges(time.monotonic())

    def fleet_state(self) -> FleetState | None:
        """Return what the master says, None in a worker."""
        return self._state() if self._state is not None else None
