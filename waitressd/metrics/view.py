"""What a fleet has counted, seen from any process that knows its area."""

import time
from collections.abc import Callable
from typing import Final

from waitressd.metrics.area import Area
from waitressd.metrics.pauses import Steps
from waitressd.metrics.shown import FleetState, Picture, Totals, together


class FleetView:
    """Sums over all workers, and the gauges of each. Any thread; asks no worker, so none can hold it up.

    `state` is what the master says, `not_ready` why the fleet wants no requests; None where nobody can say.
    """

    def __init__(self, area: Area, state: Callable[[], FleetState] | None = None) -> None:
        self.not_ready: Callable[[], str] | None = None
        self._area: Final = area
        self._state: Final = state

    def look(self) -> Steps[Picture]:
        """See Shown."""
        area = self._area
        # The sums first: a slot that is taken afterwards is not in them.
        numbers = yield from area.totals_in_steps()
        found = area.gauges(time.monotonic())
        return Picture(
            area.started,
            Totals(numbers, area.series.keys()),
            workers={place: together([figures for figures, _ in each]) for place, each in found.items()},
            ages={place: max(age_seconds for _, age_seconds in each) for place, each in found.items()},
            fleet=self._state() if self._state is not None else None,
            not_ready=self.not_ready() if self.not_ready is not None else None,
        )
