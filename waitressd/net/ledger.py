"""What became of the requests of one event loop: how many there were of each kind, and how long each phase took.

A *row* is a list of numbers for one kind of request: its route, method, status and scheme. There are two tables of
rows, so that each has one writer at a time without a lock of its own: *inline* is written by the holder of the
dispatcher role, *aside* by a task thread under the role's lock, which it has anyway when it settles. Readers add up
both. Numbers only rise, and none is worked out by subtracting others: so no reader ever sees one fall, whatever is
written while it reads.

Requests of less than a millisecond, which most of a busy server are, cost one number and one sum (see
`Exchange.settle`); of all others each phase is put into a histogram.
"""

import threading
from bisect import bisect_left
from dataclasses import dataclass
from operator import add
from typing import TYPE_CHECKING, Any, Final, Protocol

from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.net.logs import report_defect
from waitressd.net.recorder import Fault, Recorded, what_cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitressd.http.response import ResponseHead

ROUTE: Final = "waitressd.route"
"""The key of the environ by which an application says what its route is called."""
SCHEME: Final = "wsgi.url_scheme"
ROUTE_CHARACTERS: Final = 200

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods that a row may have (RFC 9110, 9.1; RFC 5789); what others a client makes up is OTHER_METHOD."""
OTHER_METHOD: Final = "_OTHER"
OTHER_ROUTE: Final = "other"
"""The route of what does not fit into the limit of rows."""
OTHER_ROWS: Final = 100  # beyond the limit, of that route

_DECADE: Final = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5)
BOUNDS: Final = (*(step * scale / 1000 for scale in (1, 10, 100, 1000, 10_000) for step in _DECADE), 100.0)
"""The upper ends of the buckets but the last, in seconds: what is read from them is a third too high at most."""
BUCKETS: Final = len(BOUNDS) + 1
FAST_SECONDS: Final = BOUNDS[0]
"""What takes less in all is counted without a histogram; its time counts as the application's."""

ENDED_BY: Final = ("complete", "refused", "client", "deadline", "error", "stop", "timeout")
"""What may have ended a request; "complete" where the client has got all of the application's answer."""

# The numbers of a row, in this order. Sums are in seconds.
FAST: Final = 0
FAST_SUM: Final = 1
RECEIVE_SUM, QUEUE_SUM, APPLICATION_SUM, FLUSH_SUM, TOTAL_SUM = range(2, 7)
ENDINGS: Final = 7
"""From here on, how many requests that were not fast ended in each of the ways of ENDED_BY."""
QUEUE: Final = ENDINGS + len(ENDED_BY)
APPLICATION: Final = QUEUE + BUCKETS
TOTAL: Final = APPLICATION + BUCKETS
ROW_NUMBERS: Final = TOTAL + BUCKETS
# The numbers of a class of status: the two phases that have no histogram of their own in each row.
RECEIVE: Final = 0
FLUSH: Final = BUCKETS
CLASS_NUMBERS: Final = 2 * BUCKETS

Key = tuple[str, str, int, str]
"""Route, method, status (0 where none was sent), scheme."""
Row = list[float]


class Served(Recorded, Protocol):
    """What is read of an exchange."""

    began_at: float
    ended_by: str
    environ: dict[str, Any] | None
    failure: BaseException | None
    returned_at: float
    started_at: float

    @property
    def scheme(self) -> str:
        """The scheme of its listener."""


@dataclass(slots=True)
class Moments:
    """When a request came how far, in monotonic seconds, 0.0 where it did not come so far; and how it ended."""

    began_at: float
    complete_at: float
    started_at: float
    returned_at: float
    ended_at: float
    status: int
    """That of the answer, 0 where none was sent."""
    ended_by: str
    """One of ENDED_BY."""

    @property
    def receive_seconds(self) -> float | None:
        """From the first byte to the last one of the request; None if that never came."""
        return max(0.0, self.complete_at - self.began_at) if self.complete_at else None

    @property
    def queue_seconds(self) -> float | None:
        """How long the complete request waited for a thread, also for one that it never got."""
        return max(0.0, (self.started_at or self.ended_at) - self.complete_at) if self.complete_at else None

    @property
    def application_seconds(self) -> float | None:
        """From the call of the application to the end of its answer; None if it was not called."""
        return max(0.0, (self.returned_at or self.ended_at) - self.started_at) if self.started_at else None

    @property
    def flush_seconds(self) -> float | None:
        """From there to the last byte with the kernel."""
        return max(0.0, self.ended_at - self.returned_at) if self.returned_at else None

    @property
    def total_seconds(self) -> float:
        """All of it."""
        return max(0.0, self.ended_at - self.began_at)


class Table:
    """Rows with one writer at a time. Any thread may read: copy a dictionary, then a row, each in one step."""

    __slots__ = ("classes", "fast", "folded", "rows")

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.fast: dict[Key, Row] = {}
        """Those of `rows` whose requests need no look at what ended them."""
        self.classes: list[Row] = [[0] * CLASS_NUMBERS for _ in range(6)]
        """Receiving and flushing, by the first digit of the status."""
        self.folded = 0  # requests whose route is not told, there being too many


