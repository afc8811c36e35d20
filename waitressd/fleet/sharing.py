"""Which worker a connection belongs to: pure functions of what the board says about loads.

Loads are a moment old and others act on them at the same time. So no rule asks for equal shares: each leaves a *slack*,
within which nothing moves.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

SLACK: Final = 2  # connections
SLACK_SHARE: Final = 8  # an eighth more, so that large loads are not evened out to the last connection
GIFT_SHARE: Final = 2  # half of what is too much at one look: two looks at the same old numbers overshoot nothing


class Load(NamedTuple):
    """What one worker has to do, with what is on its way to it."""

    connections: int
    tasks: int
    """Those that run, and those that wait for a thread."""
    threads: int
    """How many may run at once."""

    @property
    def is_busy(self) -> bool:
        """Whether a request would wait for a thread."""
        return self.tasks >= self.threads


def needs_placing(mine: Load) -> bool:
    """Whether a look at the others may find one that should have a new connection, which `mine` counts already."""
    return mine.connections > SLACK or mine.is_busy


def enough(connections: int) -> float:
    """Return from how many connections on another worker gets no new one of a worker that has so many."""
    return connections - SLACK - connections / SLACK_SHARE


def place(mine: Load, others: Sequence[Load]) -> int | None:
    """Return which of the others should have a new connection, which `mine` counts already; None: keep it.

    It is passed only to one that clearly has less to do. Strict equality would pass three of four short connections on
    for nothing.
    """
    if mine.is_busy:
        free = [index for index, load in enumerate(others) if not load.is_busy]
        if free:
            return min(free, key=lambda index: others[index])
    least = fewest(others)
    if least is None or others[least].connections >= enough(mine.connections):
        return None
    return least


def fewest(others: Sequence[Load]) -> int | None:
    """Return which of them has the fewest connections; None without any."""
    return min(range(len(others)), key=lambda index: others[index], default=None)


def gift(mine: int, others: Sequence[int]) -> int:
    """Return how many of its kept connections a worker should give to others; each is told by its connections.

    What is too much here is missing elsewhere. Each gives half of what it has beyond the mean, so all together give
    half of what is missing, and nobody gets too much when they look at the same numbers twice.
    """
    mean = (mine + sum(others)) / (1 + len(others))
    if mine <= mean + SLACK + mean / SLACK_SHARE:
        return 0
    return max(1, int((mine - mean) / GIFT_SHARE))


def wants(mine: int, others: Sequence[int]) -> list[float]:
    """Return how much each of the others may be given: what it lacks of the mean."""
    mean = (mine + sum(others)) / (1 + len(others))
    return [max(0.0, mean - each) for each in others]
