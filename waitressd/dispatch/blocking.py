"""How many of the recent tasks blocked: whether the role is better given away before a task than taken after.

A task that waits (for a database, a disk, a lock) frees the interpreter for others; one that computes does not, and a
second thread beside it only fights with it for the GIL. So what counts is the time a task spent off the CPU.
"""

import time
from collections.abc import Callable
from typing import Final

BLOCKED_SECONDS: Final = 0.0005  # off the CPU; a task that was longer counts as one that blocks
WEIGHT: Final = 0.02  # of one task in the share: about the last fifty count
HAND_OVER_SHARE: Final = 0.10  # above it the role is given away before the task runs
FORGOTTEN_SHARE: Final = 0.001  # below it nothing is measured any more but the wall time


class BlockingShare:
    """The share of recent tasks that blocked, exponentially weighted.

    Written without a lock by every thread that ends a task: a lost update only delays the next decision a little.
    """

    __slots__ = ("_thread_time", "share")

    def __init__(self, thread_time: Callable[[], float] = time.thread_time) -> None:
        self._thread_time = thread_time
        self.share = 0.0

    def started(self) -> float:
        """The CPU time of this thread before a task, 0 while no task was slow and it is not worth a system call."""
        return self._thread_time() if self.share else 0.0

    def ended(self, wall_seconds: float, cpu_started: float) -> None:
        """Count a task; `cpu_started` is what `started` said, in the same thread."""
        share = self.share * (1 - WEIGHT)
        # The first slow task after a quiet time is given the benefit of the doubt; it makes the next ones measured.
        if wall_seconds > BLOCKED_SECONDS and (
            not cpu_started or wall_seconds - (self._thread_time() - cpu_started) > BLOCKED_SECONDS
        ):
            share += WEIGHT
        self.share = share if share > FORGOTTEN_SHARE else 0.0
