"""How busy a server is at one moment: threads, the task queue, the states of its connections."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.net.states import PHASES


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was true a moment ago. Nothing in it changes."""

    busy_threads: int
    """Threads that run the application (or a request log) now."""
    idle_threads: int
    """Threads that could begin a request now."""
    queue_depth: int
    """Complete requests that wait for a thread."""
    oldest_wait_seconds: float
    """How long the first of them has been waiting."""
    connections: Mapping[str, int]
    """Connections by state: idle, head, body, queued, running, flushing, lingering."""
    open_handshakes: int = 0
    """Handshakes of TLS that are under way."""
    handshakes: Mapping[str, int] = field(default_factory=dict)
    """Those that are over, by their results; empty where no listener speaks TLS."""
    certificate_ends: Mapping[str, float] = field(default_factory=dict)
    """When the certificates expire, in seconds since the epoch, by their names."""
    reloads: Mapping[str, int] = field(default_factory=dict)
    """How many times changed certificates were "renewed" and "refused"; empty without TLS."""
    overdue_threads: int = 0
    """Those of the busy threads whose request is over its time limit."""


def take_snapshot(dispatchers: Collection[Dispatcher]) -> Snapshot:
    """Look at all dispatchers of a server. Any thread; costs a look at every connection, and takes no lock."""
    busy_threads = idle_threads = overdue_threads = queue_depth = 0
    oldest_wait_seconds = 0.0
    phases: Counter[str] = Counter()
    results: Counter[str] = Counter()
    tallies = [tally for dispatcher in dispatchers if (tally := dispatcher.handshakes) is not None]
    for dispatcher in dispatchers:
        role = dispatcher.role
        depth, waited = dispatcher.backlog()
        # Without the lock, which may never be given back: one that changes from inline to aside may count twice.
        busy = min(role.task_limit, role.running + role.has_claim())
        busy_threads += busy
        overdue_threads += len(dispatcher.timekeeper.late_tasks)
        idle_threads += max(0, role.task_limit - busy)
        queue_depth += depth
        oldest_wait_seconds = max(oldest_wait_seconds, waited)
        # list() of a dictionary's values is one step of the interpreter: the holder may add and remove meanwhile.
        phases.update(channel.phase for channel in list(dispatcher.channels.values()))
    for tally in tallies:
        results.update(tally.counts)
    return Snapshot(
        busy_threads=busy_threads,
        idle_threads=idle_threads,
        queue_depth=queue_depth,
        oldest_wait_seconds=oldest_wait_seconds,
        connections={phase: phases[phase] for phase in PHASES},
        open_handshakes=sum(tally.open_count for tally in tallies),
        handshakes=results,
        overdue_threads=overdue_threads,
    )


EMPTY: Final = take_snapshot(())
"""A server that does not run."""
