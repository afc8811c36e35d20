"""What a fleet has counted, seen from any process that knows its area."""

import time
from collections.abc import Callable, Collection
from typing import Final

from waitressd.metrics.area import Area
from waitressd.metrics.pauses import Steps
from waitressd.metrics.shown import FleetState, Picture, Totals, together

FRESH_SECONDS: Final = 0.02  # what was written then is as good as new
SILENT_SECONDS: Final = (
    2.0  # who has not written for so long hangs or is stopped, and is not asked: nobody would read it
)
PATIENCE_SECONDS: Final = 0.005  # for all whom somebody asks; who computes takes longer than anybody should wait


class FleetView:
    """Sums over all workers, and the gauges of each. Any thread; waits for no worker, so none can hold it up.

    `state` is what the master says, `not_ready` why the fleet wants no requests; None where nobody can say.
    """

    def __init__(self, area: Area, state: Callable[[], FleetState] | None = None) -> None:
        self.not_ready: Callable[[], str] | None = None
        self.refresh: Callable[[Collection[int]], None] | None = None
        """Asks the workers of these rows to write what they have counted, where somebody can; does not wait for it."""
        self._area: Final = area
        self._state: Final = state

    def look(self) -> Steps[Picture]:
        """See Shown."""
        area = self._area
        yield from self._refresh()
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

    def _refresh(self) -> Steps[None]:
        """Have the workers write down what they have counted, and wait a moment for those that do it at once."""
        begin = now = time.monotonic()
        ages = self._area.ages(now)
        late = {row for row, age in ages.items() if FRESH_SECONDS < age < SILENT_SECONDS}
        if self.refresh is None or not late:
            return
        self.refresh(late)
        while late and now - begin < PATIENCE_SECONDS:
            yield
            now = time.monotonic()
            late &= {row for row, age in self._area.ages(now).items() if age > now - begin}
