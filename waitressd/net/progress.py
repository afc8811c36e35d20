"""How a transfer gets on: whether a body comes in, or a response goes out, fast enough.

Both are measured against a minimum rate and against silence; each says until when it may go on like that.
"""

from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from waitressd.net.outbuf import OutBuffer
from waitressd.net.wire import Wire, unacknowledged_bytes

NEVER: Final = float("inf")
"""A deadline that does not come."""

# Of a body: as much displaces everything else from the processor's cache, so that what is read behind it would have it
# come from memory again (a fifth of the CPU time of an upload of 1 MiB).
LARGE_BYTES: Final = 256 * 1024
LOOKS: Final = 8  # at what the client takes from the kernel, before it is given up for taking nothing


class BodySink(Protocol):
    """Where a request body is kept until it is complete."""

    def append(self, data: bytes) -> None:
        """Keep more of it. Raises OSError when the disk is full."""

    def finish(self) -> BinaryIO:
        """Return the whole body as a file at its beginning; the sink's owner closes it."""

    def close(self) -> None:
        """Drop what was kept and not handed on. Afterwards the memory of what was counts as free."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each state may last, in seconds, and the least rates beyond `min_rate_grace`, in bytes a second."""

    request_header_timeout: float = 20.0
    channel_timeout: float = 120.0
    request_body_min_rate: int = 240
    queue_timeout: float = 30.0
    send_timeout: float = 30.0
    response_min_rate: int = 240
    min_rate_grace: float = 10.0
    linger_timeout: float = 2.0


class Upload:
    """A request body that comes in, and where it is kept until its request has ended. Who has the request."""

    __slots__ = ("_deadlines", "_sink", "received_bytes", "started_at")

    def __init__(self, sink: BodySink, deadlines: Deadlines, now: float) -> None:
        self.received_bytes = 0
        self._sink: BodySink | None = sink
        self._deadlines = deadlines
        self.started_at = now

    def append(self, data: bytes) -> None:
        """Keep more of it. Raises OSError when the disk is full."""
        assert self._sink is not None
        self._sink.append(data)
        self.received_bytes += len(data)

    def finish(self) -> BinaryIO:
        """Return the whole body as a file, which the caller closes. Raises OSError as `append` does."""
        assert self._sink is not None
        return self._sink.finish()

    def close(self) -> None:
        """Drop what was kept of a body that is not complete; nobody uses one any more that is. Harmless when closed."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    @property
    def is_large(self) -> bool:
        """Whether so much has come that it matters how soon it is used."""
        return self.received_bytes >= LARGE_BYTES

    def deadline(self, now: float) -> float:
        """Return until when more of it must come."""
        limits = self._deadlines
        by_rate = _at_rate(self.started_at + limits.min_rate_grace, self.received_bytes, limits.request_body_min_rate)
        return min(now + limits.channel_timeout, by_rate)


class Delivery:
    """What a client takes of a response that waits for it. Holder of the role, or the task under the role's lock."""

    __slots__ = (
        "_confirmed_bytes", "_deadlines", "_first_bytes", "_first_confirmed", "_flushed_bytes", "_moved_at", "_outbuf",
        "_wire", "started_at",
    )  # fmt: skip

    def __init__(self, deadlines: Deadlines, outbuf: OutBuffer, wire: Wire, now: float) -> None:
        self._deadlines = deadlines
        self._outbuf = outbuf
        self._wire = wire
        self.started_at = self._moved_at = now  # `_moved_at`: when the client was last seen to take something
        self._first_bytes = self._flushed_bytes = outbuf.flushed_bytes
        self._first_confirmed = self._confirmed_bytes = outbuf.flushed_bytes - unacknowledged_bytes(wire)

    def look(self, now: float) -> float:
        """See whether the client takes anything; return when to look again, or the time at which its time was over.

        What the kernel took is progress, and what the client's side has confirmed since the last look, see
        `unacknowledged_bytes`. Progress moves the stall deadline, the minimum rate bounds how far.
        """
        limits = self._deadlines
        flushed_bytes = self._outbuf.flushed_bytes
        confirmed_bytes = flushed_bytes - unacknowledged_bytes(self._wire)
        if flushed_bytes > self._flushed_bytes or confirmed_bytes > self._confirmed_bytes:
            self._moved_at = now
            self._flushed_bytes = flushed_bytes
            self._confirmed_bytes = max(confirmed_bytes, self._confirmed_bytes)
        moved_bytes = max(flushed_bytes - self._first_bytes, self._confirmed_bytes - self._first_confirmed)
        by_rate = _at_rate(self.started_at + limits.min_rate_grace, moved_bytes, limits.response_min_rate)
        return min(self._moved_at + limits.send_timeout, by_rate, now + limits.send_timeout / LOOKS)


def _at_rate(start: float, moved_bytes: int, min_rate: int) -> float:
    """Return when so many bytes since `start` fall below the minimum rate; 0 bounds nothing."""
    return start + moved_bytes / min_rate if min_rate else NEVER
