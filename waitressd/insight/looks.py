"""A look at threads: where each is, and which request it runs at that moment.

A stack is never attributed to another request than its own. Any thread, without a lock.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from waitressd.dispatch.role import Worker
from waitressd.net import stacks
from waitressd.net.exchange import Exchange
from waitressd.net.stacks import NOWHERE, REFUSED, Stack
from waitressd.net.states import ExchangeState

LOOK_THREADS: Final = 8  # at which one look goes together: enough for most pools, and short enough not to need a pause

# A thread is inside of this function for exactly as long as it runs the request of the exchange.
_RUN: Final = Exchange.run.__code__


class Look(NamedTuple):
    """A thread at one moment."""

    thread_id: int
    stack: Stack
    exchange: Exchange | None = None
    """Whose request it runs; None where it runs none, or began or ended one during the look."""
    number: int = 0
    """Of that request on its connection."""
    started: float = 0.0
    """When it began what it runs, monotonic seconds; 0.0 where it runs nothing that can be told."""


def look_at(thread_ids: Sequence[int], workers: Mapping[int, Worker]) -> list[Look]:
    """Look at some threads, of which some are workers: those that are among `workers` by their identifiers."""
    before = {thread_id: _work_of(workers.get(thread_id)) for thread_id in thread_ids}
    taken = stacks.take(thread_ids)
    nowhere = REFUSED if stacks.REFUSAL else NOWHERE
    looks = []
    for thread_id in thread_ids:
        stack, work = taken.get(thread_id, nowhere), before[thread_id]
        if work is None or work != _work_of(workers.get(thread_id)):
            looks.append(Look(thread_id, stack))
        elif isinstance(work.job, Exchange) and _runs(work.job, stack):
            looks.append(Look(thread_id, stack, work.job, work.number, work.started))
        else:
            looks.append(Look(thread_id, stack, None, 0, work.started))
    return looks


class _Work(NamedTuple):
    """What a worker runs, so that two are equal only if nothing was ended or begun between them."""

    job: object
    number: int
    started: float


def _work_of(worker: Worker | None) -> _Work | None:
    job = worker.job if worker is not None else None
    if worker is None or job is None:
        return None
    return _Work(job, job.number if isinstance(job, Exchange) else 0, worker.started)


def _runs(exchange: Exchange, stack: Stack) -> bool:
    """Whether a worker that has said it runs an exchange, before and after its stack was taken, was at it indeed.

    It says so a moment earlier, and goes on saying so when the request has ended: its connection may have the next one
    by then, which another worker runs.
    """
    if stacks.REFUSAL:
        return exchange.state in (ExchangeState.RUNNING, ExchangeState.REVOKED)
    return stack.passes(_RUN)
