"""Where a server is in its life, and where it may go from there."""

from enum import IntEnum
from typing import Final


class Life(IntEnum):
    """Where a server is in its life."""

    BUILT = 0
    LISTENING = 1  # bound; the system's backlog takes connections
    SERVING = 2
    LEAVING = 3  # told to stop: says that it is not ready, and serves on for `drain_delay`
    DRAINING = 4  # accepts no more, finishes what has begun
    ABORTING = 5  # after a second signal, or the deadline of the drain: cuts off whoever is left
    STOPPED = 6


TRANSITIONS: Final[dict[Life, frozenset[Life]]] = {
    Life.BUILT: frozenset({Life.LISTENING, Life.STOPPED}),
    Life.LISTENING: frozenset({Life.SERVING, Life.STOPPED}),
    Life.SERVING: frozenset({Life.LEAVING, Life.STOPPED}),
    Life.LEAVING: frozenset({Life.DRAINING, Life.STOPPED}),
    Life.DRAINING: frozenset({Life.ABORTING, Life.STOPPED}),
    Life.ABORTING: frozenset({Life.STOPPED}),
    Life.STOPPED: frozenset({Life.STOPPED}),
}
