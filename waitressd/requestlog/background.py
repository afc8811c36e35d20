"""A queue with a thread of its own behind it, for callers that must not wait."""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from waitressd import forks
from waitressd.requestlog.failures import Failures

BATCH_ITEMS: Final = 4096
CLOSE_SECONDS: Final = 5.0  # what a stop waits for items that are still in the queue
TOO_SLOW: Final = "it is too slow, so that they were dropped"

Item = TypeVar("Item")


class BackgroundQueue(Generic[Item]):
    """Takes items from any thread and has them consumed by its own, in order; what does not fit is dropped and counted.

    `limit` bounds what waits; `measure` says the size of an item. With `gather_seconds` an item waits that long for
    others and they are consumed together, without it each alone. `consume` may take out of its batch
    what it has done with; what is left when it raises, or when the queue is closed, is counted as lost.

    One lock guards everything that two threads share, and is held for a few steps that cannot block. So nothing here
    relies on the interpreter lock, or on the order in which one thread sees what another has written. (A SimpleQueue
    has no lock, but it cannot say how large its items are, and records and lines need a bound in memory.)
    """

    def __init__(
        self,
        name: str,
        consume: Callable[[list[Item]], object],
        limit: int,
        measure: Callable[[Item], int] = lambda _item: 1,
        gather_seconds: float = 0.0,
    ) -> None:
        self._name = name
        self._consume = consume
        self._limit = limit
        self._measure = measure
        self._gather_seconds = gather_seconds
        self._batch_items = BATCH_ITEMS if gather_seconds else 1
        self._lost = Failures(name)
        self._thread: threading.Thread | None = None
        self._is_let_go = False  # by a child that was only forked, whose thread has not been started yet
        self._empty()

    def _empty(self) -> None:
        self._lock = threading.Lock()  # guards all that follow
        self._changed = threading.Condition(self._lock)
        self._items: list[Item] = []
        self._room = self._limit  # what is left of it
        self._batch: list[Item] = []  # what is being consumed
        self._closing = False

    def put(self, item: Item) -> None:
        """Have an item consumed soon. Any thread; never waits."""
        size = self._measure(item)
        with self._lock:
            fits = self._room > 0
            if fits:
                self._room -= size
                if not self._items:  # only then does the thread sleep
                    self._wake()
                self._items.append(item)
        if not fits:
            self._lost.add(TOO_SLOW)

    @property
    def lost_count(self) -> int:
        """How many items were not consumed. Any thread."""
        return self._lost.count

    def start(self) -> None:
        """Start the thread, which also consumes what was put before."""
        self._closing = False
        self._start_thread()
        forks.hold(self)

    def let_go(self) -> None:
        """Leave what waits to the parent, in a child that was only forked; the first item starts a thread there."""
        self._empty()
        self._thread = None
        self._is_let_go = True
        forks.hold(self)

    def _wake(self) -> None:
        if self._is_let_go:
            self._is_let_go = False
            self._start_thread()
        else:
            self._changed.notify()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._work, name=f"request-log-{self._name}", daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Let what waits be consumed, for CLOSE_SECONDS; return False if the thread still works then.

        Twice is harmless.
        """
        forks.drop(self)
        with self._lock:
            self._closing = True
            self._changed.notify()
        if self._thread is None:
            return True
        self._thread.join(CLOSE_SECONDS)
        with self._lock:
            left = len(self._batch) + len(self._items)
        if left:
            self._lost.add("it did not take them before the end", left)
        self._lost.tell_rest()
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._consume(batch)
                forks.end_stray()
            except Exception as error:  # border: one batch that fails must not end the thread
                self._lost.add(error, len(batch))
            batch.clear()  # or the last of it would stay in memory until the next one comes

    def _take(self) -> list[Item]:
        """Wait for items and take a batch; an empty one at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            if len(self._items) < self._batch_items:
                self._changed.wait_for(lambda: self._closing, self._gather_seconds)
            batch = self._batch = self._items[: self._batch_items]
            del self._items[: self._batch_items]
            # Almost always all are taken; then the lock is held for three steps, however many they are.
            self._room = self._room + sum(map(self._measure, batch)) if self._items else self._limit
            return batch
