"""What the dispatcher and the pool say to the operator, and how a running task is described.

One line of a kind a second at most, whatever clients do; the queue line every five seconds.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from waitressd.dispatch.role import Assignment, Worker
from waitressd.net import stacks
from waitressd.net.channel import Channel
from waitressd.net.eventloop import Job
from waitressd.net.exchange import Exchange
from waitressd.net.logs import RateLimitedLog, logger, queue_logger, say
from waitressd.net.states import ChannelState
from waitressd.operatorlog import counted, operator_log
from waitressd.peer import Origin

QUEUE_LOG_SECONDS: Final = 5.0
TLS_HELLO: Final = b"\x16\x03"  # the beginning of a record that begins a handshake (RFC 8446, 5.1)


class DispatcherLogs:
    """The dispatcher's own lines. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.workers: list[Worker] = []  # the pool's; only read
        self.worker_number = 1  # of this process, which the ids of its requests begin with
        self.spool = RateLimitedLog(logger, logging.ERROR)
        self.stalled = RateLimitedLog(logger, logging.INFO)
        self.exhausted = RateLimitedLog(logger, logging.WARNING, 10.0)
        self.greedy = RateLimitedLog(logger, logging.WARNING)
        self._encrypted = RateLimitedLog(logger, logging.INFO, 10.0)
        self._full = RateLimitedLog(logger, logging.WARNING, 10.0)
        self._queued = RateLimitedLog(queue_logger, logging.WARNING, QUEUE_LOG_SECONDS)
        self._refused = RateLimitedLog(queue_logger, logging.ERROR, QUEUE_LOG_SECONDS)

    def callback(self, message: str) -> None:
        """A callback of the application's raised; called in its `except` block."""
        operator_log.say(logger, logging.ERROR, message, error=True)

    def full(self, count: int) -> None:
        """A client waits in the backlog, because the connection limit is reached."""
        verb = "is" if count == 1 else "are"
        self._full(
            "%s %s open, the limit; new ones wait in the backlog until some close", counted(count, "connection"), verb
        )

    def refused_head(self, line: bytes, origin: Origin) -> None:
        """A request was refused: tell the operator if it was none of HTTP, but a handshake of TLS."""
        if line.startswith(TLS_HELLO) and origin.tls is None:
            text = "%s speaks TLS to the plain listener %s; set tls_certificate, or use http://"
            self._encrypted(text, origin.peer, origin.listener)

    def cut_off(self, count: int) -> None:
        """The stop did not wait any longer."""
        if count:
            whose = "whose request or answer was" if count == 1 else "whose requests or answers were"
            say(logging.WARNING, "the stop closed %s %s not complete", counted(count, "connection"), whose)

    def queued(self, backlog: Callable[[], tuple[int, float]]) -> None:
        """Requests wait because all threads are busy: so many, the first of them for so long."""
        if self._queued.skip():
            return
        count, waited_seconds = backlog()
        if not count:  # a thread has taken it meanwhile
            return
        self._queued(
            "%s for a thread, the oldest for %.1f s; the threads run: %s",
            _waiting(count),
            waited_seconds,
            self.describe_workers(),
        )

    def refused(self, count: int) -> None:
        """A request was answered 503; so many others wait."""
        if self._refused.skip():
            return
        self._refused(
            "a request was answered 503: no thread is free and %s; the threads run: %s",
            _waiting(count),
            self.describe_workers(),
        )

    def describe_workers(self) -> str:
        """What every busy thread is doing, and for how long."""
        now = self._clock()
        busy = [
            f"{describe(worker)} ({self.name(worker.job)}, {max(0.0, now - worker.started):.1f} s)"
            for worker in self.workers
            if is_busy(worker)
        ]
        return ", ".join(busy) or "nothing"

    def name(self, job: Job | None) -> str:
        """Return the id of a request: WORKER-CONNECTION-REQUEST; "-" for a job that is none."""
        return f"{self.worker_number}-{job.line.number}-{job.number}" if isinstance(job, Exchange) else "-"


def is_busy(worker: Worker) -> bool:
    """Whether a worker is inside a task."""
    return bool(worker.claim) or worker.assignment is Assignment.RUN


def describe(worker: Worker) -> str:
    """Name the request that a worker runs."""
    job = worker.job
    return job.describe() if job is not None else "a request that has just ended"


def log_stack(worker: Worker, message: str, *values: object) -> None:
    """Say where a worker is at this moment. Any thread."""
    say(logging.WARNING, message + "\n%s", *values, stacks.take_one(worker.thread_id))


def _waiting(count: int) -> str:
    return counted(count, "request") + (" waits" if count == 1 else " wait")


def has_begun(channel: Channel) -> bool:
    """Whether a request of the client would be lost with its connection, or a part of the response."""
    if channel.is_idle:
        return bool(channel.connection.reader.buffer)
    return channel.state not in (ChannelState.LINGERING, ChannelState.CLOSED)
