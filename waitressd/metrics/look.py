"""A look at a server: how busy it is, and what others have counted."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from waitressd.dispatch.lane import Lane
from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import HISTOGRAM, SCHEMES, STATES, TICKS_PER_SECOND, TIMEOUTS
from waitressd.metrics.pauses import Steps
from waitressd.metrics.process import process_started, process_use
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import METHODS, OTHER_METHOD, SCHEME, Ledger

LOOK_CHANNELS: Final = 64  # that are looked at between two pauses


class Watched(Protocol):
    """A server whose figures are shown. Any thread."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Its event loops with their threads."""

    def own_figures(self) -> Mapping[str, Any]:
        """Return `lost_records`, and with TLS `certificate_ends` and `reloads`."""


def look_at(server: Watched, findings: Collection[str] | None = None) -> Steps[Figures]:
    """Look at a server, with a pause every few connections. Any thread; takes no lock."""
    lanes = server.lanes
    loops = [lane.dispatcher for lane in lanes]
    ledgers = ledgers_of(lanes)
    # The bytes of connections that are closed come first: one that closes meanwhile is missed for once, not counted
    # twice, and whoever writes numbers down lets none fall.
    received_bytes = sum(ledger.received_bytes for ledger in ledgers)
    sent_bytes = sum(ledger.sent_bytes for ledger in ledgers)
    states: Counter[str] = Counter()
    for loop in loops:
        # list() of a dictionary's values is one step of the interpreter: the holder may add and remove meanwhile.
        for number, channel in enumerate(list(loop.channels.values()), 1):
            states[channel.phase] += 1
            received_bytes += channel.received_bytes
            sent_bytes += channel.sent_bytes
            if number % LOOK_CHANNELS == 0:
                yield
    busy = [worker for lane in lanes for worker in lane.busy_workers()]
    limit = sum(loop.role.task_limit for loop in loops)
    backlogs = [loop.backlog() for loop in loops]
    tallies = [loop.handshakes for loop in loops if loop.handshakes is not None]
    use = process_use()
    return Figures(
        busy_threads=len(busy),
        idle_threads=max(0, limit - len(busy)),
        threads_limit=limit,
        queue_depth=sum(depth for depth, _ in backlogs),
        queue_limit=sum(loop.bounds.queue_limit for loop in loops),
        oldest_wait_seconds=max((seconds for _, seconds in backlogs), default=0.0),
        connections={state: states[state] for state in STATES},
        connections_limit=sum(loop.bounds.connection_limit for loop in loops),
        running=Counter(_kind(worker.job) for worker in busy if isinstance(worker.job, Exchange)),
        open_handshakes=sum(tally.open_count for tally in tallies),
        handshakes=sum((Counter(tally.counts) for tally in tallies), Counter()),
        rss_bytes=use.rss_bytes,
        fds=use.fds,
        fd_limit=use.fd_limit,
        cpu_seconds=use.cpu_seconds,
        process_started=process_started(),
        findings=None if findings is None else frozenset(findings),
        accepted=sum(ledger.accepted for ledger in ledgers),
        takeovers=sum(loop.role.takeovers for loop in loops),
        received_bytes=received_bytes,
        sent_bytes=sent_bytes,
        overdue_threads=sum(len(loop.timekeeper.late_tasks) for loop in loops),
        timeouts={name: sum(getattr(loop.timekeeper.timeouts, name) for loop in loops) for name in TIMEOUTS},
        delays=_delays(lanes),
        **server.own_figures(),
    )


def ledgers_of(lanes: Sequence[Lane]) -> list[Ledger]:
    """Return where the requests of event loops are counted, if they are."""
    return [ledger for lane in lanes if (ledger := lane.dispatcher.ledger) is not None]


def _kind(exchange: Exchange) -> tuple[str, str]:
    """Say by what a request that runs is told apart. It may end meanwhile."""
    request, environ = exchange.request, exchange.environ
    method = request.method if request is not None and request.method in METHODS else OTHER_METHOD
    scheme = environ.get(SCHEME) if environ is not None else None
    return method, scheme if scheme in SCHEMES else exchange.scheme


def _delays(lanes: Sequence[Lane]) -> Sequence[int]:
    sums = [0] * HISTOGRAM
    for lane in lanes:
        ticks = int(lane.delays.total_seconds * TICKS_PER_SECOND)
        for number, count in enumerate((*lane.delays.buckets, ticks)):
            sums[number] += count
    return sums
