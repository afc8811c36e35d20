"""What takes long or touches a disk is done here, by threads that live as long as they are needed.

So that the thread of the admin address waits for nothing. Each slow answer has a thread of its own, since a profile of
a minute must not keep anybody from looking at a stack; there are few of them.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from waitressd.insight.rendering import Rendering

MOST_THREADS: Final = 4
JOIN_SECONDS: Final = 0.5

_SLICE_SECONDS: Final = 0.01  # between two looks whether anybody still wants it


class SlowLane:
    """The threads of slow answers. For the thread of the admin address, but for `_work`."""

    def __init__(self, on_whole: Callable[[Rendering], None]) -> None:
        """`on_whole` is called by the thread that has made an answer."""
        self._on_whole = on_whole
        self._threads: list[threading.Thread] = []
        self._ends = False

    def take(self, rendering: Rendering) -> bool:
        """Make an answer in a thread of its own; False if there are too many, or no more to be had."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST_THREADS:
            return False
        thread = threading.Thread(
            target=self._work, args=(rendering,), name=f"waitressd-insight-{len(self._threads) + 1}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system gives no more
            return False
        self._threads.append(thread)
        return True

    def close(self) -> None:
        """Make no more pieces of what is in the making; answers that look at this end soon."""
        self._ends = True
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _work(self, rendering: Rendering) -> None:
        while not (self._ends or rendering.is_given_up):
            if rendering.work(_SLICE_SECONDS, time.monotonic):
                self._on_whole(rendering)
                return
        rendering.close()
