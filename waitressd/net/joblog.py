"""What the dispatcher and the pool say to the operator, and how a running task is described.

One line of a kind a second at most, whatever clients do; the queue line every five seconds.
"""

import logging
import sys
import time
from typing import Final

from waitressd.net.channel import Channel
from waitressd.net.logs import RateLimitedLog, logger, queue_logger, say
from waitressd.net.role import Assignment, Role, Worker
from waitressd.operatorlog import Stack, counted, operator_log

QUEUE_LOG_SECONDS: Final = 5.0
TARGET_CHARACTERS: Final = 120  # of a request's target in a line


class DispatcherLogs:
    """The dispatcher's own lines. Any thread."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []  # the pool's; only read
        self.spool = RateLimitedLog(logger, logging.ERROR)
        self.stalled = RateLimitedLog(logger, logging.INFO)
        self.exhausted = RateLimitedLog(logger, logging.WARNING, 10.0)
        self.greedy = RateLimitedLog(logger, logging.WARNING)
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

    def cut_off(self, count: int) -> None:
        """The stop did not wait any longer."""
        if count:
            whose = "whose request or answer was" if count == 1 else "whose requests or answers were"
            say(logging.WARNING, "the stop closed %s %s not complete", counted(count, "connection"), whose)

    def queued(self, role: Role, now: float) -> None:
        """A request waits because all threads are busy."""
        if self._queued.skip():
            return
        try:
            oldest = role.queue[0]
        except IndexError:  # a thread has taken it meanwhile
            return
        waited = now - oldest.waiting_since if isinstance(oldest, Channel) else 0.0
        self._queued(
            "%s for a thread, the oldest for %.1f s; the threads run: %s",
            _waiting(role),
            max(0.0, waited),
            self.describe_workers(),
        )

    def refused(self, role: Role) -> None:
        """A request was answered 503."""
        if self._refused.skip():
            return
        self._refused(
            "a request was answered 503: no thread is free and %s; the threads run: %s",
            _waiting(role),
            self.describe_workers(),
        )

    def describe_workers(self) -> str:
        """What every busy thread is doing, and for how long."""
        now = time.monotonic()
        busy = [f"{describe(worker)} ({now - worker.started:.1f} s)" for worker in self.workers if is_busy(worker)]
        return ", ".join(busy) or "nothing"


def is_busy(worker: Worker) -> bool:
    """Whether a worker is inside a task."""
    return bool(worker.claim) or worker.assignment is Assignment.RUN


def describe(worker: Worker) -> str:
    """Name the request that a worker runs."""
    job = worker.job
    if not isinstance(job, Channel):
        return "a callback"
    request = job.request
    if request is None:
        return "a request that is ending"
    # Without the query, where people put what does not belong into a log.
    return f"{request.method} {request.target.partition('?')[0][:TARGET_CHARACTERS]}"


def log_stack(worker: Worker, message: str, *values: object) -> None:
    """Say where a worker is at this moment. Any thread."""
    frame = sys._current_frames().get(worker.thread_id)  # noqa: SLF001 - the documented way to see another thread's stack
    say(logging.WARNING, message + "\n%s", *values, Stack(frame))


def _waiting(role: Role) -> str:
    count = len(role.queue)
    return counted(count, "request") + (" waits" if count == 1 else " wait")
