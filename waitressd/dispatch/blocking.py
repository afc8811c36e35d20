"""How many of the recent tasks blocked: whether the role is better given away before a task than taken after.

A task that waits (for a database, a disk, a lock) frees the interpreter for others; one that computes does not, and a
second thread beside it only fights with it for the GIL. So what counts is the time a task spent off the CPU, but not
all of it: a busy machine takes the CPU away, and a task that has never given it up by itself has not blocked. One that
waits for the GIL does give it up; so a task is judged where no other one runs beside it.

A stream gives the GIL up with each block that it sends, and others that stream beside it take it: each of them waits a
little at each block, as if it were blocked, and they would run side by side for that very reason, at twice the cost.
So what counts of a task that sends often is the time for each block.
"""

import time
from collections.abc import Callable
from threading import get_ident
from typing import Final

from waitressd.machine import thread_pauses

BLOCKED_SECONDS: Final = 0.0005  # off the CPU; a task that was longer counts as one that blocks
SENT_SECONDS: Final = 0.0005  # of a task that do not count for each send but the first
BLOCKED_PART: Final = 0.8  # of a task whose role was taken: others ran beside it, and may have had the GIL
WEIGHT: Final = 0.02  # of one task in the share: about the last fifty count
HAND_OVER_SHARE: Final = 0.10  # above it the role is given away before the task runs
FORGOTTEN_SHARE: Final = 0.001  # below it nothing is measured any more but the wall time
REVIEW_TASKS: Final = 20_000  # side by side, before it is looked at anew whether they block when they run alone
REVIEW_REST: Final = 64  # tasks that still run side by side then, and do not count
MEASURED_SECONDS: Final = 0.0001  # from one look at the CPU time of the holder to the next: so much may be unknown
CROWDED_SECONDS: Final = 0.00025  # from one task that blocks to the next: more of them fight for the interpreter
SAMPLE: Final = 8  # of the tasks that run side by side because others block, one in so many is measured and counts
UNCOUNTED: Final = -1.0
"""In place of the CPU time before a task: it does not count."""


class BlockingShare:
    """The share of recent tasks that blocked, exponentially weighted.

    Written without a lock by every thread that ends a task: a lost update only delays the next decision a little.
    """

    __slots__ = ("_aside", "_cpu", "_cpu_until", "_noted", "_pauses", "_sampled_at", "_thread_time", "pace", "share")

    def __init__(
        self, thread_time: Callable[[], float] = time.thread_time, pauses: Callable[[], int] = thread_pauses
    ) -> None:
        self._thread_time = thread_time
        self._pauses = pauses
        self._noted: dict[int, int] = {}  # pauses of each thread so far
        self._aside = 0  # tasks that ran side by side since the last review; below 0 they do not count
        self.share = 0.0
        self.pace = 2 * CROWDED_SECONDS  # from one task that runs side by side to the next, about
        self._sampled_at = 0.0
        self._cpu = 0.0  # the CPU time of the holder, up to this moment:
        self._cpu_until = 0.0

    def note(self) -> None:
        """Note that this thread begins a turn: from here on only a task makes it give up the processor by itself."""
        self._cpu_until = 0.0  # the last turn may have been another thread's
        if 0.0 < self.share <= HAND_OVER_SHARE:
            self._noted[get_ident()] = self._pauses()

    def started(self, now: float) -> float:
        """The CPU time of this thread before a task that keeps the role, 0 while no task was slow.

        It may be a little old: to ask costs a system call, as much as a tenth of a quick request.
        """
        if not self.share:
            return 0.0
        if now >= self._cpu_until:
            self._cpu = self._thread_time()
            self._cpu_until = now + MEASURED_SECONDS
        return self._cpu

    @property
    def is_crowded(self) -> bool:
        """Whether so many tasks block and come back that their threads fight for the interpreter."""
        return self.share > HAND_OVER_SHARE and self.pace < CROWDED_SECONDS

    def started_aside(self, now: float) -> float:
        """The same before a task that runs without the role.

        Where most tasks block, what a few of them do says enough: UNCOUNTED for the others, which `ended_aside` is not
        to hear of.
        """
        if self.share > HAND_OVER_SHARE:
            self._aside += 1
            if self._aside % SAMPLE:
                return UNCOUNTED
            seconds = min((now - self._sampled_at) / SAMPLE, 2 * CROWDED_SECONDS)  # a pause says no more than that
            self.pace += (seconds - self.pace) / SAMPLE
            self._sampled_at = now
        return self._thread_time() if self.share else 0.0

    def ended(self, wall_seconds: float, cpu_started: float, *, is_alone: bool, sends: int = 1) -> None:
        """Count a task that kept the role; `cpu_started` is what `started` said, in the same thread.

        A slow one does not count if others ran beside it: it may have waited for the GIL.
        """
        if sends > 1:
            wall_seconds -= SENT_SECONDS * (sends - 1)
        if wall_seconds <= BLOCKED_SECONDS:
            share = self.share * (1 - WEIGHT)  # `_count` without its call
            self.share = share if share > FORGOTTEN_SHARE else 0.0
        elif is_alone:
            self._count(has_blocked=self._blocked_seconds(wall_seconds, cpu_started) > BLOCKED_SECONDS)

    def ended_aside(self, wall_seconds: float, cpu_started: float, *, sends: int = 1) -> None:
        """Count a task that ran without the role, or lost it on the way."""
        if sends > 1:
            wall_seconds -= SENT_SECONDS * (sends - 1)
        needed = BLOCKED_SECONDS
        if self.share > HAND_OVER_SHARE:
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
        self._count(has_blocked=wall_seconds > needed and self._blocked_seconds(wall_seconds, cpu_started) > needed)

    def _blocked_seconds(self, wall_seconds: float, cpu_started: float) -> float:
        """How long a task was off the CPU by its own will."""
        if not cpu_started:
            # The first slow task after a quiet time counts, whatever it did; it makes the next ones measured.
            return wall_seconds
        off = wall_seconds - (self._thread_time() - cpu_started)
        if off > BLOCKED_SECONDS and self.share <= HAND_OVER_SHARE:
            thread, pauses = get_ident(), self._pauses()
            noted, self._noted[thread] = self._noted.get(thread, -1), pauses
            if pauses == noted >= 0:
                return 0.0  # others were given the processor
        return off

    def _count(self, *, has_blocked: bool) -> None:
        share = self.share * (1 - WEIGHT) + (WEIGHT if has_blocked else 0.0)
        self.share = share if share > FORGOTTEN_SHARE else 0.0
