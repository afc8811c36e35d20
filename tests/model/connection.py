"""What the workers of the role model work on: connections that bring requests and may die, and how they are watched.

A connection is a job of the role protocol, as a channel is. Its masks are those of the real poller, and what `reported`
says of them is what epoll does: readiness is told again and again, death too whatever the mask, ONCE disarms.
"""

from typing import Final

from tests.support.jobs import PlainJob
from waitressd.net.poller import HANGUP, ONCE, PARKED, READ

IDLE: Final = 0
QUEUED: Final = 1
RUNNING: Final = 2
CLOSED: Final = 3
COMPLETE: Final = 4  # read, and not begun

HANGS: Final = -1  # a request that ends only when everything else has come to rest


class ModelConnection(PlainJob):
    """One client: the requests that it will send, and where each of them is."""

    __slots__ = (
        "arrived", "began", "dead", "finished", "gone", "lost", "mask", "number", "plan", "runs", "state", "was_late",
    )  # fmt: skip

    def __init__(self, number: int, plan: list[int]) -> None:
        super().__init__()
        self.number = number
        self.plan = plan  # steps that each request takes, in order
        self.arrived = 0  # requests in the socket's buffer, not read yet
        self.began = 0  # requests that some worker began to run
        self.finished = 0
        self.lost = 0  # dropped because the client died
        self.runs = 0  # workers inside it at this moment
        self.dead = False  # the client is gone; the poller says so
        self.gone = False  # and we have noted it
        self.was_late = False  # its request was taken from the task that runs it
        self.state = IDLE
        self.mask = READ

    @property
    def reported(self) -> int:
        """What a poll says of it now; 0 for nothing."""
        mask = self.mask
        if not mask or mask == ONCE:
            return 0
        found = READ if self.arrived and mask & READ else 0
        return found | HANGUP if self.dead else found

    def disarm(self) -> None:
        """The poller has reported it."""
        if self.mask & ONCE:
            self.mask = ONCE

    def park(self) -> None:
        """Tell once that the client has died, and nothing else."""
        self.mask = PARKED

    def begin(self) -> None:
        """A worker has the request."""
        self.state = RUNNING
        self.began += 1

    def run(self) -> None:
        """Never called: the model's workers take their steps themselves. Its bound method is the claim."""
        raise AssertionError("the model runs jobs in steps")

    def note(self, started_at: float, returned_at: float) -> None:
        """Nobody wants to know when it ran."""

    def settle(self, _started_at: float = 0.0) -> None:
        """The holder takes it back."""
        if self.was_late:
            return
        if self.dead or self.gone:
            self.close()
            return
        self.state = IDLE
        self.mask = READ

    def settle_aside(self) -> bool:
        """A worker without the role gives it back, unless something is left to do."""
        if self.gone or self.was_late:
            return False
        self.state = IDLE
        self.mask = READ
        return True

    def revoke(self) -> bool:
        """Its time is over: take it from its task, under the role's lock; False when the task has given it back."""
        if self.state != RUNNING:
            return False
        self.was_late = True
        self.close()
        return True

    def close(self) -> None:
        """Nothing of it will be served any more."""
        self.state = CLOSED
        self.mask = 0
        self.lost += len(self.plan)
        self.plan = []
