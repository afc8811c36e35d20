"""What a server remembers of itself, for whoever asks later: a tick about once a second.

A tick looks where slow requests are, takes a reading of what was counted, and says in the log what has begun to be the
matter, or is over. Whoever asks gets what is remembered, together with what is true at that moment.
"""

import time
from typing import Final

from waitressd.insight.announcer import Announcer
from waitressd.insight.failures import describe_failure
from waitressd.insight.findings import Finding, find
from waitressd.insight.history import History
from waitressd.insight.load import Load, read_load
from waitressd.insight.reading import LedgerReader
from waitressd.insight.situations import Memory, Situations
from waitressd.insight.slow import SlowRequests
from waitressd.insight.view import ServerView
from waitressd.insight.watch import Watch
from waitressd.metrics.process import CpuShare, process_use
from waitressd.net.exchange import Exchange
from waitressd.net.logs import say


class Monitor:
    """What one server remembers. `on_tick` is for the thread inside `run`, everything else for any."""

    def __init__(self, view: ServerView, worker: int) -> None:
        """Begin with a server whose lanes are built and have not started; `worker` is the number of this process."""
        adjustments = view.adjustments
        self.view: Final = view
        self.started: Final = time.monotonic()
        self.slow: Final = SlowRequests(
            adjustments.slow_threshold, adjustments.slow_requests, worker, shows_query=adjustments.admin_show_query
        )
        self.watch: Final = Watch(lambda: view.lanes, adjustments.slow_threshold)
        self.slow.take_stack = self.watch.take_stack
        self.history: Final = History(self.started)
        self.situations: Final = Situations(view, Memory(self.watch, self.slow, self.history), worker)
        self.cpu: Final = CpuShare()
        ledgers = [ledger for lane in view.lanes if (ledger := lane.dispatcher.ledger) is not None]
        for ledger in ledgers:
            ledger.on_unusual, ledger.describe = self.slow.note, describe_failure
        self.is_counting: Final = bool(ledgers)
        """Whether requests are counted (`metrics`); else there is no history of them."""
        self._reader = LedgerReader(ledgers, self.slow, [lane.delays for lane in view.lanes])
        self._announcer = Announcer(say, adjustments.task_log_timeout)
        view.on_tick.append(self.on_tick)

    def on_tick(self, now: float) -> None:
        """Look, at a monotonic time; most calls come too early for that and do nothing."""
        self.watch.look(now)
        if self.history.is_due(now):
            load = self.load()
            self.history.take(now, self._reader.read(len(load.busy), len(load.queue)))
            self.cpu.look(now, process_use().cpu_seconds)
            self.situations.count_clients()
            self._announcer.tell(self.findings(), now)

    def load(self) -> Load:
        """Return how busy the server is."""
        return read_load(self.view.lanes, time.monotonic())

    def findings(self) -> list[Finding]:
        """Return what is the matter, the most urgent first."""
        return find(self.situations.now())

    def codes(self) -> set[str]:
        """Return the codes of what is the matter."""
        return {finding.code for finding in self.findings()}

    def overdue_count(self, load: Load) -> int:
        """Return how many of the busy threads run requests that are past their time limit."""
        jobs = [worker.job for worker in load.busy]
        return sum(isinstance(job, Exchange) and self.situations.is_overdue(job) for job in jobs)