class Ledger:
    """The counts of one event loop. `limit` bounds the rows; a request is slow from `slow_seconds` on."""

    def __init__(self, limit: int = 300, slow_seconds: float = 1.0) -> None:
        self.limit: Final = limit
        self.slow_seconds = slow_seconds
        self.inline: Final = Table()
        self.aside: Final = Table()
        self.fast: Final = self.inline.fast  # asked for with each request
        self.accepted = 0  # connections; as the next two, written by the holder alone
        self.received_bytes = 0  # of connections that are closed
        self.sent_bytes = 0
        self.on_unusual: Callable[[Any, Moments], object] | None = None
        """Called once with the exchange and its moments when a request has ended that was slow, was answered by 500 or
        above, or did not end complete. By the holder of the role: it must not wait. The exchange still has its
        request, environ and failure."""
        self.describe: Callable[[BaseException], str] | None = None
        """Says in a line what an application has raised; called in the thread of its task. Never raises."""
        self._keys: set[Key] = set()
        self._others: set[Key] = set()
        self._admission = threading.Lock()  # for new rows alone

    # -- who writes: see the module

    def is_unusual(self, exchange: Served) -> bool:
        """Whether the holder has to add a request that was answered in whole, for `on_unusual`."""
        if self.on_unusual is None:
            return False
        status = _status(exchange.encoder.response_head)
        seconds = exchange.returned_at - (exchange.began_at or exchange.waiting_since)
        return seconds >= self.slow_seconds or status >= 500 or exchange.failure is not None

    def add(self, exchange: Served, table: Table, ended_at: float) -> None:
        """Count a request that has ended, before it is forgotten. The writer of the table."""
        status = _status(exchange.encoder.response_head)
        try:  # as most are, when many clients wait for a turn
            environ: Any = exchange.environ
            request: Any = exchange.request
            row = table.fast[environ[ROUTE] if ROUTE in environ else "", request.method, status, environ[SCHEME]]  # noqa: SIM401 - get() would take twice the time
        except Exception:  # border: the first of its kind, or whatever the application has put there
            row = self._row(table, exchange, status)
        seconds = ended_at - (exchange.began_at or exchange.waiting_since)
        is_answered = exchange.waiting_since and exchange.started_at and exchange.returned_at
        if is_answered and ending_of(exchange) == "complete":
            if seconds < FAST_SECONDS:
                row[FAST] += 1
                row[FAST_SUM] += max(0.0, seconds)
            else:
                _add_answered(row, table.classes[status // 100], exchange, ended_at)
            if status < 500 and seconds < self.slow_seconds:
                return
        else:
            _add_phases(row, table.classes[status // 100], _moments(exchange, ended_at))
        self._tell(exchange, ended_at)

    def _tell(self, exchange: Served, ended_at: float) -> None:
        unusual = self.on_unusual
        if unusual is None:
            return
        try:
            unusual(exchange, _moments(exchange, ended_at))
        except Exception:  # border: what somebody else makes of a request harms nobody's connection
            report_defect("noting a request of %s failed", exchange.origin.peer)

    def forget(self, received_bytes: int, sent_bytes: int) -> None:
        """A connection closes, and nobody finds it any more: these are the bytes that were on it."""
        self.received_bytes += received_bytes
        self.sent_bytes += sent_bytes

    def _row(self, table: Table, exchange: Served, status: int) -> Row:
        key = wanted = key_of(exchange, status)
        row = table.rows.get(key)
        if row is None:
            key = self._admit(wanted)
            row = table.rows.get(key)
            if row is None:
                row = table.rows[key] = [0] * ROW_NUMBERS
                if 0 < status < 500:
                    table.fast[key] = row
        if key is not wanted:
            table.folded += 1
        return row

    def _admit(self, key: Key) -> Key:
        """Return the key of the row in which a request is counted that wants this one."""
        other = (OTHER_ROUTE, *key[1:])
        if key in self._keys:
            return key
        if len(self._keys) >= self.limit and other in self._others:
            return other
        with self._admission:
            for keys, limit, one in ((self._keys, self.limit, key), (self._others, OTHER_ROWS, other)):
                if one in keys or len(keys) < limit:
                    keys.add(one)
                    return one
        # No application has so many statuses and methods, but nothing keeps one from it.
        return (OTHER_ROUTE, OTHER_METHOD, key[2] // 100 * 100, key[3])

    # -- any thread

    def all_keys(self) -> list[Key]:
        """Return the keys of all rows, each once, in the order in which they came."""
        return list(dict.fromkeys((*self.inline.rows.copy(), *self.aside.rows.copy())))

    def row(self, key: Key) -> Row:
        """Return the sums of both tables for one key."""
        rows = [row[:] for table in (self.inline, self.aside) if (row := table.rows.get(key)) is not None]
        return rows[0] if len(rows) == 1 else list(map(add, *rows)) if rows else [0] * ROW_NUMBERS

    def of_class(self, number: int) -> Row:
        """Return the same for receiving and flushing, where the status begins with this digit (0: none was sent)."""
        return list(map(add, self.inline.classes[number], self.aside.classes[number]))

    @property
    def folded(self) -> int:
        """How many requests were counted without their route, because there were too many routes."""
        return self.inline.folded + self.aside.folded


def endings(row: Row) -> dict[str, int]:
    """Return how many requests of a row ended in each of the ways of ENDED_BY."""
    counts = dict(zip(ENDED_BY, map(int, row[ENDINGS:QUEUE]), strict=True))
    counts["complete"] += int(row[FAST])
    return counts


def key_of(exchange: Served, status: int) -> Key:
    """Say where a request belongs. Nothing of it comes from a client: not a path, and no method but the known ones."""
    request = exchange.request
    method = request.method if request is not None and request.method in METHODS else OTHER_METHOD
    environ = exchange.environ
    if environ is None:
        return "", method, status, exchange.scheme
    scheme = environ.get(SCHEME)
    return route_of(environ), method, status, scheme if scheme in ("http", "https") else exchange.scheme


def route_of(environ: dict[str, Any]) -> str:
    """Return the route as the application has named it; "" if it has not, or not with a text of 1 to 200 characters."""
    route = environ.get(ROUTE, "")
    if not isinstance(route, str) or len(route) > ROUTE_CHARACTERS:
        return ""
    return str.encode(route, "utf-8", "backslashreplace").decode()


def ending_of(exchange: Served) -> str:
    """Say what ended a request, as its record does."""
    said = exchange.ended_by
    failure = exchange.failure
    if failure is None and exchange.fault is None and exchange.outbuf is None and not (said or exchange.lost_at):
        encoder = exchange.encoder  # as nearly all end
        if encoder.response_head is not None and encoder.response_done:
            return "complete"
    if not said and failure is not None:
        if isinstance(failure, HttpError) and exchange.environ is None:
            said = "refused"
        else:
            said = Fault.CLIENT.value if isinstance(failure, ClientDisconnected) else Fault.CUT.value
    fault = what_cut(exchange, Fault.CLIENT)
    if fault is not None and (not said or exchange.fault not in {None, Fault.CUT}):
        said = fault.value
    return said or "complete"


def _moments(exchange: Served, ended_at: float) -> Moments:
    complete_at = exchange.waiting_since
    return Moments(
        exchange.began_at or complete_at or ended_at,
        complete_at,
        exchange.started_at,
        exchange.returned_at,
        ended_at,
        _status(exchange.encoder.response_head),
        ending_of(exchange),
    )


def _status(head: "ResponseHead | None") -> int:
    return head.code if head is not None else 0


def _add_answered(row: Row, of_class: Row, exchange: Served, ended_at: float) -> None:
    """Do that for a request that a task has answered in whole: under load, these are nearly all."""
    complete_at, started_at, returned_at = exchange.waiting_since, exchange.started_at, exchange.returned_at
    began_at = exchange.began_at or complete_at
    row[ENDINGS] += 1
    # Clocks are read one after the other, and by different threads: a duration may come out below zero.
    seconds = complete_at - began_at
    if seconds > 0.0:
        row[RECEIVE_SUM] += seconds
        of_class[RECEIVE + bisect_left(BOUNDS, seconds)] += 1
    else:
        of_class[RECEIVE] += 1
    if (seconds := started_at - complete_at) < 0.0:
        seconds = 0.0
    row[QUEUE_SUM] += seconds
    row[QUEUE + bisect_left(BOUNDS, seconds)] += 1
    if (seconds := returned_at - started_at) < 0.0:
        seconds = 0.0
    row[APPLICATION_SUM] += seconds
    row[APPLICATION + bisect_left(BOUNDS, seconds)] += 1
    seconds = ended_at - returned_at
    if seconds > 0.0:
        row[FLUSH_SUM] += seconds
        of_class[FLUSH + bisect_left(BOUNDS, seconds)] += 1
    else:
        of_class[FLUSH] += 1
    seconds = ended_at - began_at
    row[TOTAL_SUM] += seconds
    row[TOTAL + bisect_left(BOUNDS, seconds)] += 1


def _add_phases(row: Row, of_class: Row, moments: Moments) -> None:
    row[ENDINGS + ENDED_BY.index(moments.ended_by)] += 1
    phases = (
        (moments.receive_seconds, RECEIVE_SUM, of_class, RECEIVE),
        (moments.queue_seconds, QUEUE_SUM, row, QUEUE),
        (moments.application_seconds, APPLICATION_SUM, row, APPLICATION),
        (moments.flush_seconds, FLUSH_SUM, of_class, FLUSH),
        (moments.total_seconds, TOTAL_SUM, row, TOTAL),
    )
    for seconds, sums, numbers, first in phases:
        if seconds is not None:
            row[sums] += seconds
            numbers[first + bisect_left(BOUNDS, seconds)] += 1
