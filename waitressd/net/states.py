"""How far a connection has come, how far the present request on it, and what moves each of them on.

A move that is not in its table is a mistake of this server: ProtocolMisuse. Every state has exactly one deadline, so
that "what are we waiting for" is never unclear.
"""

from enum import IntEnum
from typing import Final


class ChannelState(IntEnum):
    """How far a connection has come. While requests are read, what is waited for is the exchange's to say."""

    OPEN = 0  # requests are read and answered
    HALF_CLOSED = 1  # the client sends no more; what it has sent is answered
    PREFACE = 2  # what comes before HTTP (PROXY header, TLS handshake): absolute deadline, then a close without a word
    LINGERING = 3  # our side is shut; what still arrives is dropped: short deadline
    CLOSED = 4


class ChannelMove(IntEnum):
    """What makes a connection change its state."""

    BEGIN = 0  # the preface is complete
    FINISH = 1  # the client ends its side
    LINGER = 2  # the last response is out, or what TLS says of a handshake that failed
    CLOSE = 3
    PASS = 4  # it is idle, and another process goes on with it


CHANNEL_TRANSITIONS: Final[dict[tuple[ChannelState, ChannelMove], ChannelState]] = {
    (ChannelState.PREFACE, ChannelMove.BEGIN): ChannelState.OPEN,
    (ChannelState.PREFACE, ChannelMove.LINGER): ChannelState.LINGERING,
    (ChannelState.OPEN, ChannelMove.FINISH): ChannelState.HALF_CLOSED,
    (ChannelState.HALF_CLOSED, ChannelMove.FINISH): ChannelState.HALF_CLOSED,
    (ChannelState.OPEN, ChannelMove.LINGER): ChannelState.LINGERING,
    (ChannelState.HALF_CLOSED, ChannelMove.LINGER): ChannelState.LINGERING,
    (ChannelState.OPEN, ChannelMove.PASS): ChannelState.CLOSED,
    **{(state, ChannelMove.CLOSE): ChannelState.CLOSED for state in ChannelState if state is not ChannelState.CLOSED},
}


class ExchangeState(IntEnum):
    """How far a request and its response have come; each state has exactly one deadline."""

    IDLE = 0  # no request yet: keep-alive deadline, then silence
    HEAD = 1  # a request has begun: absolute deadline, then 408
    BODY = 2  # its head is known: inactivity and minimum rate, then 408
    QUEUED = 3  # complete, waits for a thread: queue deadline, then 503
    RUNNING = 4  # a task owns it: no deadline of its own; output that stalls has one
    FLUSHING = 5  # answered, the client must take the rest: stall deadline and minimum rate, then a hard close
    REVOKED = 6  # taken from its task, which may neither write nor settle any more
    DETACHED = 7  # the same, and another exchange has answered on its connection
    DONE = 8  # over, and its connection brings no other


class ExchangeMove(IntEnum):
    """What makes an exchange change its state."""

    BYTES = 0  # a request has begun
    BODY = 1  # its head is complete and a body follows
    QUEUE = 2  # the request is complete and all threads are busy
    RUN = 3  # the request is complete and a thread has it
    REFUSE = 4  # the server answers by itself
    FLUSH = 5  # the task ended, bytes are left
    KEEP = 6  # the response is out, the next request may come
    REVOKE = 7  # the server does not wait for the task
    DETACH = 8  # the task was over its time before it began to answer
    END = 9  # the connection ends, or the task of one that was taken from it


PHASES: Final = (
    *(state.name.lower() for state in ExchangeState if state < ExchangeState.REVOKED),
    ChannelState.LINGERING.name.lower(),
)
"""What a connection may be waiting for, as `Channel.phase` says it."""

_READING: Final = (ExchangeState.IDLE, ExchangeState.HEAD, ExchangeState.BODY)

EXCHANGE_TRANSITIONS: Final[dict[tuple[ExchangeState, ExchangeMove], ExchangeState]] = {
    (ExchangeState.IDLE, ExchangeMove.BYTES): ExchangeState.HEAD,
    (ExchangeState.IDLE, ExchangeMove.BODY): ExchangeState.BODY,
    (ExchangeState.HEAD, ExchangeMove.BODY): ExchangeState.BODY,
    **{(state, ExchangeMove.QUEUE): ExchangeState.QUEUED for state in _READING},
    **{(state, ExchangeMove.RUN): ExchangeState.RUNNING for state in (*_READING, ExchangeState.QUEUED)},
    **{(state, ExchangeMove.REFUSE): ExchangeState.FLUSHING for state in (*_READING, ExchangeState.QUEUED)},
    (ExchangeState.RUNNING, ExchangeMove.FLUSH): ExchangeState.FLUSHING,
    (ExchangeState.RUNNING, ExchangeMove.KEEP): ExchangeState.IDLE,
    (ExchangeState.FLUSHING, ExchangeMove.KEEP): ExchangeState.IDLE,
    (ExchangeState.RUNNING, ExchangeMove.REVOKE): ExchangeState.REVOKED,
    (ExchangeState.RUNNING, ExchangeMove.DETACH): ExchangeState.DETACHED,
    **{(state, ExchangeMove.END): ExchangeState.DONE for state in ExchangeState if state is not ExchangeState.DONE},
}
# The same as rows of a tuple: two index steps cost a third of a lookup by (state, move).
NEXT: Final = tuple(tuple(EXCHANGE_TRANSITIONS.get((state, move)) for move in ExchangeMove) for state in ExchangeState)
