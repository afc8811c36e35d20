"""One request log: a hook, which may be a plugin, and the wall between it and the server."""

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, Protocol

from waitressd import forks
from waitressd.requestlog.background import BackgroundQueue
from waitressd.requestlog.context import current
from waitressd.requestlog.failures import Failures, say
from waitressd.requestlog.record import RequestRecord

Take = Callable[[RequestRecord], None]

PENDING_RECORDS: Final = 10_000  # that wait for one log if it has no `queue`


class Hook(Protocol):
    """A request log: a callable that takes a record. See `docs/request-log.rst` for the contract.

    It may have `start(server)`, which opens something before the first request and whose OSError keeps the server from
    starting; `reopen()`, which lets go of files that were renamed; and `close()`, called once, after the last record.
    """

    def __call__(self, record: RequestRecord, /) -> object:
        """Take note of a request that is over. Any thread, several at once."""


class IsolatedHook:
    """One hook behind a wall: what it raises is logged and counted, and harms no request.

    With a `queue` of that many records the hook is called only by the thread of its background queue; without one, that
    thread brings only the records for which the dispatcher must not wait.
    """

    def __init__(self, name: str, hook: Hook, queue: int = 0) -> None:
        self.name: Final = name
        self.hook: Final = hook
        self.takes_records: Final = getattr(hook, "takes_records", True)
        """Whether it is called at all; one that is not has only a beginning and an end."""
        self._failures = Failures(name)
        self._queue = BackgroundQueue(name, self._take_late, queue or PENDING_RECORDS)
        self.take: Final[Take] = self._queue.put if queue else self._call
        """Call the hook, or have it called if it has a queue. Any thread; never raises."""
        self.take_soon: Final[Take] = self._queue.put
        """Have the hook called by another thread. Any thread; never waits."""

    @property
    def lost_count(self) -> int:
        """How many records were lost: the hook failed, was too slow, or has lost their lines itself. Any thread."""
        own = getattr(self.hook, "lost_count", 0)
        return self._failures.count + self._queue.lost_count + (own if isinstance(own, int) else 0)

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Let the hook open what it needs. Raises OSError."""
        if start := getattr(self.hook, "start", None):
            start(server)
        self._queue.start()

    def reopen(self) -> None:
        """Let the hook let go of renamed files. Any thread; never raises."""
        self._do("reopen")

    def close(self) -> None:
        """Let the hook have what waits, for a while, and close it. Never raises."""
        self._queue.close()
        self._do("close")
        self._failures.tell_rest()

    def _take_late(self, records: list[RequestRecord]) -> None:
        for record in records:
            current.set(record)
            self._call(record)
        current.set(None)

    def _call(self, record: RequestRecord) -> None:
        try:
            copy_context().run(self.hook, record)  # what the hook sets in its context does not stay in the thread
        except BaseException as error:  # border: plugin
            forks.end_stray(error)
            self._failures.add(error)

    def _do(self, name: str) -> None:
        try:
            if act := getattr(self.hook, name, None):
                act()
        except BaseException as error:  # border: plugin
            say("The request log %s failed to %s", self.name, name, error=error)
