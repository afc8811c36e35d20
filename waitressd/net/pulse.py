"""Whether event loops live: they turn when they are poked, their threads are there, their listeners accept.

One object for all who ask, a service manager's watchdog and health checks: so they never say different things. Asking
never waits for a loop: it pokes, and looks at the next asking whether that was noticed. Any thread, without a lock.
"""

from collections.abc import Sequence
from typing import Final, Protocol

FRESH_SECONDS: Final = 0.1  # for which a loop that has turned needs no poke to show that it lives


class Loop(Protocol):
    """An event loop with its threads."""

    @property
    def turned_at(self) -> float:
        """When it turned last, monotonic seconds."""

    @property
    def is_whole(self) -> bool:
        """Whether all of its threads are there."""

    @property
    def is_accepting(self) -> bool:
        """Whether whoever connects is taken: it has listeners, and they do not rest for want of descriptors."""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended as it should; then it need not turn, and its threads end."""

    def wake(self) -> None:
        """Make it turn."""


class Pulse:
    """The pulse of the loops of one server."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
        # When the loops were poked last. Two threads that poke at once write nearly the same.
        self._poked_at = 0.0

    def poke(self, now: float) -> float:
        """Make the loops turn; return for how long an earlier poke has been unanswered, in seconds, 0.0 if none is.

        `now` is the monotonic time. As long as a poke is unanswered there is no other, so that the time counts from the
        first that nobody noticed.
        """
        poked_at = self._poked_at
        living = [loop for loop in self._loops if not loop.has_ended]
        if not all(loop.turned_at >= poked_at for loop in living):
            return now - poked_at
        if all(loop.turned_at > now - FRESH_SECONDS for loop in living):
            return 0.0  # waking costs a system call, and who asks then waits for the interpreter once more
        self._poked_at = now
        for loop in living:
            loop.wake()
        return 0.0

    @property
    def turned_at(self) -> float | None:
        """Since when all loops have turned (monotonic seconds), but those that have ended; None if no other is left."""
        return min((loop.turned_at for loop in self._loops if not loop.has_ended), default=None)

    @property
    def is_whole(self) -> bool:
        """Whether every thread is there that should be."""
        return all(loop.is_whole or loop.has_ended for loop in self._loops)

    @property
    def is_accepting(self) -> bool:
        """Whether whoever connects is taken: false once a stop has begun, and while descriptors have run out."""
        return all(loop.is_accepting and not loop.has_ended for loop in self._loops)
