"""How many of the recent tasks blocked: whether the role is better given away before a task than taken after.

A task that waits (for a database, a disk, a lock) frees the interpreter for others; one that computes does not, and a
second thread beside it only fights with it for the GIL. So what counts is the time a task spent off the CPU, but not
all of it: a busy machine gives the CPU to others, as the kernel tells, and another thread may have the GIL, as nobody
tells. So a task is judged best where no other one runs beside it.
"""

import time
from collections.abc import Callable
from typing import Final

from waitressd.machine import processor_delay

BLOCKED_SECONDS: Final = 0.0005  # off the CPU; a task that was longer counts as one that blocks
BLOCKED_PART: Final = 0.8  # of a task whose role was taken: others ran beside it, and may have had the GIL
WEIGHT: Final = 0.02  # of one task in the share: about the last fifty count
HAND_OVER_SHARE: Final = 0.10  # above it the role is given away before the task runs
DOUBTED_SHARE: Final = 0.03  # from here on the kernel is asked, which takes some microseconds, who had the processor
FORGOTTEN_SHARE: Final = 0.001  # below it nothing is measured any more but the wall time
REVIEW_TASKS: Final = 5000  # side by side, before it is looked at anew whether they block when they run alone
REVIEW_REST: Final = 64  # tasks that still run side by side then, and do not count

Mark = tuple[float, float] | None  # CPU time and processor delay of a thread, in seconds; a delay of -1 was not asked


class BlockingShare:
    """The share of recent tasks that blocked, exponentially weighted.

    Written without a lock by every thread that ends a task: a lost update only delays the next decision a little.
    """

    __slots__ = ("_aside", "_delay", "_thread_time", "share")

    def __init__(
        self, thread_time: Callable[[], float] = time.thread_time, delay: Callable[[], float] = processor_delay
    ) -> None:
        self._thread_time = thread_time
        self._delay = delay
        self._aside = 0  # tasks that ran side by side since the last review; below 0 they do not count
        self.share = 0.0

    def started(self) -> Mark:
        """What this thread has had before a task; None while no task was slow and it is not worth a system call."""
        share = self.share
        if not share:
            return None
        return self._thread_time(), self._delay() if DOUBTED_SHARE < share <= HAND_OVER_SHARE else -1.0

    def ended(self, wall_seconds: float, mark: Mark, *, is_alone: bool) -> None:
        """Count a task that kept the role; `mark` is what `started` said, in the same thread.

        A slow one does not count if others ran beside it: it may have waited for the GIL.
        """
        if wall_seconds <= BLOCKED_SECONDS:
            self._count(has_blocked=False)
        elif is_alone:
            self._count(has_blocked=self._blocked_seconds(wall_seconds, mark) > BLOCKED_SECONDS)

    def ended_aside(self, wall_seconds: float, mark: Mark) -> None:
        """Count a task that ran without the role, or lost it on the way."""
        needed = BLOCKED_SECONDS
        if self.share > HAND_OVER_SHARE:
            self._aside += 1
            if self._aside >= REVIEW_TASKS:
                # Threads that fight for the GIL look as if they blocked. Those to come run alone, and tell the truth.
                self._aside = -REVIEW_REST
                self.share = HAND_OVER_SHARE
                return
        elif self._aside < 0:
            self._aside += 1
            return
        else:
            needed = max(needed, BLOCKED_PART * wall_seconds)
        self._count(has_blocked=wall_seconds > needed and self._blocked_seconds(wall_seconds, mark) > needed)

    def _blocked_seconds(self, wall_seconds: float, mark: Mark) -> float:
        """How long a task was off the CPU by its own will."""
        if mark is None:
            # The first slow task after a quiet time counts, whatever it did; it makes the next ones measured.
            return wall_seconds
        cpu, delay = mark
        off = wall_seconds - (self._thread_time() - cpu)
        return off if off <= BLOCKED_SECONDS or delay < 0 else off - (self._delay() - delay)

    def _count(self, *, has_blocked: bool) -> None:
        share = self.share * (1 - WEIGHT) + (WEIGHT if has_blocked else 0.0)
        self.share = share if share > FORGOTTEN_SHARE else 0.0
