"""What is said of a process besides the counts of its ledgers.

A value alone: who shows it, as the master of a fleet does, imports nothing of the server that it was taken from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One process, or several together, at one moment. None is not known. Nothing in it changes."""

    busy_threads: int = 0
    idle_threads: int = 0
    overdue_threads: int = 0
    """Those of the busy threads whose request is over its time limit."""
    threads_limit: int = 0
    queue_depth: int = 0
    queue_limit: int = 0
    oldest_wait_seconds: float = 0.0
    connections: Mapping[str, int] = field(default_factory=dict)
    """By what they wait for."""
    connections_limit: int = 0
    running: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Requests in the application, by method and scheme."""
    open_handshakes: int = 0
    certificate_ends: Mapping[str, float] = field(default_factory=dict)
    """When the certificates expire, in seconds since the epoch."""
    rss_bytes: int | None = None
    fds: int | None = None
    fd_limit: int | None = None
    cpu_seconds: float = 0.0
    process_started: float = 0.0
    """In seconds since the epoch."""
    findings: frozenset[str] | None = None
    """The codes of what is the matter; None if nobody looks for that."""
    accepted: int = 0
    """From here on, counts, which never fall. Of connections."""
    takeovers: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    timeouts: Mapping[str, int] = field(default_factory=dict)
    """Requests that were over their time limit, by what became of them."""
    delays: Sequence[int] = ()
    """How late timers were: a histogram with its sum in ticks."""
    lost_records: Mapping[str, int] = field(default_factory=dict)
    """Records that request logs have not taken, by the names of the logs."""
    handshakes: Mapping[str, int] = field(default_factory=dict)
    reloads: Mapping[str, int] = field(default_factory=dict)
