"""The last slow requests and the last failed ones, with what is known of them when they have ended.

Knows exchanges; keeps none of them, nor anything else of a request but text and numbers.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from waitressd.dispatch.bounds import QUEUE_FULL, QUEUE_LATE
from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.insight.documents import text, without_user_info
from waitressd.insight.inspector import client_of
from waitressd.insight.threads import exchange_id
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import Moments, route_of
from waitressd.net.recorder import received_bytes
from waitressd.net.stacks import NOWHERE, Frame, Stack

TakeStack = Callable[[Exchange], Stack]

SLOWLY: Final = {
    "receive": "The request came slowly.",
    "queue": "It waited for a thread.",
    "application": "The application took its time.",
    "flush": "The client took the answer slowly.",
}
"""What is said of a request that was slow, by the phase that took longest."""
ENDINGS: Final = {
    "client": "The client left.",
    "deadline": "The client took the answer too slowly, or not at all.",
    "error": "The application left its answer incomplete.",
    "stop": "The server stopped and did not wait for it.",
    "timeout": "It was past its time limit.",
}
"""What is said of a request that did not end complete, by what ended it."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A request that was slow, or failed. Times in seconds; None is unknown, or a phase that it did not reach."""

    at: float
    """When it ended, since the epoch."""
    id: str
    """WORKER-CONNECTION-REQUEST."""
    request_id: str | None
    method: str | None
    target: str | None
    route: str | None
    status: int | None
    ended_by: str
    client: str
    receive_seconds: float | None
    queue_seconds: float | None
    application_seconds: float | None
    flush_seconds: float | None
    total_seconds: float
    received_bytes: int
    """Of the request's body."""
    sent_bytes: int
    """Of the body of the answer."""
    detail: str
    """Why it was slow or failed, in one sentence."""
    exception: str | None
    """What the application raised, with the place."""
    place: str | None
    """Where its thread was soon after it became slow."""
    stack: tuple[Frame, ...] | None
    """The same in full, the innermost call last."""


class SlowRequests:
    """The last of each kind. `note` is for the holder of the dispatcher role, everything else for any thread."""

    def __init__(self, threshold_seconds: float, count: int, worker: int, *, shows_query: bool) -> None:
        """Keep `count` of each kind; `worker` is what the ids of this process begin with."""
        self.threshold_seconds = threshold_seconds
        self.take_stack: TakeStack = _no_stack
        """Gives the stack of a request that became slow; set by who looks at threads."""
        self.refused_full = 0
        """Requests for which the queue was full."""
        self.refused_late = 0
        """Requests that were in the queue for too long."""
        self._worker = worker
        self._shows_query = shows_query
        self._slow: deque[Unusual] = deque(maxlen=count)
        self._failed: deque[Unusual] = deque(maxlen=count)

    def slow(self) -> list[Unusual]:
        """Return those that were slow and did not fail, the last first."""
        return list(self._slow.copy())[::-1]

    def failed(self) -> list[Unusual]:
        """Return those that failed, the last first."""
        return list(self._failed.copy())[::-1]

    def note(self, exchange: Exchange, moments: Moments) -> None:
        """Keep what is known of a request that has ended. The exchange still has it."""
        stack = self.take_stack(exchange)
        self._count_refusal(exchange.failure)
        if _has_failed(moments):
            self._failed.append(self._describe(exchange, moments, stack))
        elif moments.total_seconds >= self.threshold_seconds:
            self._slow.append(self._describe(exchange, moments, stack))

    def _count_refusal(self, failure: BaseException | None) -> None:
        if isinstance(failure, HttpError):
            self.refused_full += failure.detail == QUEUE_FULL
            self.refused_late += failure.detail == QUEUE_LATE

    def _describe(self, exchange: Exchange, moments: Moments, stack: Stack) -> Unusual:
        request, environ, outbuf = exchange.request, exchange.environ, exchange.outbuf
        unsent_bytes = outbuf.unsent_bytes if outbuf is not None else 0
        return Unusual(
            at=time.time(),
            id=exchange_id(self._worker, exchange, exchange.number),
            request_id=text(environ.get("waitressd.request_id")) if environ is not None else None,
            method=text(request.method) if request is not None else None,
            target=self._shown(request.target) if request is not None else None,
            route=route_of(environ) or None if environ is not None else None,
            status=moments.status or None,
            ended_by=moments.ended_by,
            client=client_of(exchange),
            receive_seconds=moments.receive_seconds,
            queue_seconds=moments.queue_seconds,
            application_seconds=moments.application_seconds,
            flush_seconds=moments.flush_seconds,
            total_seconds=moments.total_seconds,
            received_bytes=received_bytes(request, exchange.upload) if request is not None else 0,
            sent_bytes=max(0, exchange.encoder.body_bytes - unsent_bytes) if moments.status else 0,
            detail=_explain(exchange.failure, moments),
            exception=exchange.failure_text or None,
            place=stack.place or None,
            stack=tuple(stack.frames) or None,
        )

    def _shown(self, target: str) -> str | None:
        return text(without_user_info(target if self._shows_query else target.partition("?")[0]))


def _no_stack(_exchange: Exchange) -> Stack:
    return NOWHERE


def _has_failed(moments: Moments) -> bool:
    """Whether it is the server's or the application's to explain. What a client sends wrongly is not."""
    is_cut = moments.ended_by not in {"complete", "refused"} and moments.complete_at > 0
    return moments.status >= 500 or is_cut


def _explain(failure: BaseException | None, moments: Moments) -> str:
    if isinstance(failure, HttpError):
        return failure.detail
    if failure is not None and not isinstance(failure, ClientDisconnected):
        return "The application raised an exception."
    if moments.ended_by in ENDINGS:
        return ENDINGS[moments.ended_by]
    if moments.status >= 500:
        return "The application answered with an error."
    phases: dict[str, Any] = {phase: getattr(moments, f"{phase}_seconds") or 0.0 for phase in SLOWLY}
    return SLOWLY[max(phases, key=phases.__getitem__)]
