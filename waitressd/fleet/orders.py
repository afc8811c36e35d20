"""What the plan asks for, noted in order, and the clock that it counts with.

An order to a worker or a template changes its stage and sets its next deadline in one step, so that no stage is without
one.
"""

import math
from typing import Final

from waitressd.fleet.actions import Abort, Action, Drain, Kill, KillCode, QuitCode, Say, SetAside
from waitressd.fleet.members import Code, Worker
from waitressd.fleet.states import TemplateMove, WorkerMove

ABORT_SECONDS: Final = 4.0  # between Abort and Kill; the stacks that are asked for then may take one more
QUIT_SECONDS: Final = 5.0  # that a template has for its end
REAP_SECONDS: Final = 10.0  # after a Kill; who hangs in the kernel for longer is left alone
PULSE_SECONDS: Final = 1.0  # between two looks while a deadline runs
LATE_SECONDS: Final = 3.0  # a look so late: the machine or the master stood still


class Clock:
    """The time without the pauses in which the machine or the master stood still (a VM paused, SIGSTOP, a debugger).

    While a deadline runs, the plan wants to be asked once a second. If nothing comes for several seconds, nobody could
    have kept a deadline meanwhile, and nobody is condemned for it: that time does not count.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._heard = 0.0
        self._stood_still = 0.0
        self._next = math.inf

    def hear(self, now: float) -> None:
        """Take the time of an event."""
        gap = now - self._heard
        if self._next < math.inf and gap > PULSE_SECONDS + LATE_SECONDS:
            self._stood_still += gap - PULSE_SECONDS
        self._heard = now
        self.now = now - self._stood_still

    def expect(self, deadline: float) -> None:
        """Take the next deadline, by this clock; inf: there is none."""
        self._next = deadline

    @property
    def due(self) -> float:
        """When the next event is wanted, in the time of `hear`."""
        if self._next == math.inf:
            return math.inf
        return min(self._next + self._stood_still, self._heard + PULSE_SECONDS)


class Orders:
    """The actions that follow from one event."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._actions: list[Action] = []

    @property
    def now(self) -> float:
        """The time, by the plan's clock."""
        return self.clock.now

    def give(self, action: Action) -> None:
        """Note an action."""
        self._actions.append(action)

    def take(self) -> list[Action]:
        """Return what was noted since the last time."""
        actions, self._actions = self._actions, []
        return actions

    def say(self, level: int, text: str) -> None:
        """Tell the operator a line."""
        self.give(Say(level, text))

    def set_aside(self, worker: Worker, seconds: float) -> None:
        """Have a worker accept nothing more, while what it has may still end."""
        worker.move(WorkerMove.SET_ASIDE, self.now + seconds)
        self.give(SetAside(worker.number, seconds))

    def drain(self, worker: Worker, seconds: float, *, is_last: bool) -> None:
        """Have a worker finish what it has."""
        worker.move(WorkerMove.DRAIN, self.now + seconds)
        self.give(Drain(worker.number, seconds, is_last))

    def abort(self, worker: Worker, grace: float = ABORT_SECONDS) -> None:
        """Have a worker cut off what is left."""
        worker.move(WorkerMove.ABORT, self.now + grace)
        self.give(Abort(worker.number))

    def kill(self, worker: Worker, *, with_stacks: bool = False) -> None:
        """End a worker."""
        worker.move(WorkerMove.KILL, self.now + REAP_SECONDS)
        self.give(Kill(worker.number, with_stacks))

    def quit(self, code: Code) -> None:
        """Have a template end."""
        code.move(TemplateMove.QUIT, self.now + QUIT_SECONDS)
        self.give(QuitCode(code.number))

    def kill_code(self, code: Code, *, with_stacks: bool = False) -> None:
        """End a template."""
        code.move(TemplateMove.KILL, self.now + REAP_SECONDS)
        self.give(KillCode(code.number, with_stacks))
