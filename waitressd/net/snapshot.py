"""How busy a server is at one moment: threads, the task queue, the states of its connections."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from waitressd.net.channel import Channel
from waitressd.net.dispatcher import Dispatcher
from waitressd.net.states import State


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was true a moment ago. Nothing in it changes."""

    busy_threads: int
    """Threads that run the application (or a request log) now."""
    idle_threads: int
    """Threads that could begin a request now."""
    queue_depth: int
    """Complete requests that wait for a thread."""
    oldest_wait_seconds: float
    """How long the first of them has been waiting."""
    connections: Mapping[str, int]
    """Connections by state: idle, head, body, queued, running, flushing, lingering."""


def take_snapshot(dispatcher: Dispatcher) -> Snapshot:
    """Look at a dispatcher. Any thread; costs a look at every connection and holds nobody up."""
    role = dispatcher.role
    depth, waited = dispatcher.backlog()
    with role.lock:
        busy = role.running + (1 if role.has_claim() else 0)
    # list() of a dictionary's values is one step of the interpreter: the holder may add and remove meanwhile.
    states = Counter(map(_state, list(dispatcher.channels.values())))
    return Snapshot(
        busy_threads=busy,
        idle_threads=max(0, role.task_limit - busy),
        queue_depth=depth,
        oldest_wait_seconds=waited,
        connections={state.name.lower(): states.get(state, 0) for state in State if state is not State.CLOSED},
    )


def _state(channel: Channel) -> State:
    """Return the state of a connection; one whose request has its turn soon is not idle."""
    waits = channel.state <= State.BODY and channel.request is not None and channel.sink is None
    return State.QUEUED if waits else channel.state


EMPTY = Snapshot(0, 0, 0, 0.0, {state.name.lower(): 0 for state in State if state is not State.CLOSED})
"""A server that does not run."""
