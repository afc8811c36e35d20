"""What processes that serve the same addresses are to each other, as an event loop sees it.

A connection may begin in one of them and go on in another. What the other needs to know of it travels beside its
descriptor. Knows no board, no mailbox and no process: whatever has these shapes will do.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any, Final, Protocol

from waitressd.http.proxyprotocol import ClientTls, Endpoint, ProxyHeader
from waitressd.peer import UNIX, Peer

FORM: Final = 1
"""Of what travels; processes with another one must not pass connections to each other."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a connection that goes on in another process. Times are monotonic seconds."""

    listener: str
    """The address that has accepted it, as `Listener.name` writes it."""
    peer: Peer
    """The client, also where a balancer has named it."""
    answered: int = 0
    """How many requests have been answered on it."""
    opened_at: float = 0.0
    idle_since: float = 0.0
    """Since when it has been waiting for a request; the deadline goes on and does not begin anew."""
    proxied: ProxyHeader | None = None
    """What a balancer has said of it by the PROXY protocol."""
    is_new: bool = False
    """Nothing was read of it: what comes before HTTP on it is still to come."""


Arrival = tuple[socket.socket, Kept]
"""A socket, which belongs to whoever gets it, and what is known of its connection."""


class Siblings(Protocol):
    """The other processes that serve the same addresses. The holder of the dispatcher role, unless a method says more.

    Nothing here waits. A connection is with a sibling once it is in its mailbox; one that is not taken out of it in
    time is called back. So the caller closes its own descriptor at once, and must not shut the connection down.
    """

    due: float
    """When `recall` is wanted next, monotonic seconds; infinite while nothing is under way."""

    @property
    def mailbox(self) -> int:
        """The descriptor that is readable when siblings have passed something."""

    def place(self, sock: socket.socket, peer: Peer, listener: str, connections: int) -> bool:
        """Pass a new connection, which would be one of so many here, to a sibling that clearly has less to do.

        False: it is best kept.
        """

    def give(self, sock: socket.socket, kept: Kept) -> bool:
        """Pass a connection to the sibling with the fewest; False: none takes any at the moment."""

    def share(self, sock: socket.socket, kept: Kept) -> bool:
        """Pass a connection to a sibling that has fewer than most; False: there is none, or none takes it."""

    def take(self) -> Arrival | None:
        """Take one out of the own mailbox; None when it is empty. Raises OSError: there is no descriptor for it."""

    def note_connections(self, count: int) -> None:
        """So many connections are open now."""

    def recall(self, now: float) -> Iterator[Arrival]:
        """Take back what siblings have not taken in time. Raises OSError as `take` does."""

    def has_heir(self) -> bool:
        """Whether a sibling would go on with a connection. Any thread, also under the role's lock."""

    def leave(self) -> None:
        """Take nothing over any more: this process is about to end, or others must relieve it. Any thread."""

    def note_turn(self, now: float, running: int, queued: int) -> None:
        """The event loop turns, while so many tasks run and requests wait for a thread."""

    def note_idle(self, count: int) -> None:
        """So many connections wait for a request."""


def encode(kept: Kept) -> bytes:
    """Write down what travels."""
    proxied = kept.proxied
    fields: list[Any] = [FORM, kept.listener, kept.answered, kept.opened_at, kept.idle_since, int(kept.is_new)]
    fields.append(None if kept.peer is UNIX else [kept.peer.address, kept.peer.port])
    if proxied is not None:
        ends = [None if end is None else astuple(end) for end in (proxied.source, proxied.destination)]
        tls = None if proxied.tls is None else astuple(proxied.tls)
        fields.append([*ends, proxied.authority, tls, proxied.unique_id.decode("latin-1")])
    return json.dumps(fields, separators=(",", ":")).encode()


def decode(data: bytes) -> Kept:
    """Read it. Raises ValueError: it is something else."""
    try:
        form, listener, answered, opened_at, idle_since, is_new, peer, *rest = json.loads(data)
        if form != FORM:
            raise ValueError(f"a connection in form {form}")
        proxied = None
        if rest:
            source, destination, authority, tls, unique_id = rest[0]
            proxied = ProxyHeader(
                None if source is None else Endpoint(*source),
                None if destination is None else Endpoint(*destination),
                authority,
                None if tls is None else ClientTls(*tls),
                unique_id.encode("latin-1"),
            )
        client = UNIX if peer is None else Peer(*peer)
        return Kept(listener, client, answered, opened_at, idle_since, proxied, bool(is_new))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no connection: {error}") from None
