"""One request log: a callable that anybody can write, and the wall between it and the server."""

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, Protocol, runtime_checkable

from waitressd.requestlog.background import BackgroundQueue
from waitressd.requestlog.context import current
from waitressd.requestlog.failures import Failures, say
from waitressd.requestlog.record import RequestRecord

PENDING_RECORDS: Final = 10_000  # that wait for one log if it has no `queue`


class Hook(Protocol):
    """A request log: a callable that takes a record. See `docs/request-log.rst` for the contract."""

    def __call__(self, record: RequestRecord, /) -> object:
        """Take note of a request that is over. Any thread, several at once."""


@runtime_checkable
class Starts(Protocol):
    """A hook that opens something before the first request."""

    def start(self, server: Any, /) -> object:  # noqa: ANN401 - the server, which this layer does not know
        """Open what the hook needs; OSError keeps the server from starting."""


@runtime_checkable
class Reopens(Protocol):
    """A hook that holds files."""

    def reopen(self) -> object:
        """Let go of files that were renamed."""


@runtime_checkable
class Closes(Protocol):
    """A hook that holds anything."""

    def close(self) -> object:
        """Give everything back; called once, after the last record."""


class IsolatedHook:
    """One hook behind a wall: what it raises is logged and counted, and harms no request.

    With a `queue` of that many records the hook is called only by the thread of its background queue; without one, that
    thread brings only the records for which the dispatcher must not wait.
    """

    def __init__(self, name: str, hook: Hook, queue: int = 0) -> None:
        self.name: Final = name
        self.hook: Final = hook
        self._is_queued = queue > 0
        self._failures = Failures(name)
        self._queue = BackgroundQueue(name, self._take_late, queue or PENDING_RECORDS)

    def take(self, record: RequestRecord) -> None:
        """Call the hook, or have it called if it has a queue. Any thread; never raises."""
        if self._is_queued:
            self._queue.put(record)
            return
        try:
            copy_context().run(self.hook, record)  # what the hook sets in its context does not stay in the thread
        except BaseException as error:  # border: plugin
            self._failures.add(error)

    def take_soon(self, record: RequestRecord) -> None:
        """Have the hook called by another thread. Any thread; never waits."""
        self._queue.put(record)

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Let the hook open what it needs. Raises OSError."""
        if isinstance(self.hook, Starts):
            self.hook.start(server)
        self._queue.start()

    def reopen(self) -> None:
        """Let the hook let go of renamed files. Any thread; never raises."""
        if isinstance(self.hook, Reopens):
            self._do("reopen", self.hook.reopen)

    def close(self) -> None:
        """Let the hook have what waits, for a while, and close it. Never raises."""
        self._queue.close()
        if isinstance(self.hook, Closes):
            self._do("close", self.hook.close)
        self._failures.tell_rest()

    def _take_late(self, records: list[RequestRecord]) -> None:
        for record in records:
            current.set(record)
            try:
                copy_context().run(self.hook, record)
            except BaseException as error:  # border: plugin
                self._failures.add(error)
        current.set(None)

    def _do(self, name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:  # border: plugin
            say("The request log %s failed to %s", self.name, name, error=error)
