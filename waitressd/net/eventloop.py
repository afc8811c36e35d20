"""What an exchange, its connection and the loop that turns them are to each other.

Connections know no dispatcher, and an exchange knows no channel: whatever has these shapes will do.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.net.poller import Poller
from waitressd.net.states import ChannelState
from waitressd.net.wire import Wire
from waitressd.peer import Origin, Peer

if TYPE_CHECKING:
    from waitressd.net.bursts import Bursts
    from waitressd.net.held import HeldCalls
    from waitressd.net.ledger import Ledger


class Settlement(Protocol):
    """What the holder of the role has to bring to an end, after somebody else has begun it."""

    def settle(self) -> None:
        """Bring it to an end."""

    def close(self) -> None:
        """Settling failed: let go of what is used."""


class Job(Protocol):
    """A piece of work that may block: one request on its way through the application, or a callback of it."""

    waiting_since: float
    """Since when it could run, monotonic seconds."""

    @property
    def send_count(self) -> int:
        """How often it has sent something since it began: each time others may take the interpreter, if they wait."""

    def wait(self) -> None:
        """The job has waited long for its turn, which comes before anything is polled. Holder of the role."""

    def queue(self) -> None:
        """The job waits for a thread, while the loop goes on; harmless when it does already. Holder of the role."""

    def refuse(self, error: HttpError) -> bool:
        """Answer without a thread; False when the job cannot be refused. Holder of the role."""

    def begin(self) -> None:
        """The job leaves the queue and will run now; called under the role's lock."""

    def run(self) -> None:
        """Do the work. Any worker; without the role as soon as the claim was taken. Never raises."""

    def note(self, started_at: float, returned_at: float) -> None:
        """It runs without the role from then on, 0.0 or till then, monotonic seconds. The worker that runs it."""

    def settle(self, started_at: float = 0.0) -> None:
        """Bring back what the job used, which has begun then if it ran inline. The holder of the role alone."""

    def settle_aside(self) -> bool:
        """Bring it back without the role, under the role's lock; False when only the holder can do it."""

    def close(self) -> None:
        """Settling failed: let go of what the job used. Holder of the role."""

    def describe(self) -> str:
        """Name the job as log lines do. Any thread."""

    def whose(self) -> str:
        """Name the client that the job is for, "-" for none. Any thread."""


class LoopLogs(Protocol):
    """Lines about clients, each kind with a limited rate. Any thread."""

    def full(self, count: int, /) -> None:
        """So many connections are open, the limit."""

    def greedy(self, message: str, /, *values: object) -> object:
        """A client has more connections than one may have."""

    def exhausted(self, message: str, /, *values: object) -> object:
        """The system has no more of something."""

    def spool(self, message: str, /, *values: object) -> object:
        """Something cannot be kept on the disk."""

    def refused_head(self, line: bytes, origin: Origin, /) -> None:
        """A request is refused; `line` is the beginning of what is no head, b"" for other reasons."""

    def stalled(self, message: str, /, *values: object) -> object:
        """A client does not take its answer."""


class Tally:
    """How handshakes of TLS have ended, and how many are under way. Written by the holder of the role, read by any."""

    __slots__ = ("counts", "open_count")

    def __init__(self, results: Sequence[str]) -> None:
        self.counts = dict.fromkeys(results, 0)
        self.open_count = 0


class EventLoop(Protocol):
    """The loop as its connections see it. Holder of the role, except for `lock`, `now` and `draining`."""

    now: float
    """The time of the present turn, monotonic seconds; fresh enough for every deadline."""
    heard_at: float
    """When events were looked for last: since then every request is here that has not begun."""
    idle_seconds: float
    """How long a connection may stay without a request."""
    ledger: "Ledger | None"
    """Where requests are counted, if they are."""
    held: "HeldCalls | None"
    """How to send and receive while threads fight for the interpreter; None while they do not. Any thread."""
    bursts: "Bursts"
    """How streams are sent. Any thread."""
    draining: bool
    """Whether the server stops: every response ends its connection, unless that can be passed on. Changes under the
    lock."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """What holder and task threads take to hand an exchange to each other. Nothing is called under it."""

    @property
    def poller(self) -> Poller:
        """Where connections say what they wait for."""

    @property
    def logs(self) -> LoopLogs:
        """Where lines about clients go."""

    def has_heir(self) -> bool:
        """Whether another process goes on with this one's connections when it ends. Any thread."""

    def again(self, fd: int, /) -> None:
        """Have the connection look at what it has buffered, in the next turn."""

    def registered(self, fd: int, /) -> None:
        """The poller knows the connection from here on."""

    def admit(self, peer: Peer, /) -> bool:
        """Count a connection of a client that has become known only now; False when that one has too many."""

    def forget(self, fd: int, peer: Peer, /) -> None:
        """The connection ends; it counted as one of that client."""

    def expire(self, job: Job, /) -> None:
        """A request waited too long for a thread."""

    def withdraw(self, job: Job, /) -> bool:
        """Take a request out of the queue, for its client left; False when a thread has it already."""

    def limit(self, seconds: float, /) -> float:
        """A request has set its own time limit: look soon enough. Return when its thread began with it. Task thread."""

    def run_in_pool(self, call: Callable[[], object], /) -> None:
        """Have somebody else's code called by the pool like a task."""


class Line(Protocol):
    """What an exchange needs of its connection. Holder of the role, unless a method says otherwise."""

    connection: Connection
    """The protocol that it speaks now, and the exchange that answers now. Its own exchange alone changes them."""
    exchange: Any
    fd: int
    number: int
    """Which connection of this process it is."""
    mask: int
    """What the poller was told last, 0 for nothing; under the role's lock while a task runs."""
    origin: Origin
    state: ChannelState
    wire: Wire

    @property
    def can_be_passed(self) -> bool:
        """Whether another process can go on with it once it is idle."""

    def watch(self, mask: int) -> None:
        """Tell the poller what to report; 0 ends the registration. The task too, under the role's lock."""

    def note_no_progress(self) -> None:
        """An event moved nothing."""

    def cut(self, *, reset: bool) -> None:
        """End the connection under a task that still runs; its descriptor stays. With `reset` a FIN would lie."""

    def finish(self) -> None:
        """The present response is with the kernel, as far as it goes: keep the connection, or end it."""

    def close(self, *, reset: bool = False) -> None:
        """Give everything back; with `reset` the client is told that the response is incomplete."""
