"""How long a request may keep a thread, and what becomes of its client when that time is over.

Nobody can take a thread away from code that hangs. What can be taken is the client: the server answers 504 in place of
the task, or cuts the response off if it has begun. Of the two exactly one may begin to answer, and that is decided
without a lock: a request that may run out of time has a *turn*, a list with one element. The task takes it before its
first bytes leave, the server before it makes any; `pop` is atomic, so one of the two finds nothing, and stays silent.

The task comes by the turn because its first bytes do not go to the wire but to a `Timing`, which looks like one. So a
request without a limit asks nothing at all. What comes after the first bytes, and the end of the task, is decided by
the exchange's state under the role's lock, as for every exchange that is taken from its task.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from waitressd.http.errors import HttpError, RequestTimeout
from waitressd.http.states import Sending
from waitressd.net.interrupt import Interruption
from waitressd.net.ledger import ROUTE
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeMove, ExchangeState

if TYPE_CHECKING:
    from waitressd.http.events import Request
    from waitressd.net.channelsettings import RequestHandler

SHORTEST_SECONDS: Final = 0.1
"""The shortest limit; a shorter one is taken for this."""
TIMEOUT_STATUS: Final = 504
PATIENCE_SECONDS: Final = 1.0  # with a task that has only to return, or whose interim response has just begun to leave
NO_LIMIT: Final = float("inf")


@dataclass(frozen=True, slots=True)
class RouteLimit:
    """A limit for some requests: those with this method ("" for any) and a route, or a path, that fits."""

    method: str
    fits: Callable[[str], object]
    seconds: float
    """0 for none."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long requests may keep a thread, and what is done about those that take longer; named as the settings."""

    request_timeout: float = 0.0
    request_timeout_routes: tuple[RouteLimit, ...] = ()
    request_timeout_interrupt: bool = False
    request_timeout_spares: int = 0

    @property
    def least_seconds(self) -> float:
        """The shortest of the limits, NO_LIMIT if there is none: no younger request is over its time."""
        given = [self.request_timeout, *(route.seconds for route in self.request_timeout_routes)]
        return min((seconds for seconds in given if seconds), default=NO_LIMIT)

    def seconds_for(self, method: str, route: str) -> float:
        """Return the limit of a request by its route, or by its path as long as the application has named none."""
        for limit in self.request_timeout_routes:
            if limit.method in ("", method) and limit.fits(route):
                return limit.seconds or NO_LIMIT
        return self.request_timeout or NO_LIMIT


NO_LIMITS: Final = TimeLimits()


@dataclass(slots=True, eq=False)
class Late:
    """A request that is over its time, or that the operator has ended, and what became of it."""

    name: str
    """WORKER-CONNECTION-REQUEST."""
    number: int
    """Of the request on its connection."""
    text: str
    """What its client is told."""
    since: float
    """When that was noticed, monotonic seconds."""
    over_seconds: float
    """By how much it was over its time then."""
    answered_status: int | None = None
    """504 if the server has answered in place of the task."""
    was_cut: bool = False
    """Whether the response had begun, and was cut off."""


def new_turn() -> list[None]:
    """Return what holds the turn of each request of a connection, one after the other."""
    return []


class Timing:
    """The time of the requests of one exchange, and what the first bytes of their responses pass.

    What it does is for the thread of the task; anybody may read it.
    """

    __slots__ = ("_exchange", "ended", "interruption", "late", "number", "override", "started", "turn")

    def __init__(self, exchange: Any) -> None:  # noqa: ANN401 - an Exchange, whose module needs this one
        self._exchange = exchange
        self.turn = new_turn()
        self.started = 0.0  # when a thread had the request, monotonic seconds
        self.ended = 0.0  # when a late one was over; only where requests are timed from the beginning
        self.number = 0  # of that request on its connection
        self.override: tuple[int, float] | None = None  # number and limit of a request that has set its own
        self.late: Late | None = None  # the last request that was
        self.interruption: Interruption | None = None  # where tasks may be interrupted

    def begin(self, now: float) -> None:
        """A thread has a request since `now`, whose first bytes have to pass here."""
        exchange = self._exchange
        self.started = now  # before the number: whoever reads that of this request reads its start, or a later one
        self.number = exchange.number
        exchange.out = self
        self.turn.append(None)

    def take(self) -> bool:
        """Begin to answer; False when the server has done so in place of the task."""
        exchange = self._exchange
        try:
            self.turn.pop()
        except IndexError:
            exchange.fault = exchange.fault or Fault.TIMEOUT
            return False
        exchange.out = exchange.wire
        return True

    def shielded(self, call: Callable[..., None], *values: object) -> None:
        """Call something of the server's own that must not be interrupted in the middle."""
        interruption = self.interruption
        if interruption is None:
            call(*values)
            return
        is_allowed = interruption.pause()
        try:
            call(*values)
        finally:
            if is_allowed:
                interruption.allow()

    def send(self, data: bytes | memoryview, /) -> int:
        """Send the first bytes of a response, as the wire does."""
        exchange = self._exchange
        try:
            self.turn.pop()  # `take` without its call, a twentieth of what a limit costs
        except IndexError:
            exchange.fault = exchange.fault or Fault.TIMEOUT
            raise BrokenPipeError from None
        exchange.out = wire = exchange.wire
        sent: int = wire.send(data)
        if sent == len(data) and exchange.encoder.sending is Sending.READY:
            # An interim response (103), and all of it is out: the answer itself may still be somebody else's.
            exchange.out = self
            self.turn.append(None)
        return sent

    def sendmsg(self, parts: Sequence[bytes | memoryview], /) -> int:
        """Send the first bytes of a response in several pieces, as the wire does."""
        if not self.take():
            raise BrokenPipeError
        sent: int = self._exchange.wire.sendmsg(parts)
        return sent

    @property
    def own_limit(self) -> float:
        """The limit that the present request has set itself; NO_LIMIT if it has set none, or wants none."""
        override = self.override
        return override[1] if override is not None and override[0] == self.number else NO_LIMIT

    def limit(self, limits: TimeLimits) -> float:
        """Return how long the present request may take, NO_LIMIT for one without a limit. Any thread."""
        exchange, override = self._exchange, self.override
        if override is not None and override[0] == self.number:
            return override[1]
        request, environ = exchange.request, exchange.environ
        if request is None:
            return NO_LIMIT
        route = environ.get(ROUTE) if environ is not None else None
        return limits.seconds_for(request.method, route if route and isinstance(route, str) else request.path)


