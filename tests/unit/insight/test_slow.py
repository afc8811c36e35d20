"""What is kept of a request that was slow or failed: text and numbers, and of each kind the last."""

import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.loop import GET, Loop, answer
from waitressd.dispatch.bounds import QUEUE_FULL, QUEUE_LATE
from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.insight.failures import describe_failure
from waitressd.insight.slow import SlowRequests
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import Ledger, Moments
from waitressd.net.stacks import walk

POST = b"POST /upload?key=secret HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A request that has just been answered, and is not forgotten yet."""
    with Loop() as loop, loop.connect() as client:
        with loop.busy():
            loop.request(client, POST)
            loop.role.queue.clear()
        exchange: Any = loop.exchanges[0]
        exchange.begin()
        exchange.environ = {"waitressd.route": "/upload", "waitressd.request_id": "abc", "REMOTE_ADDR": "10.0.4.17"}
        answer(exchange)
        yield exchange
        exchange.settle()


def moments(
    *, receive: float = 0.0, queue: float = 0.0, application: float = 0.0, flush: float = 0.0, **others: Any
) -> Moments:
    """Make the moments of a request of which each phase took so long."""
    complete = 100.0 + receive
    started = complete + queue
    returned = started + application
    values: dict[str, Any] = {"status": 200, "ended_by": "complete", **others}
    return Moments(100.0, complete, started, returned, returned + flush, **values)


def slow_requests(count: int = 3, *, shows_query: bool = False) -> SlowRequests:
    return SlowRequests(1.0, count, 2, shows_query=shows_query)


def test_a_slow_request_has_its_phases_and_what_is_known_of_it(exchange: Exchange) -> None:
    slow = slow_requests()
    slow.note(exchange, moments(receive=0.5, queue=0.25, application=2.0, flush=1.0))
    (kept,) = slow.slow()
    assert slow.failed() == []
    assert kept.id == f"2-{exchange.line.number}-{exchange.number}"
    assert (kept.method, kept.target, kept.route, kept.request_id) == ("POST", "/upload", "/upload", "abc")
    assert (kept.status, kept.ended_by, kept.client, kept.received_bytes) == (200, "complete", "10.0.4.17", 3)
    phases = (kept.receive_seconds, kept.queue_seconds, kept.application_seconds, kept.flush_seconds)
    assert (phases, kept.total_seconds) == ((0.5, 0.25, 2.0, 1.0), 3.75)
    assert (kept.exception, kept.place, kept.stack) == (None, None, None)


def test_the_query_is_shown_where_the_operator_wants_it(exchange: Exchange) -> None:
    slow = slow_requests(shows_query=True)
    slow.note(exchange, moments(queue=5.0))
    assert slow.slow()[0].target == "/upload?key=secret"


def test_the_stack_of_the_moment_it_became_slow(exchange: Exchange) -> None:
    slow = slow_requests()
    stack = walk(None)
    slow.take_stack = lambda _: stack
    slow.note(exchange, moments(application=2.0))
    stack = walk(sys._getframe())
    slow.note(exchange, moments(application=2.0))
    with_stack, without = slow.slow()
    assert without.stack is None
    assert with_stack.stack is not None
    assert str(with_stack.stack[-1]) == with_stack.place
    assert with_stack.stack[-1].own


WHY_SLOW = [
    ({"receive": 2.0, "application": 1.0}, "The request came slowly."),
    ({"queue": 2.0, "application": 1.0}, "It waited for a thread."),
    ({"application": 2.0, "flush": 1.0}, "The application took its time."),
    ({"flush": 2.0, "application": 1.0}, "The client took the answer slowly."),
]


@pytest.mark.parametrize(("phases", "detail"), WHY_SLOW)
def test_a_slow_request_says_where_its_time_went(exchange: Exchange, phases: dict[str, float], detail: str) -> None:
    slow = slow_requests()
    slow.note(exchange, moments(**phases))
    assert slow.slow()[0].detail == detail


