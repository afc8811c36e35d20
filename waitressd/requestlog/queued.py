"""A queue and a thread in front of a hook that blocks, so that no thread of the pool waits for it."""

import logging
import queue
import threading
import time
from typing import Any, Final

from waitressd.requestlog.context import current
from waitressd.requestlog.observer import Closes, Hook, Isolated, Reopens, Starts
from waitressd.requestlog.record import RequestRecord

QUEUE_OPTION: Final = "queue"
CLOSE_SECONDS: Final = 5.0  # what a stop waits for records that are still in the queue
DROPPED_LOG_SECONDS: Final = 60.0

log: Final = logging.getLogger("waitressd.request_log")


class QueuedHook:
    """Takes records at once and hands them to a hook in a thread of their own; drops what does not fit, and says so."""

    def __init__(self, name: str, hook: Hook, limit: int) -> None:
        self._name = name
        self._hook = hook
        self._isolated = Isolated(name, hook)
        self._records: queue.Queue[RequestRecord | None] = queue.Queue(limit)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # guards the two below
        self._dropped = 0
        self._next_line = float("-inf")

    def __call__(self, record: RequestRecord) -> None:
        """Queue the record. Any thread; never waits."""
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._drop()

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Start the hook, then the thread. Raises OSError of the hook."""
        if isinstance(self._hook, Starts):
            self._hook.start(server)
        self._thread = threading.Thread(target=self._work, name=f"request-log-{self._name}", daemon=True)
        self._thread.start()

    def reopen(self) -> None:
        """Reopen the hook, which takes records meanwhile."""
        if isinstance(self._hook, Reopens):
            self._hook.reopen()

    def close(self) -> None:
        """Let the hook have what is queued, for a while, and close it."""
        end = time.monotonic() + CLOSE_SECONDS
        if self._thread is not None:
            try:
                self._records.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                log.error("The request log %s did not take its records in time", self._name)
            self._thread.join(max(0.0, end - time.monotonic()))
        if self._dropped:
            log.error("The request log %s was too slow: %d records were dropped", self._name, self._dropped)
        if isinstance(self._hook, Closes):
            self._hook.close()

    def _work(self) -> None:
        while (record := self._records.get()) is not None:
            current.set(record)
            self._isolated(record)

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1
            now = time.monotonic()
            if now < self._next_line:
                return
            self._next_line = now + DROPPED_LOG_SECONDS
            dropped, self._dropped = self._dropped, 0
        log.error("The request log %s is too slow: %d records were dropped", self._name, dropped)


def queued(name: str, hook: Hook, limit: int) -> QueuedHook:
    """Put a queue of `limit` records in front of a hook."""
    return QueuedHook(name, hook, limit)
