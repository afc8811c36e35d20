"""How busy a server is: threads, the queue, connections.

Read without a lock, so that it is known even when one is never given back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from waitressd.dispatch.lane import Lane
from waitressd.dispatch.reports import is_busy
from waitressd.dispatch.role import Worker
from waitressd.net.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Load:
    """How busy it was a moment ago."""

    busy: tuple[Worker, ...]
    """The workers inside a task, the oldest task first."""
    threads: int
    """How many tasks may run at once: as many as are configured, and one more in place of each that hangs."""
    queue: tuple[Exchange, ...]
    """The requests that wait for a thread, the first first."""
    oldest_seconds: float
    """How long the first of them has waited."""
    connections: int

    @property
    def idle_threads(self) -> int:
        """How many threads could begin a request."""
        return max(0, self.threads - len(self.busy))


def read_load(lanes: Sequence[Lane], now: float) -> Load:
    """Look at the lanes of a server at the monotonic time `now`. Any thread."""
    busy = [worker for lane in lanes for worker in list(lane.workers) if is_busy(worker)]
    waiting = sorted((found for lane in lanes for found in _waiting(lane)), key=lambda found: found[0])
    return Load(
        busy=tuple(sorted(busy, key=lambda worker: worker.started)),
        threads=sum(not worker.is_reserve for lane in lanes for worker in list(lane.workers)),
        queue=tuple(exchange for _, exchange in waiting),
        oldest_seconds=max(0.0, now - waiting[0][0]) if waiting else 0.0,
        connections=sum(len(lane.dispatcher.channels) for lane in lanes),
    )


def _waiting(lane: Lane) -> Iterator[tuple[float, Exchange]]:
    """Yield the requests of a lane that wait, and since when."""
    dispatcher = lane.dispatcher
    for job in dispatcher.role.queue.copy():
        if isinstance(job, Exchange):
            yield job.waiting_since, job
    for job in dispatcher.tasks.copy():  # whose turn in the event loop has not come yet
        if isinstance(job, Exchange):
            yield dispatcher.heard_at, job