def timed(handler: "RequestHandler", clock: Callable[[], float]) -> "RequestHandler":
    """Return a handler whose requests have a turn each."""

    def handle(request: "Request", body: BinaryIO | None, exchange: Any, /) -> None:  # noqa: ANN401 - see RequestHandler
        timing = exchange.timing or new_timing(exchange)
        timing.begin(clock())
        handler(request, body, exchange)
        if timing.late is not None:
            timing.ended = clock()

    return handle


def interruptible(handler: "RequestHandler") -> "RequestHandler":
    """Return a timed handler whose requests may be interrupted; RequestTimeout never leaves it."""

    def handle(request: "Request", body: BinaryIO | None, exchange: Any, /) -> None:  # noqa: ANN401 - see RequestHandler
        timing = exchange.timing or new_timing(exchange)
        timing.interruption = interruption = timing.interruption or Interruption()
        try:
            interruption.allow()
            handler(request, body, exchange)
            interruption.forbid()
        except RequestTimeout:  # once for a request at most: it cannot come again
            interruption.forbid()

    return handle


def new_timing(exchange: Any) -> Timing:  # noqa: ANN401 - as in Timing
    """Give an exchange its Timing."""
    exchange.timing = timing = Timing(exchange)
    return timing


def override(exchange: Any, seconds: float, now: float) -> None:  # noqa: ANN401 - as in Timing
    """Give the present request, which began at `now`, a limit of its own. The thread of its task. Raises ValueError."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a time limit is a number of seconds, 0 for none, and not {seconds}")
    timing = exchange.timing or new_timing(exchange)
    if timing.number != exchange.number:  # nothing limits requests but themselves: this one has had no turn so far
        timing.turn.clear()
        if exchange.encoder.sending is Sending.READY:
            timing.begin(now)
        else:  # it has begun to answer
            timing.started = now
            timing.number = exchange.number
    timing.override = timing.number, max(seconds, SHORTEST_SECONDS) if seconds else NO_LIMIT


# -- the end of the time: the holder of the role


def end_in_time(exchange: Any, late: Late) -> bool:  # noqa: ANN401 - as in Timing
    """Take a request that is over its time from its task, if it still runs, and say so to its client.

    Holder of the role. Return whether it is late, and write down in `late` what its client was told.
    """
    timing = exchange.timing or new_timing(exchange)
    with exchange.loop.lock:
        if exchange.state is not ExchangeState.RUNNING or exchange.number != late.number:
            return False
        if timing.late is not None and timing.late.number == late.number:
            return False
        has_client = exchange.fault is None
        is_mine = has_client and _take_turn(timing, late)
        if is_mine:
            exchange.fault = Fault.TIMEOUT
            exchange.move(ExchangeMove.DETACH)
            late.answered_status = TIMEOUT_STATUS
        elif has_client and not _may_cut(exchange, late):
            return False
        timing.late = late
    if is_mine:
        exchange.answer_instead(HttpError(TIMEOUT_STATUS, late.text))
    elif has_client and not _is_whole(exchange.encoder):
        late.was_cut = True
        exchange.revoke(Fault.TIMEOUT)
    return True


def _take_turn(timing: Timing, late: Late) -> bool:
    if timing.number != late.number:
        return False
    try:
        timing.turn.pop()
    except IndexError:
        return False
    return True


def _is_whole(encoder: Any) -> bool:  # noqa: ANN401 - of an Exchange
    """Whether all of a response was given out: its client misses nothing, however long the task takes to return."""
    return encoder.response_done or (encoder.sending is Sending.BODY and encoder.is_satisfied)


def _may_cut(exchange: Any, late: Late) -> bool:  # noqa: ANN401 - as in Timing
    """Whether a task that has taken its turn, or never had one, may be given up now."""
    # One whose first bytes are of an interim response (103) may be just about to answer, perhaps in whole.
    is_interim = exchange.encoder.sending is Sending.READY and exchange.timing.number == late.number
    if is_interim or _is_whole(exchange.encoder):
        return late.over_seconds >= PATIENCE_SECONDS
    return True
