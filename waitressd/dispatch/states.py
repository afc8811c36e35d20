"""Where an event loop is in its life, and what moves it on."""

from enum import IntEnum
from typing import Final


class DispatcherState(IntEnum):
    """Where an event loop is in its life."""

    SERVING = 0
    DRAINING = 1  # accepts no more, finishes what has begun
    ABORTING = 2  # cuts off every client that is left, in this turn
    LEADERLESS = 3  # no thread leads any more: a task that still runs settles for itself
    FINISHED = 4  # whatever has to be called yet is there: the threads may be sent home


class DispatcherMove(IntEnum):
    """What moves an event loop on."""

    STOP = 0
    ABORT = 1  # a second signal, the deadline of the drain, or a defect
    LEAVE = 2  # nothing is left, or it was cut off
    END = 3


TRANSITIONS: Final[dict[tuple[DispatcherState, DispatcherMove], DispatcherState]] = {
    (DispatcherState.SERVING, DispatcherMove.STOP): DispatcherState.DRAINING,
    (DispatcherState.SERVING, DispatcherMove.ABORT): DispatcherState.ABORTING,
    (DispatcherState.SERVING, DispatcherMove.LEAVE): DispatcherState.LEADERLESS,
    (DispatcherState.SERVING, DispatcherMove.END): DispatcherState.FINISHED,
    (DispatcherState.DRAINING, DispatcherMove.STOP): DispatcherState.DRAINING,
    (DispatcherState.DRAINING, DispatcherMove.ABORT): DispatcherState.ABORTING,
    (DispatcherState.DRAINING, DispatcherMove.LEAVE): DispatcherState.LEADERLESS,
    (DispatcherState.DRAINING, DispatcherMove.END): DispatcherState.FINISHED,
    (DispatcherState.ABORTING, DispatcherMove.STOP): DispatcherState.ABORTING,
    (DispatcherState.ABORTING, DispatcherMove.ABORT): DispatcherState.ABORTING,
    (DispatcherState.ABORTING, DispatcherMove.LEAVE): DispatcherState.LEADERLESS,
    (DispatcherState.ABORTING, DispatcherMove.END): DispatcherState.FINISHED,
    (DispatcherState.LEADERLESS, DispatcherMove.END): DispatcherState.FINISHED,
    (DispatcherState.FINISHED, DispatcherMove.END): DispatcherState.FINISHED,
}
