"""What a connection waits for, and since when: read off what is there anyway, by any thread and without a lock.

Nothing is written down for it: each state has exactly one deadline, and that says when the state began. What is read
here may change between two steps, so the answer is a moment old, but never that of a state that has not been.
"""

from typing import Final

from waitressd.net.channel import Channel
from waitressd.net.exchange import Exchange
from waitressd.net.progress import NEVER
from waitressd.net.states import ChannelState, ExchangeState

PREFACES: Final = ("proxy", "handshake")
"""What may be waited for before HTTP: a PROXY header, a handshake of TLS."""
STATES: Final = (
    *PREFACES,
    *(state.name.lower() for state in ExchangeState if state < ExchangeState.REVOKED),
    ChannelState.LINGERING.name.lower(),
)
"""What an open connection may be waiting for."""

_OF_CHANNEL: Final = ("lingering", *PREFACES)  # the others are the exchange's
_IDLE: Final = ExchangeState.IDLE
_OPEN: Final = ChannelState.OPEN


def state_of(channel: Channel) -> str:
    """Name what a connection waits for: one of STATES, or "closed", "done" or "revoked" for one that is over."""
    exchange = channel.exchange
    # Written out for the one that nearly all are in: there may be ten thousand of them.
    if exchange.state is _IDLE and channel.state is _OPEN and exchange.request is None:
        return "idle"
    preface = channel.preface
    return preface.name if preface is not None and channel.state is ChannelState.PREFACE else channel.phase


def since(channel: Channel, state: str) -> float | None:
    """When that state of a connection began, monotonic seconds; None where it is not known.

    A task's beginning is known to the thread that runs it, and a connection that waits for a request while the server
    stops has lost the moment: for it, that is when the stop began.
    """
    exchange = channel.exchange
    if state == "idle":
        began = exchange.deadline - exchange.loop.idle_seconds
    elif state in _OF_CHANNEL:
        preface = channel.preface
        seconds = exchange.settings.deadlines.linger_timeout if preface is None else preface.timeout_seconds
        began = channel.deadline - seconds
    else:
        return _exchange_since(exchange, state)
    opened_at = channel.opened_at
    return began if opened_at <= began < NEVER else opened_at if began < NEVER else None


def _exchange_since(exchange: Exchange, state: str) -> float | None:
    upload, delivery = exchange.upload, exchange.delivery
    if state == "head":
        return exchange.began_at or None
    if state == "body":
        return upload.started_at if upload is not None else None
    if state == "queued":
        return exchange.waiting_since if exchange.state is ExchangeState.QUEUED else exchange.loop.heard_at
    if state == "flushing":
        return exchange.returned_at or (delivery.started_at if delivery is not None else None)
    return None