WHY_FAILED = [
    ({"status": 500}, KeyError("sku"), "The application raised an exception."),
    ({"status": 502}, None, "The application answered with an error."),
    ({"ended_by": "client"}, ClientDisconnected("it has left"), "The client left."),
    ({"ended_by": "deadline"}, None, "The client took the answer too slowly, or not at all."),
    ({"ended_by": "error"}, None, "The application left its answer incomplete."),
    ({"ended_by": "stop"}, None, "The server stopped and did not wait for it."),
    ({"ended_by": "timeout", "status": 504}, None, "It was past its time limit."),
    ({"ended_by": "deadline", "status": 503}, HttpError(503, QUEUE_LATE), QUEUE_LATE),
]


@pytest.mark.parametrize(("ending", "failure", "detail"), WHY_FAILED)
def test_a_failed_request_says_why(
    exchange: Exchange, ending: dict[str, Any], failure: BaseException | None, detail: str
) -> None:
    slow = slow_requests()
    exchange.failure = failure
    slow.note(exchange, moments(application=5.0, **ending))
    assert slow.slow() == []  # it is in one list
    (kept,) = slow.failed()
    assert kept.detail == detail


def test_what_a_client_sends_wrongly_is_not_kept(exchange: Exchange) -> None:
    slow = slow_requests()
    exchange.failure = HttpError(400, "It is wrong.")
    slow.note(exchange, moments(ended_by="refused", status=400))
    slow.note(exchange, Moments(100.0, 0.0, 0.0, 0.0, 100.5, 0, "client"))  # it left in the middle of its request
    assert (slow.slow(), slow.failed()) == ([], [])


def test_the_last_ones_of_each_kind_are_kept(exchange: Exchange) -> None:
    slow = slow_requests(2)
    for seconds in (1.0, 2.0, 3.0):
        slow.note(exchange, moments(application=seconds))
        slow.note(exchange, moments(application=seconds, status=500))
    assert [kept.total_seconds for kept in slow.slow()] == [3.0, 2.0]
    assert [kept.total_seconds for kept in slow.failed()] == [3.0, 2.0]


def test_it_may_be_told_to_keep_none(exchange: Exchange) -> None:
    slow = slow_requests(0)
    slow.note(exchange, moments(application=5.0))
    assert slow.slow() == []


def test_refusals_are_counted_by_their_reason(exchange: Exchange) -> None:
    slow = slow_requests()
    for reason in (QUEUE_FULL, QUEUE_FULL, QUEUE_LATE, "The server cannot store the request body at the moment."):
        exchange.failure = HttpError(503, reason)
        slow.note(exchange, moments(status=503, ended_by="refused"))
    assert (slow.refused_full, slow.refused_late) == (2, 1)


class Odd(str):
    """Text of an application that is more than text."""


class OddError(Exception):
    """An exception of an application."""


def test_nothing_of_the_application_is_kept_alive(exchange: Exchange) -> None:
    slow = slow_requests()
    odd, error = Odd("/odd"), OddError("sku")
    references: list[Any] = [weakref.ref(odd), weakref.ref(error)]
    assert exchange.environ is not None
    exchange.environ["waitressd.route"] = exchange.environ["waitressd.request_id"] = odd
    exchange.fail(error)
    slow.note(exchange, moments(status=500))
    exchange.environ = exchange.failure = None
    del odd, error
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    (kept,) = slow.failed()
    assert (type(kept.route), kept.route, kept.request_id) == (str, "/odd", "/odd")


def test_an_exception_is_put_into_words_when_it_is_raised_and_somebody_listens(exchange: Exchange) -> None:
    slow = slow_requests()
    exchange.fail(KeyError("before anybody listens"))
    slow.note(exchange, moments(status=500))
    exchange.loop.ledger = ledger = Ledger()
    ledger.describe = describe_failure
    exchange.fail(KeyError("sku"))
    slow.note(exchange, moments(status=500))
    assert [kept.exception for kept in slow.failed()] == ["KeyError: 'sku'", None]
    exchange.loop.ledger = None


def test_a_get_without_a_task_is_described_too() -> None:
    with Loop() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        exchange: Any = loop.exchanges[0]
        slow = slow_requests()
        exchange.failure = HttpError(503, QUEUE_LATE)
        slow.note(exchange, Moments(100.0, 100.0, 0.0, 0.0, 130.0, 503, "deadline"))
        exchange.failure = None
        (kept,) = slow.failed()
        assert (kept.route, kept.client, kept.application_seconds, kept.queue_seconds) == (
            None,
            "127.0.0.1",
            None,
            30.0,
        )
        loop.role.queue.clear()
