"""How connections go on in another process: what an event loop gives to its siblings, and when.

A loop that drains gives each connection away as soon as it is at rest; one that serves gives some of them to siblings
that have fewer. Everything here is for the holder of the dispatcher role, unless a method says otherwise.
"""

from contextlib import AbstractContextManager
from typing import Final, Protocol

from waitressd.net.channel import Channel
from waitressd.net.handover import Siblings
from waitressd.net.progress import NEVER

PATIENCE_SECONDS: Final = 2.0  # for siblings whose mailboxes are full
HEIR_SECONDS: Final = 0.5  # for the first sibling: a worker that is to be replaced may hear of it before its heir does
RETRY_SECONDS: Final = 0.002


class MovingLoop(Protocol):
    """The loop as it is needed here."""

    now: float

    @property
    def channels(self) -> dict[int, Channel]:
        """Its connections."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """What a task takes to give its exchange back without the role."""

    @property
    def idle_seconds(self) -> float:
        """How long a connection may wait for a request."""


class Moving:
    """What one event loop gives away."""

    def __init__(self, loop: MovingLoop, siblings: Siblings) -> None:
        self._loop = loop
        self._siblings = siblings
        self._patience_end = loop.now + PATIENCE_SECONDS
        self._heir_end = loop.now + HEIR_SECONDS
        self.retry_at = NEVER
        """When `relieve` is wanted next although nothing happens, monotonic seconds."""

    def has_heir(self) -> bool:
        """Whether somebody goes on with what is given away, or may be about to. Any thread."""
        return self._loop.now < self._heir_end or self._siblings.has_heir()

    def share(self, count: int) -> int:
        """Give so many connections that are at rest to siblings that have fewer; return how many these took."""
        given = 0
        for channel in list(self._loop.channels.values()):
            if given >= count:
                break
            with self._loop.lock:  # no task gives it back meanwhile
                is_at_rest = channel.is_at_rest
            if is_at_rest:
                if not channel.pass_by(self._siblings.share):
                    break
                given += 1
        return given

    def relieve(self, idle_seconds: float) -> None:
        """Give everything away that is at rest; let end what cannot go on elsewhere, within so many seconds if idle.

        One step of a drain, in which no task gives its exchange back without the role.
        """
        now = self._loop.now
        has_heir = has_room = self.has_heir()
        self.retry_at = NEVER
        for channel in list(self._loop.channels.values()):
            if channel.is_at_rest and has_room:
                has_room = channel.pass_by(self._siblings.give)
                if has_room:
                    continue
            if not has_heir or not channel.can_be_passed or (now >= self._patience_end and channel.is_idle):
                channel.expect_end(now + idle_seconds)
            elif not has_room:
                self.retry_at = now + RETRY_SECONDS
