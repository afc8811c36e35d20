"""A thread that does small jobs one after the other, for callers that must not wait."""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Final

from waitressd import forks
from waitressd.requestlog.failures import Failures

PENDING: Final = 10_000  # jobs that may wait; what comes then is dropped and counted
CLOSE_SECONDS: Final = 5.0  # what a stop waits for jobs that are still waiting

Job = Callable[[], object]


class Courier:
    """Calls what it is given in a thread of its own, in order. A job must not raise."""

    def __init__(self, name: str, limit: int = PENDING) -> None:
        self._name = name
        self._limit = limit
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_let_go = False  # in a child, and its thread was not started again
        self._starting = threading.Lock()  # guards that
        self._dropped = Failures(name)

    def start(self) -> None:
        """Start the thread."""
        self._start()
        forks.hold(self)

    def let_go(self) -> None:
        """Leave what waits to the parent, in a child that was only forked; the first job starts a thread."""
        self._jobs = queue.SimpleQueue()
        self._thread = None
        self._starting = threading.Lock()
        self._is_let_go = True
        forks.hold(self)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=f"request-log-{self._name}", daemon=True)
        self._thread.start()

    def send(self, job: Job) -> None:
        """Have a job done soon. Any thread; never waits."""
        if self._is_let_go:
            with self._starting:
                if self._is_let_go:
                    self._start()
                    self._is_let_go = False
        if self._jobs.qsize() >= self._limit:
            self._dropped.add("it is too slow, so that they were dropped")
        else:
            self._jobs.put(job)

    def close(self) -> None:
        """Let what waits be done, for a while; twice is harmless."""
        forks.drop(self)
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join(CLOSE_SECONDS)
            if thread.is_alive():
                self._dropped.add("it did not take them before the end", self._jobs.qsize())
            self._dropped.tell_rest()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with contextlib.suppress(Exception):  # border: plugin, whose failures were told where they were caught
                job()
            forks.end_stray()
