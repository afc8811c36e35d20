"""What a channel waits for, and what moves it on.

A move that is not in the table is a bug of ours: ProtocolMisuse. Every state has exactly one deadline, so that "what
are we waiting for" is never unclear.
"""

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """What the channel waits for; each state has exactly one deadline."""

    IDLE = 0  # between requests: keep-alive deadline, then silence
    HEAD = 1  # a request has begun: absolute deadline, then 408
    BODY = 2  # its head is known: inactivity and minimum rate, then 408
    QUEUED = 3  # complete, waits for a thread: queue deadline, then 503
    RUNNING = 4  # a task owns it: no deadline of its own; output that stalls has one
    FLUSHING = 5  # answered, the client must take the rest: stall deadline and minimum rate, then a hard close
    LINGERING = 6  # our side is shut; what still arrives is dropped: short deadline
    CLOSED = 7


class Move(IntEnum):
    """What makes a channel change its state."""

    BYTES = 0  # a request has begun
    BODY = 1  # its head is complete and a body follows
    QUEUE = 2  # the request is complete and all threads are busy
    RUN = 3  # the request is complete and a thread has it
    REFUSE = 4  # the server answers by itself
    FLUSH = 5  # the task ended, bytes are left
    KEEP = 6  # the answer is out, the connection stays
    LINGER = 7  # the answer is out, the connection ends
    CLOSE = 8


_READING: Final = (State.IDLE, State.HEAD, State.BODY)

TRANSITIONS: Final[dict[tuple[State, Move], State]] = {
    (State.IDLE, Move.BYTES): State.HEAD,
    (State.IDLE, Move.BODY): State.BODY,
    (State.HEAD, Move.BODY): State.BODY,
    **{(state, Move.QUEUE): State.QUEUED for state in _READING},
    **{(state, Move.RUN): State.RUNNING for state in (*_READING, State.QUEUED)},
    **{(state, Move.REFUSE): State.FLUSHING for state in (*_READING, State.QUEUED)},
    (State.RUNNING, Move.FLUSH): State.FLUSHING,
    (State.RUNNING, Move.KEEP): State.IDLE,
    (State.FLUSHING, Move.KEEP): State.IDLE,
    (State.RUNNING, Move.LINGER): State.LINGERING,
    (State.FLUSHING, Move.LINGER): State.LINGERING,
    **{(state, Move.CLOSE): State.CLOSED for state in State if state is not State.CLOSED},
}
# The same as rows of a tuple: two index steps cost a third of a lookup by (state, move).
NEXT: Final = tuple(tuple(TRANSITIONS.get((state, move)) for move in Move) for state in State)
