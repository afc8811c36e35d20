"""A queue and a thread in front of a hook that blocks, so that no thread of the pool waits for it."""

from functools import partial
from typing import Any, Final

from waitressd.requestlog.context import current
from waitressd.requestlog.courier import Courier
from waitressd.requestlog.observer import Closes, Hook, Isolated, Reopens, Starts
from waitressd.requestlog.record import RequestRecord

QUEUE_OPTION: Final = "queue"
LONGEST_QUEUE: Final = 1_000_000


class QueuedHook:
    """Takes records at once and hands them to a hook in a thread of its own; drops what does not fit, and says so."""

    def __init__(self, name: str, hook: Hook, limit: int) -> None:
        self._hook = hook
        self._isolated = Isolated(name, hook)
        self._courier = Courier(name, limit)

    def __call__(self, record: RequestRecord) -> None:
        """Queue the record. Any thread; never waits."""
        self._courier.send(partial(self._deliver, record))

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Start the hook, then the thread. Raises OSError of the hook."""
        if isinstance(self._hook, Starts):
            self._hook.start(server)
        self._courier.start()

    def reopen(self) -> None:
        """Reopen the hook, which takes records meanwhile."""
        if isinstance(self._hook, Reopens):
            self._hook.reopen()

    def close(self) -> None:
        """Let the hook have what is queued, for a while, and close it."""
        self._courier.close()
        if isinstance(self._hook, Closes):
            self._hook.close()
        self._isolated.failures.tell_rest()

    def _deliver(self, record: RequestRecord) -> None:
        current.set(record)
        self._isolated(record)
