"""What a process has in hand: which request each of its threads runs, where another process can read it.

Each thread has an entry in memory that is shared with others. What is written there outlives the process, so whoever
looks knows what was on its way in one that hangs, is stopped or was killed. Nothing is written, and nothing costs time,
where nobody has said where to: outside of fleets.

Beginning and end of a request are one store each, of the time at which it has begun, 0 for none; the rest of an entry
is written before that, while it says "none". So a reader that finds the same time before and after it has read the rest
has read one request and not halves of two. Nobody waits for anybody.
"""

import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, BinaryIO, Final, TypeVar

from waitressd import forks

ENTRY_BYTES: Final = 256
SHOWN_CHARACTERS: Final = 120  # of a target in a line of a log

_SINCE_BYTES: Final = 8
_LAYOUT: Final = struct.Struct(f"=Qqq{ENTRY_BYTES - 32}s")  # thread, connection, number of the request, its first line

Handler = TypeVar("Handler", bound=Callable[..., None])
_Entry = tuple["memoryview[float]", memoryview, int]  # the time, what follows it, and the thread


@dataclass(frozen=True, slots=True)
class InHand:
    """One request that a thread runs."""

    since: float
    """When the thread has begun it, monotonic seconds."""
    thread: int
    """The identifier of the thread, as `threading.get_ident` gives it."""
    connection: int
    """The number of its connection in the process."""
    number: int
    """Of the request on its connection."""
    method: str
    target: str
    """As it was sent, with the query; what is too long is cut off, and ends with an ellipsis. Printable."""

    def describe(self) -> str:
        """Name it as log lines do: without the query, where people put what does not belong into a log."""
        return f"{self.method} {self.target.partition('?')[0][:SHOWN_CHARACTERS]}"


class Desk:
    """Where one process writes what it has in hand: an entry for each thread, as long as there are any.

    Threads beyond that write to memory of their own, which nobody else sees.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._owners: list[threading.Thread] = []  # of the entries, by their order
        self._since: list[memoryview[float]] = []
        self._lock: Final = threading.Lock()  # guards both, for threads that take their first request
        self._local: Final = threading.local()

    def noting(self, handler: Handler) -> Handler:
        """Return a handler that notes each request while it runs."""
        local, place, pack = self._local, self._place, _LAYOUT.pack_into

        def handle(request: Any, body: BinaryIO | None, exchange: Any, /) -> None:  # noqa: ANN401 - as RequestHandler
            try:
                since, entry, thread = local.entry
            except AttributeError:  # the first of this thread
                since, entry, thread = place()
            line = f"{request.method} {request.target}".encode("latin-1", "replace")  # the octets that were sent
            pack(entry, 0, thread, exchange.line.number, exchange.number, line)
            since[0] = monotonic()
            try:
                handler(request, body, exchange)
            finally:
                since[0] = 0.0

        return handle  # type: ignore[return-value]  # called as the handler is

    def begun(self) -> list[float]:
        """Return when each of the requests in hand was begun. Any thread of the process."""
        return [since[0] for since in list(self._since) if since[0]]

    def let_go(self) -> None:
        """Note nothing in a child that was only forked: the entries are the parent's."""
        _desks.clear()

    def _place(self) -> _Entry:
        """Give this thread an entry: a new one, or that of a thread that has ended."""
        thread = threading.current_thread()
        with self._lock:
            index = next((i for i, owner in enumerate(self._owners) if not owner.is_alive()), len(self._owners))
            start = index * ENTRY_BYTES
            memory = self._memory[start : start + ENTRY_BYTES]
            if len(memory) < ENTRY_BYTES:
                memory = memoryview(bytearray(ENTRY_BYTES))
            since = memory[:_SINCE_BYTES].cast("d")
            self._owners[index:] = [thread, *self._owners[index + 1 :]]
            self._since[index:] = [since, *self._since[index + 1 :]]
            entry = (since, memory[_SINCE_BYTES:], threading.get_ident())
            _LAYOUT.pack_into(entry[1], 0, entry[2], 0, 0, b"")  # readers go on as far as entries belong to a thread
        self._local.entry = entry
        return entry


def read(memory: memoryview) -> list[InHand]:
    """Return the requests that a process has in hand, the oldest first. Any process, any thread."""
    return sorted(_read(memory), key=lambda found: found.since)


def _read(memory: memoryview) -> Iterator[InHand]:
    for start in range(0, len(memory) - ENTRY_BYTES + 1, ENTRY_BYTES):
        entry = memory[start : start + ENTRY_BYTES]
        times = entry[:_SINCE_BYTES].cast("d")
        since = times[0]
        thread, connection, number, line = _LAYOUT.unpack_from(entry, _SINCE_BYTES)
        if not thread:  # nobody has ever had it, nor those behind it
            return
        if since and times[0] == since:
            is_cut = line[-1] != 0
            text = _printable(line.rstrip(b"\0").decode("utf-8", "backslashreplace"))
            method, _, target = text.partition(" ")
            target += "\N{HORIZONTAL ELLIPSIS}" if is_cut else ""
            yield InHand(since, thread, connection, number, method, target)


def _printable(text: str) -> str:
    """Return text in which nothing moves a cursor or looks like a line of its own."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


_desks: Final[list[Desk]] = []


def note_in(memory: memoryview) -> Desk:
    """Note from now on what this process has in hand, in memory that is all zero. Before a server is built."""
    desk = Desk(memory)
    forks.hold(desk)
    _desks[:] = [desk]
    return desk


def noting(handler: Handler) -> Handler:
    """Return a handler that notes its requests, where they are noted; else the handler."""
    return _desks[-1].noting(handler) if _desks else handler
