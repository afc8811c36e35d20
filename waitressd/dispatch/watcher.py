"""Who sees to it that nobody waits for a task that blocks: the watcher of any number of lanes.

It is the thread that calls `watch`, usually the main thread, which has nothing else to do and is where signals arrive.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from waitressd.dispatch.lane import Lane
from waitressd.machine import MACHINE, Machine
from waitressd.net.bursts import PUSH_SECONDS

SHORTEST_TICK_SECONDS: Final = 0.0005
LONGEST_TICK_SECONDS: Final = 0.005
TICK_GROWTH: Final = 1.02  # of a tick without a takeover
QUIET_LOOKS: Final = 20  # without a task in sight, before the watcher sleeps without a tick
SLEEP_SECONDS: Final = 1.0  # the longest sleep: it bounds how late a hung task or a signal is noticed


class Tick:
    """How long the watcher sleeps between two looks: the shorter, the more often it had to take a role lately.

    A look costs some 20 microseconds of a processor; a task that blocks keeps everybody else waiting for one and a half
    ticks. The growth weighs the two. With 20 tasks a second that wait for 50 ms, the slowest of a hundred other
    requests took 8 ms where a tick grew by a tenth, and takes 3 ms, for one more hundredth of a processor (measured).
    """

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = LONGEST_TICK_SECONDS

    def note(self, *, was_taken: bool) -> None:
        """Learn from a look whether a role was taken at it."""
        seconds = self.seconds / 2 if was_taken else self.seconds * TICK_GROWTH
        self.seconds = min(LONGEST_TICK_SECONDS, max(SHORTEST_TICK_SECONDS, seconds))


class Watcher:
    """Moves the dispatcher role of each lane away from tasks that block."""

    def __init__(self, lanes: Sequence[Lane], machine: Machine = MACHINE) -> None:
        self._lanes = lanes
        self._machine = machine
        self._bell = machine.new_lock()  # held while the watcher may sleep; released to wake it
        self._bell.acquire()
        self.due = 0.0
        """When `on_tick` is to be called at the latest, if that lies ahead; by the thread that watches, or a signal."""
        for lane in lanes:
            lane.on_end = lane.timekeeper.ring = self.ring

    def watch(self, on_tick: Callable[[float], None]) -> None:
        """Watch until the event loop of every lane has ended.

        `on_tick` is called with the monotonic time about once a second and after every signal.
        """
        tick, quiet = Tick(), 0
        while not self._is_over():
            was_taken = self._look()
            tick.note(was_taken=was_taken)
            quiet = 0 if was_taken or self._sees_task() else quiet + 1
            if quiet > QUIET_LOOKS and not self._push():
                if self._sleep_until_a_task_runs():
                    quiet = 0
            else:
                self._sleep(tick.seconds)
            now = self._machine.monotonic()
            for lane in self._lanes:
                if now >= lane.next_look or lane.timekeeper.is_hurried:
                    lane.look(now)
            on_tick(now)

    def give_up(self) -> None:
        """Watch no longer: an event loop is ill and does not end. Called in `on_tick`."""
        self._lanes = ()

    def ring(self) -> None:
        """Wake the watcher. Any thread, a signal handler too; harmless when it is awake."""
        self._wish(None)
        with contextlib.suppress(RuntimeError):  # rung already
            self._bell.release()

    def _look(self) -> bool:
        """Look at every lane; True when a role was taken."""
        return sum(lane.dispatcher.role.look() for lane in self._lanes) > 0  # at all of them, whatever the first says

    def _sees_task(self) -> bool:
        return any(lane.dispatcher.role.has_claim() for lane in self._lanes)

    def _is_over(self) -> bool:
        return all(lane.dispatcher.finished for lane in self._lanes)

    def _sleep_seconds(self) -> float:
        return min([SLEEP_SECONDS, *(lane.timekeeper.look_seconds for lane in self._lanes)])

    def _wish(self, ring: Callable[[], None] | None) -> None:
        for lane in self._lanes:
            lane.dispatcher.wake_watcher = ring

    def _sleep_until_a_task_runs(self) -> bool:
        """Sleep without a tick; False when the time was over and nobody rang."""
        # First say that a ring is wanted, then look: a task that began before this line is seen by the look, one that
        # begins after it rings. Both sides write first and read then, which proves something only where all threads see
        # writes in one order. The GIL gives that; without it, a processor may let each side read before the write of
        # the other has arrived. So the first sleep is a tick long, and `watch` looks again: by then, whatever either
        # side had written has arrived, and the wish stays as long as nobody rings.
        wish_is_old = all(lane.dispatcher.wake_watcher is not None for lane in self._lanes)
        self._wish(self.ring)
        awake = self._sees_task() or self._is_over()
        seconds = self._sleep_seconds() if wish_is_old else LONGEST_TICK_SECONDS
        ahead = self.due - self._machine.monotonic() if self.due else 0.0
        awake = awake or self._rest(min(seconds, ahead) if ahead > 0 else seconds)
        if awake:
            self._wish(None)
        return awake

    def _rest(self, seconds: float) -> bool:
        """Sleep until somebody rings; False when the time was over."""
        end = self._machine.monotonic() + seconds
        is_rung = self._bell.acquire(timeout=seconds)
        if not is_rung:
            self._note_delay(end)
        return is_rung

    def _sleep(self, seconds: float) -> None:
        """Sleep for a tick; push what streams hold meanwhile."""
        end = self._machine.monotonic() + seconds
        for lane in self._lanes:
            lane.dispatcher.bursts.look()
        while self._push() and end - self._machine.monotonic() > PUSH_SECONDS:
            self._nap(PUSH_SECONDS)
        self._nap(max(0.0, end - self._machine.monotonic()))

    def _push(self) -> bool:
        """Push what streams hold; True where some may hold more."""
        return sum(lane.dispatcher.bursts.push() for lane in self._lanes) > 0  # of all, as for the looks

    def _nap(self, seconds: float) -> None:
        end = self._machine.monotonic() + seconds
        self._machine.sleep(seconds)
        self._note_delay(end)

    def _note_delay(self, end: float) -> None:
        """Count how late a sleep has ended."""
        late = self._machine.monotonic() - end
        for lane in self._lanes:
            lane.delays.note(late)
