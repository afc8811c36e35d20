"""Which process this is: the place of a worker in its fleet, and the process id.

Written once by the process that becomes a worker, before it serves; read by any thread. Knows nothing else.
"""

import os
from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class Place:
    """What a process knows of itself."""

    number: int = 0
    """The place among the workers, counted from 1; 0 outside of a fleet."""
    workers: int = 0
    """How many workers the fleet was to have when this one began; 0 outside of a fleet."""
    pid: int = field(default_factory=os.getpid)
    """The process id, without a system call."""

    def renew(self) -> None:
        """Look again, in a child that was forked. A child that a worker forks for itself has the worker's place."""
        self.pid = os.getpid()


here: Final = Place()
"""The place of this process."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=here.renew)


def set_place(number: int, workers: int) -> None:
    """Make this process the worker with that number, of so many."""
    here.number, here.workers = number, workers


def worker_number() -> int:
    """Return the place of this worker process: 1 for the first, up to the value of `workers`; 0 outside of a fleet.

    Any thread. A worker that takes the place of another has its number, and for a moment there may be both: it chooses
    who does something for all, and is no lock.
    """
    return here.number
