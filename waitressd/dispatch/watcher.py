"""Who sees to it that nobody waits for a task that blocks: the watcher of any number of pools.

It is the thread that calls `watch`, usually the main thread, which has nothing else to do and is where signals arrive.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from waitressd.dispatch.taskpool import TaskPool

SHORTEST_TICK_SECONDS: Final = 0.00025
LONGEST_TICK_SECONDS: Final = 0.005
TICK_GROWTH: Final = 1.1  # of a tick without a takeover
QUIET_LOOKS: Final = 20  # without a task in sight, before the watcher sleeps without a tick
SLEEP_SECONDS: Final = 1.0  # the longest sleep: it bounds how late a hung task or an interrupt is noticed


class Watcher:
    """Moves the dispatcher role of each pool away from tasks that block."""

    def __init__(self, pools: Sequence[TaskPool]) -> None:
        self._pools = pools
        self._bell = threading.Lock()  # held while the watcher may sleep; released to wake it
        self._bell.acquire()
        self._looked_for_hung = 0.0
        for pool in pools:
            pool.on_end = self.ring

    def watch(self, on_tick: Callable[[float], None]) -> None:
        """Watch until the event loop of every pool has ended.

        `on_tick` is called with the monotonic time about once a second and after every signal.
        """
        tick, quiet = LONGEST_TICK_SECONDS, 0
        while not self._is_over():
            if self._look():
                tick = max(SHORTEST_TICK_SECONDS, tick / 2)
                quiet = 0
            else:
                tick = min(LONGEST_TICK_SECONDS, tick * TICK_GROWTH)
                quiet = 0 if self._sees_task() else quiet + 1
            if quiet > QUIET_LOOKS:
                if self._sleep_until_a_task_runs():
                    quiet = 0
            else:
                time.sleep(tick)
            now = time.monotonic()
            if now >= self._looked_for_hung + SLEEP_SECONDS:
                self._looked_for_hung = now
                for pool in self._pools:
                    pool.report_hung(now)
            on_tick(now)

    def ring(self) -> None:
        """Wake the watcher. Any thread, a signal handler too; harmless when it is awake."""
        self._wish(None)
        with contextlib.suppress(RuntimeError):  # rung already
            self._bell.release()

    def _look(self) -> bool:
        """Look at every pool; True when a role was taken."""
        return sum(pool.dispatcher.role.look() for pool in self._pools) > 0  # at all of them, whatever the first says

    def _sees_task(self) -> bool:
        return any(pool.dispatcher.role.has_claim() for pool in self._pools)

    def _is_over(self) -> bool:
        return all(pool.dispatcher.finished for pool in self._pools)

    def _wish(self, ring: Callable[[], None] | None) -> None:
        for pool in self._pools:
            pool.dispatcher.wake_watcher = ring

    def _sleep_until_a_task_runs(self) -> bool:
        """Sleep without a tick; False when the time was over and nobody rang."""
        # First say that a ring is wanted, then look: a task that began before this line is seen by the look, one that
        # begins after it rings. Both sides write first and read then, which proves something only where all threads see
        # writes in one order. The GIL gives that; without it, a processor may let each side read before the write of
        # the other has arrived. So the first sleep is a tick long, and `watch` looks again: by then, whatever either
        # side had written has arrived, and the wish stays as long as nobody rings.
        wish_is_old = all(pool.dispatcher.wake_watcher is not None for pool in self._pools)
        self._wish(self.ring)
        awake = self._sees_task() or self._is_over()
        awake = awake or self._bell.acquire(timeout=SLEEP_SECONDS if wish_is_old else LONGEST_TICK_SECONDS)
        if awake:
            self._wish(None)
        return awake
