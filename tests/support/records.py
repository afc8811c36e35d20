"""A request log for tests: it keeps the records that it gets, and waits for them."""

import threading
from collections.abc import Callable

from waitressd.requestlog.record import RequestRecord

WAIT_SECONDS = 20.0


class Records:
    """A hook that keeps every record."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: list[RequestRecord] = []
        self.threads: list[str] = []
        self.closed = 0
        self.reopened = 0

    def __call__(self, record: RequestRecord) -> None:
        """Keep it."""
        with self._changed:
            self._records.append(record)
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()

    def reopen(self) -> None:
        """Count the call."""
        self.reopened += 1

    def close(self) -> None:
        """Count the call."""
        self.closed += 1

    @property
    def all(self) -> list[RequestRecord]:
        """What came so far."""
        with self._changed:
            return list(self._records)

    def wait(self, count: int = 1) -> list[RequestRecord]:
        """Wait until that many came; more are a failure."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._records) >= count, WAIT_SECONDS)
            assert len(self._records) == count, [(r.request_line, r.status, r.ended_by) for r in self._records]
            return list(self._records)

    def wait_until(self, condition: Callable[[list[RequestRecord]], bool]) -> list[RequestRecord]:
        """Wait until the records satisfy a condition."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._records), WAIT_SECONDS)
            return list(self._records)
