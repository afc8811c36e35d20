"""The situation of a server at this moment, put together for the findings."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from waitressd.config.networks import trusted_peers
from waitressd.insight.failures import one_line
from waitressd.insight.findings import SHOWN_IDS, Clients, Leaving, Minute, Situation, Task, Waiting
from waitressd.insight.history import TIMERS, History
from waitressd.insight.inspector import client_of
from waitressd.insight.load import Load, read_load
from waitressd.insight.slow import SlowRequests
from waitressd.insight.threads import exchange_id
from waitressd.insight.view import LIFE_WORDS, ServerView
from waitressd.insight.watch import Watch
from waitressd.life import Life
from waitressd.net.channel import Channel
from waitressd.net.exchange import Exchange
from waitressd.net.states import ExchangeState
from waitressd.peer import UNIX
from waitressd.place import worker_number

LATELY_SECONDS: Final = 60  # of the history, for what is said of the last minute
TIMERS_SECONDS: Final = 10  # of the history, for how late timers are

_STOPS: Final = frozenset({Life.LEAVING, Life.DRAINING, Life.ABORTING})


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a server."""

    watch: Watch
    slow: SlowRequests
    history: History


class Situations:
    """Looks at one server. `count_clients` is for one thread, `now` for any; neither takes a lock."""

    def __init__(self, view: ServerView, memory: Memory, worker: int) -> None:
        """`worker` is what the ids of this process begin with."""
        self.is_overdue: Callable[[Exchange], bool] = _is_in_time
        """Whether the present request of an exchange is past its time limit; set by who knows limits."""
        self._view = view
        self._memory = memory
        self._worker = worker
        self._trusted = trusted_peers(view.adjustments.trusted_proxy)
        self._busiest = ("", 0)

    def count_clients(self) -> None:
        """Find the client that has the most connections, by a look at each of them. About once a second."""
        peers = (channel.origin.peer for channel in self._channels())
        counts = Counter(peer.address for peer in peers if peer is not UNIX)
        direct = (found for found in counts.most_common() if not self._speaks_for_others(found[0]))
        self._busiest = next(direct, ("", 0))

    def now(self) -> Situation:
        """Return the situation."""
        view, now = self._view, time.monotonic()
        load = read_load(view.lanes, now)
        tasks = tuple(self._tasks(load, now))
        pulse = view.pulse
        return Situation(
            worker=worker_number(),
            threads=load.threads,
            turn_age_seconds=pulse.poke(now) if pulse is not None and view.life is not Life.STOPPED else 0.0,
            tasks=tasks,
            waiting=self._waiting(load),
            clients=self._clients(load),
            minute=self._minute(),
            late_seconds=self._memory.history.window(TIMERS_SECONDS).totals.percentiles(TIMERS)[1] or 0.0,
            leaving=self._leaving(load, tasks, now) if view.life in _STOPS else None,
        )

    def _tasks(self, load: Load, now: float) -> Iterator[Task]:
        watch = self._memory.watch
        for worker in load.busy:
            exchange, started = worker.job, worker.started
            if isinstance(exchange, Exchange):
                seen = watch.seen(exchange)
                yield Task(
                    id=self._name(exchange),
                    age_seconds=max(0.0, now - started),
                    client=one_line(client_of(exchange)),
                    place=seen.place if seen is not None else "",
                    unchanged_seconds=max(0.0, now - seen.since) if seen is not None else 0.0,
                    is_overdue=self.is_overdue(exchange),
                )

    def _waiting(self, load: Load) -> Waiting:
        ids = tuple(self._name(exchange) for exchange in load.queue[:SHOWN_IDS])
        return Waiting(len(load.queue), load.oldest_seconds, ids)

    def _clients(self, load: Load) -> Clients:
        view = self._view
        limit = sum(lane.dispatcher.bounds.connection_limit for lane in view.lanes)
        is_accepting = view.life is not Life.SERVING or view.pulse is None or view.pulse.is_accepting
        return Clients(load.connections, *self._busiest, limit, has_descriptors=is_accepting)

    def _minute(self) -> Minute:
        """What has happened lately. Of the failed requests that are kept, the most frequent exception is told."""
        window = self._memory.history.window(LATELY_SECONDS)
        totals, begin = window.totals, time.time() - LATELY_SECONDS
        failed = {route: sums["5xx"] for route, sums in window.routes.items() if sums["5xx"]}
        worst = max(failed, key=failed.__getitem__, default="")
        exceptions = Counter(
            request.exception
            for request in self._memory.slow.failed()
            if request.exception and request.at >= begin and (request.route or "") == worst
        )
        return Minute(
            answers=totals.count - totals["none"],
            failed=totals["5xx"],
            worst_route=one_line(worst),
            worst_exception=exceptions.most_common(1)[0][0] if exceptions else "",
            total_seconds=totals.seconds("total"),
            queue_seconds=totals.seconds("queue"),
            refused_full=totals.refusals("refused_full"),
            refused_late=totals.refusals("refused_late"),
        )

    def _leaving(self, load: Load, tasks: tuple[Task, ...], now: float) -> Leaving:
        view = self._view
        left = sum(channel.exchange.state is not ExchangeState.IDLE for channel in self._channels())
        first = tasks[0].id if tasks else self._name(load.queue[0]) if load.queue else ""
        return Leaving(LIFE_WORDS[view.life], max(0.0, now - view.life_since), left, first)

    def _channels(self) -> Iterator[Channel]:
        for lane in self._view.lanes:
            # list() of a dictionary's values is one step of the interpreter: the holder may add and remove meanwhile.
            yield from list(lane.dispatcher.channels.values())

    def _speaks_for_others(self, address: str) -> bool:
        """Whether it is a proxy, whose connections are those of many clients."""
        if self._trusted.everyone:
            return True
        host = ip_address(address)
        return any(host in network for network in self._trusted.networks)

    def _name(self, exchange: Exchange) -> str:
        return exchange_id(self._worker, exchange, exchange.number)


def _is_in_time(_exchange: Exchange) -> bool:
    return False
