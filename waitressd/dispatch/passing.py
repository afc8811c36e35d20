"""What the reserve does with a request, as it never runs one: a task worker that waits gets it, or it is queued.

Everything here is for the reserve while it holds the dispatcher role.
"""

from collections import deque
from functools import cache
from typing import Final, Protocol

from waitressd.dispatch.blocking import HAND_OVER_SHARE, BlockingShare
from waitressd.dispatch.bounds import QUEUE_FULL, Bounds
from waitressd.dispatch.reports import DispatcherLogs
from waitressd.dispatch.role import Role
from waitressd.machine import Machine
from waitressd.net.eventloop import Job
from waitressd.net.held import HeldCalls, open_held_calls

REST_SECONDS: Final = 0.002  # of the reserve, at most, while nothing that it could read would begin


class PassingLoop(Protocol):
    """The loop as its reserve needs it."""

    blocking: BlockingShare
    bounds: Bounds
    logs: DispatcherLogs
    role: Role
    tasks: deque[Job]

    def backlog(self) -> tuple[int, float]:
        """Say how many requests wait for a thread, and for how long the first of them has."""

    def refuse(self, job: Job, reason: str) -> bool:
        """Answer 503; False when the job cannot be refused."""


class Passing:
    """How the reserve of one event loop passes jobs on."""

    def __init__(self, loop: PassingLoop, machine: Machine) -> None:
        self._loop = loop
        self._role = loop.role
        self._has_queued = False  # since the operator was told last
        self._sleep = machine.sleep
        self._open_held_calls = cache(open_held_calls)  # once they are needed

    def pass_on(self, job: Job) -> bool:
        """Have a worker run a job, or queue it; False when the role is lost.

        Where jobs are quick the role goes with it, so that the next one wakes nobody.
        """
        if self._role.waiting and self._loop.blocking.share <= HAND_OVER_SHARE:
            self._loop.tasks.appendleft(job)
            if self._role.pass_back():
                return False
            self._loop.tasks.popleft()
        self.give_away(job)
        return True

    def give_away(self, job: Job) -> None:
        """Have a worker run a job, or queue it; keep the role."""
        role, loop = self._role, self._loop
        # Nobody but the holder takes from those that wait. Where there is one, nothing is queued.
        if not role.waiting and len(role.queue) >= loop.bounds.queue_limit and loop.refuse(job, QUEUE_FULL):
            return
        job.queue()
        if role.offer(job):
            self._has_queued = True

    def held_calls(self) -> HeldCalls | None:
        """Return how to send and receive where so many tasks block that their threads fight for the interpreter."""
        return self._open_held_calls() if self._loop.blocking.is_crowded else None

    def rest(self) -> None:
        """Read nothing for a moment while all workers are busy and have their next jobs: nothing more would begin.

        A reserve that reads each request as it comes takes the interpreter from the workers for each of them, and has
        to fetch everything anew. One that reads twenty at once takes a fifth less. It is back when about half of what
        is queued has begun.
        """
        role = self._role
        if role.queue and not role.waiting:
            self._sleep(min(REST_SECONDS, len(role.queue) * self._loop.blocking.pace / 2))

    def tell(self) -> None:
        """Tell the operator of requests that were queued, once a turn: that costs more than to queue one."""
        if self._has_queued:
            self._has_queued = False
            self._loop.logs.queued(self._loop.backlog)
