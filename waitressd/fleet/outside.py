"""What a master shows to others: the counts of its workers, and its admin addresses.

What is not shown is not imported, and costs the master no memory.
"""

import selectors
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from waitressd.fleet.hello import Hello
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster
from waitressd.logfiles import reopen_log_files
from waitressd.metrics.shown import FleetState

if TYPE_CHECKING:
    from waitressd.fleet.insight import FleetInsight

LONGEST_SLEEP_SECONDS: Final = 5.0  # of the master; bounds how late a signal is noticed that was lost on its way


class Outside:
    """What one master shows. Its thread."""

    def __init__(
        self, plan: Plan, roster: Roster, figures: Callable[[], FleetState], poller: selectors.BaseSelector
    ) -> None:
        self._plan = plan
        self._roster = roster
        self._figures = figures
        self._poller = poller
        self.insight: FleetInsight | None = None
        """What answers at the admin addresses, where there is a code that has any; the poller tells of its orders."""

    def show(self, hello: Hello) -> None:
        """Show what the workers of a code count, and how they are, where it says. Raises OSError or ConfigError."""
        if hello.counts and self._roster.metrics is None:
            from waitressd.metrics.fleet import FleetMetrics  # noqa: PLC0415 - see the module

            self._roster.metrics = FleetMetrics(self._figures, series=hello.adjustments.metrics_series)
        if hello.adjustments.admin_addresses:
            self._answer(hello)

    def keep(self, hellos: Sequence[Hello]) -> None:
        """Show no more what none of these codes wants."""
        if self.insight is not None:
            self.insight.keep([hello.adjustments for hello in hellos])

    def takes_orders(self) -> bool:
        """Whether somebody has asked for a stop at an admin address since the last time."""
        return self.insight is not None and self.insight.take_orders()

    def look(self, now: float, *, is_leaving: bool) -> None:
        """Note how the fleet is."""
        if self.insight is not None:
            self.insight.look(now, is_leaving=is_leaving)

    def open_anew(self) -> None:
        """Let go of log files that were renamed, and read tokens again. A thread that may wait for a disk."""
        reopen_log_files()
        if self.insight is not None:
            self.insight.reload()

    def close(self) -> None:
        """Show nothing any more."""
        if self.insight is not None:
            self._poller.unregister(self.insight)
            self.insight.close()
        if self._roster.metrics is not None:
            self._roster.metrics.close()

    def _answer(self, hello: Hello) -> None:
        from waitressd.fleet.insight import FleetInsight  # noqa: PLC0415 - see the module

        if self.insight is None:
            self.insight = FleetInsight(self._plan, self._roster, LONGEST_SLEEP_SECONDS)
            self._poller.register(self.insight, selectors.EVENT_READ, self.insight)
        self.insight.open(hello.adjustments)
