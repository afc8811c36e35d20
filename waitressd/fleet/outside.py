"""What a master shows to others: the counts of its workers, and its admin addresses.

What is not shown is not imported, and costs the master no memory.
"""

import logging
import os
import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from waitressd.fleet.hello import Hello
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster
from waitressd.logfiles import reopen_log_files
from waitressd.metrics.shown import FleetState
from waitressd.net.listener import Listener
from waitressd.net.logs import say

if TYPE_CHECKING:
    from waitressd.fleet.insight import FleetInsight

LONGEST_SLEEP_SECONDS: Final = 5.0  # of the master; bounds how late a signal is noticed that was lost on its way


@dataclass(slots=True)
class Showing:
    """What a master has shown, and another one will show."""

    hellos: Sequence[Hello] = ()
    """Of the codes that have workers; the last one holds."""
    counters: int | None = None
    """The memory of the metrics."""
    admin: Sequence[Listener] = ()


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
        self._show(hello, ())

    def keep(self, hellos: Sequence[Hello]) -> None:
        """Show no more what none of these codes wants."""
        if self.insight is not None:
            self.insight.keep([hello.adjustments for hello in hellos])

    def hand_over(self, shown: Showing) -> None:
        """Show nothing for a moment, and note what it goes on with; who asks meanwhile waits.

        Raises OSError, and nothing has changed: no descriptor is left.
        """
        shown.counters = None if self._roster.metrics is None else self._roster.metrics.fd
        if self.insight is not None:
            shown.admin = self.insight.copies()
            self._poller.unregister(self.insight)
            insight, self.insight = self.insight, None
            insight.leave_to_others()

    def resume(self, shown: Showing) -> None:
        """Show again what `hand_over` has noted, here or in another program. Raises OSError or ConfigError."""
        if shown.counters is not None and self._roster.metrics is None:
            self._count_on(shown.counters)
        for hello in shown.hellos:
            self._show(hello, shown.admin)

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

    def _show(self, hello: Hello, held: Sequence[Listener]) -> None:
        if hello.counts and self._roster.metrics is None:
            from waitressd.metrics.fleet import FleetMetrics  # noqa: PLC0415 - see the module

            self._roster.metrics = FleetMetrics(self._figures, series=hello.adjustments.metrics_series)
        if hello.adjustments.admin_addresses:
            self._answer(hello, held)

    def _count_on(self, fd: int) -> None:
        from waitressd.metrics.fleet import FleetMetrics  # noqa: PLC0415 - see the module

        os.set_inheritable(fd, False)
        try:
            self._roster.metrics = FleetMetrics(self._figures, fd=fd)
        except ValueError:  # those that count there are of another version, and are about to be replaced
            say(logging.INFO, "this version counts in another way: the metrics begin at zero")
            os.close(fd)

    def _answer(self, hello: Hello, held: Sequence[Listener]) -> None:
        from waitressd.fleet.insight import FleetInsight  # noqa: PLC0415 - see the module

        if self.insight is None:
            self.insight = FleetInsight(self._plan, self._roster, LONGEST_SLEEP_SECONDS)
            self.insight.look(time.monotonic(), is_leaving=False)
            self.insight.hold(held)
            self._poller.register(self.insight, selectors.EVENT_READ, self.insight)
        self.insight.open(hello.adjustments)
