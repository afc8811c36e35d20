"""Where an event loop is in its life."""

from enum import IntEnum
from typing import Final


class DispatcherState(IntEnum):
    """Where an event loop is in its life. Nothing leads back, so a state is also later than another."""

    SERVING = 0
    DRAINING = 1  # accepts no more, finishes what has begun
    ABORTING = 2  # cuts off every client that is left, in this turn
    LEADERLESS = 3  # no thread leads any more: a task that still runs settles for itself
    FINISHED = 4  # whatever has to be called yet is there: the threads may be sent home


TRANSITIONS: Final[dict[DispatcherState, frozenset[DispatcherState]]] = {
    DispatcherState.SERVING: frozenset(
        {DispatcherState.DRAINING, DispatcherState.ABORTING, DispatcherState.LEADERLESS}
    ),
    DispatcherState.DRAINING: frozenset({DispatcherState.ABORTING, DispatcherState.LEADERLESS}),
    DispatcherState.ABORTING: frozenset({DispatcherState.LEADERLESS}),
    DispatcherState.LEADERLESS: frozenset({DispatcherState.FINISHED}),
    DispatcherState.FINISHED: frozenset(),
}
