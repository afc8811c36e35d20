"""Between the order to stop and the stop of a fleet: balancers learn that nobody should send requests here any more.

Pure: orders and their time in, what is to be done out. The plan hears of a stop when that time is over.
"""

from enum import Enum
from math import inf


class Step(Enum):
    """What is to be done about an order to stop."""

    NOTHING = "nothing"
    LEAVE = "leave"  # say that it is not ready, and go on
    STOP = "stop"
    HURRY = "hurry"  # cut off what is left


class Leaving:
    """The orders to stop that one fleet has had. The master's thread."""

    def __init__(self) -> None:
        self.due = inf
        """When the stop is to begin; infinite if that is not waited for."""
        self._orders = 0
        self._signals = 0

    def on_signal(self, now: float, delay: float) -> Step:
        """SIGTERM or SIGINT: the first one that comes leads to a stop, the second one hurries it."""
        self._signals += 1
        if self._orders and self._signals == 1:
            return Step.NOTHING  # a hook had asked before, as orchestrators do
        return self._begin(now, delay)

    def on_request(self, now: float, delay: float) -> Step:
        """Somebody asks for a stop who may ask again without meaning more."""
        return Step.NOTHING if self._orders else self._begin(now, delay)

    def on_tick(self, now: float) -> Step:
        """Time has passed."""
        if now < self.due:
            return Step.NOTHING
        self.due = inf
        return Step.STOP

    def _begin(self, now: float, delay: float) -> Step:
        self._orders += 1
        if self._orders > 1:
            self.due = inf
            return Step.HURRY
        if delay:
            self.due = now + delay
            return Step.LEAVE
        return Step.STOP
