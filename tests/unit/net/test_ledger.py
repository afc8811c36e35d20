"""What is counted of which request, by whom, and how long each phase of it took."""

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any, BinaryIO

import pytest

from tests.support.ledgers import counts, ended
from tests.support.loop import DATE, GET, Loop, answer
from waitressd.dispatch.bounds import Bounds
from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.net import ledger as numbers
from waitressd.net.exchange import Exchange
from waitressd.net.ledger import BOUNDS, FAST_SECONDS, Ledger, Moments, endings
from waitressd.net.progress import Deadlines
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState

POST = b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
BIG = 20_000_000


def counting(handler: Any = None, *, limit: int = 300, **options: Any) -> tuple[Loop, Ledger]:
    """Make a loop that counts; its handler has an environ, as that of an application."""
    loop = Loop(handler or served(), **options)
    loop.dispatcher.ledger = ledger = Ledger(limit)
    return loop, ledger


def served(status: str = "200 OK", route: Any = None, act: Callable[[Exchange], object] = bool) -> Any:
    """Make a handler that answers with a status."""

    def handle(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.environ = {"wsgi.url_scheme": "http"} | ({"waitressd.route": route} if route is not None else {})
        act(exchange)
        exchange.write(exchange.encoder.encode_response(build_head(status, []), b"hello", DATE))

    return handle


def test_the_bounds_have_every_bound_of_the_conventions() -> None:
    """OpenTelemetry's advice for `http.server.request.duration`, and what the phases have besides."""
    advised = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert {*advised, 0.001, 0.0025, 30, 60} <= set(BOUNDS)
    assert sorted(BOUNDS) == list(BOUNDS)
    assert len(BOUNDS) == 51
    assert all(above / below <= 4 / 3 + 1e-9 for below, above in pairwise(BOUNDS))


def test_nothing_is_counted_where_nobody_asks() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client)
        assert loop.dispatcher.ledger is None


def test_fast_requests_are_a_number_and_a_sum() -> None:
    loop, ledger = counting()
    with loop, loop.connect() as client:
        for _ in range(3):
            loop.request(client)
        assert counts(ledger) == {("", "GET", 200, "http"): 3}
        row = ledger.row(("", "GET", 200, "http"))
        assert row[numbers.FAST] == 3
        assert sum(row[numbers.QUEUE :]) == 0
        assert ended([ledger]) == {("2xx", "complete"): 3}


def test_a_slow_request_is_in_the_histogram_of_each_phase() -> None:
    loop, ledger = counting(served(act=lambda exchange: pass_time(loop, 0.3)))
    with loop, loop.connect() as client:
        loop.request(client)
        row = ledger.row(("", "GET", 200, "http"))
        assert row[numbers.FAST] == 0
        assert endings(row)["complete"] == 1
        assert row[numbers.APPLICATION_SUM] == pytest.approx(0.3)
        assert row[numbers.TOTAL_SUM] == pytest.approx(0.3)
        assert row[numbers.TOTAL + BOUNDS.index(0.3)] + row[numbers.TOTAL + BOUNDS.index(0.4)] == 1
        assert row[numbers.QUEUE] == 1  # no time at all
        assert sum(row[numbers.QUEUE :]) == 3
        of_class = ledger.of_class(2)
        assert (of_class[numbers.RECEIVE], of_class[numbers.FLUSH], sum(of_class)) == (1, 1, 2)


def pass_time(loop: Loop, seconds: float) -> None:
    loop.time += seconds


def test_a_request_that_comes_in_pieces_was_received_for_a_while() -> None:
    loop, ledger = counting()
    with loop, loop.connect() as client:
        loop.request(client, GET[:10])
        assert loop.exchanges[0].began_at == loop.time
        pass_time(loop, 2.0)
        loop.request(client, GET[10:])
        row = ledger.row(("", "GET", 200, "http"))
        assert row[numbers.RECEIVE_SUM] == pytest.approx(2.0)
        assert loop.exchanges[0].began_at == 0.0
        loop.request(client)
        assert ledger.row(("", "GET", 200, "http"))[numbers.FAST] == 1


def test_a_request_that_waits_for_a_thread() -> None:
    loop, ledger = counting()
    with loop, loop.connect() as client:
        with loop.busy():
            loop.request(client)
            exchange = loop.exchanges[0]
            assert exchange.state is ExchangeState.QUEUED
        pass_time(loop, 0.5)
        assert loop.dispatcher.withdraw(exchange)
        exchange.begin()
        loop.dispatcher.run_aside(loop.worker, exchange)
        row = ledger.row(("", "GET", 200, "http"))
        assert row[numbers.QUEUE_SUM] == pytest.approx(0.5)
        assert ledger.aside.rows
        assert not ledger.inline.rows


def test_whoever_settles_writes_into_a_table_of_its_own() -> None:
    loop, ledger = counting()
    with loop, loop.connect() as client:
        loop.request(client)
        exchange = loop.exchanges[0]
        with loop.busy():
            loop.request(client)
        assert loop.dispatcher.withdraw(exchange)
        exchange.begin()
        loop.dispatcher.run_aside(loop.worker, exchange)
        assert [sum(map(sum, table.rows.values())) >= 1 for table in (ledger.inline, ledger.aside)] == [True, True]
        assert counts(ledger) == {("", "GET", 200, "http"): 2}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("/users/{id}", "/users/{id}"),
        ("r" * 200, "r" * 200),
        ("r" * 201, ""),
        ("", ""),
        (None, ""),
        (7, ""),
        (["/unhashable"], ""),
        ("\udce4", "\\udce4"),
    ],
)
def test_a_route_is_a_text_of_the_application(route: Any, expected: str) -> None:
    loop, ledger = counting(served(route=route))
    with loop, loop.connect() as client:
        loop.request(client)
        loop.request(client)
        assert counts(ledger) == {(expected, "GET", 200, "http"): 2}


def test_the_scheme_is_what_the_environ_says_if_it_is_one() -> None:
    schemes = iter(["https", "gopher", ["a"], "http"])

    def act(exchange: Exchange) -> None:
        assert exchange.environ is not None
        exchange.environ["wsgi.url_scheme"] = next(schemes)

    loop, ledger = counting(served(act=act))
    with loop, loop.connect() as client:
        for _ in range(3):
            loop.request(client)
        assert counts(ledger) == {("", "GET", 200, "https"): 1, ("", "GET", 200, "http"): 2}


def test_nothing_that_clients_send_makes_a_row() -> None:
    loop, ledger = counting(limit=10)
    with loop, loop.connect() as client:
        for number in range(50):
            loop.request(client, f"M{number} /{number} HTTP/1.1\r\nHost: h{number}\r\n\r\n".encode())
        assert counts(ledger) == {("", "_OTHER", 200, "http"): 50}


def test_too_many_routes_become_one() -> None:
    names = iter(range(1000))

    def act(exchange: Exchange) -> None:
        assert exchange.environ is not None
        exchange.environ["waitressd.route"] = f"/{next(names)}"

    loop, ledger = counting(served(act=act), limit=10)
    with loop, loop.connect() as client:
        for _ in range(30):
            loop.request(client)
        found = counts(ledger)
        assert found.pop(("other", "GET", 200, "http")) == 20
        assert set(found.values()) == {1}
        assert len(found) == 10
        assert ledger.folded == 20


def test_routes_that_are_too_many_are_still_bounded_with_every_status() -> None:
    statuses = iter([f"{status} X" for status in range(200, 600)] * 2)

    def handle(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.environ = {"wsgi.url_scheme": "http", "waitressd.route": "/"}
        exchange.write(exchange.encoder.encode_response(build_head(next(statuses), []), b"", DATE))

    loop, ledger = counting(handle, limit=10)
    with loop, loop.connect() as client:
        for _ in range(800):
            loop.request(client)
        found = counts(ledger)
        assert sum(found.values()) == 800
        assert len(found) <= 10 + numbers.OTHER_ROWS + 6
        assert ended([ledger]) == {(f"{digit}xx", "complete"): 200 for digit in (2, 3, 4, 5)}


def test_requests_that_the_server_refuses() -> None:
    loop, ledger = counting(deadlines=Deadlines(request_header_timeout=5))
    with loop, loop.connect() as bad, loop.connect() as late, loop.connect() as silent:
        loop.request(bad, b"GET / HTTP/9.9\r\n\r\n")
        loop.request(late, POST[:30])
        loop.request(silent, b"")
        loop.pass_time(8)
        assert late.receive().status == 408
        status = bad.receive().status
        assert counts(ledger) == {("", "_OTHER", status, "http"): 1, ("", "_OTHER", 408, "http"): 1}
        assert ended([ledger]) == {(f"{status // 100}xx", "refused"): 1, ("4xx", "deadline"): 1}


def test_requests_that_found_no_thread() -> None:
    loop, ledger = counting(bounds=Bounds(queue_limit=1), deadlines=Deadlines(queue_timeout=5))
    with loop, loop.busy(), loop.connect() as first, loop.connect() as second:
        loop.request(first)
        loop.request(second)
        loop.pass_time(8)
        assert {first.receive().status, second.receive().status} == {503}
        assert ended([ledger]) == {("5xx", "refused"): 1, ("5xx", "deadline"): 1}
        row = ledger.row(("", "GET", 503, "http"))
        assert row[numbers.QUEUE_SUM] >= 5


def test_a_client_that_leaves_before_a_thread_has_its_request() -> None:
    """Once, if the head was whole; before that there was only a connection."""
    loop, ledger = counting()
    with loop, loop.busy(), loop.connect() as queued, loop.connect() as body, loop.connect() as head:
        loop.request(queued)
        loop.request(body, POST)
        loop.request(head, GET[:9])
        for client in (queued, body, head):
            client.reset()
        loop.settle()
        assert loop.channels == []
        assert ended([ledger]) == {("none", "client"): 2}
        assert counts(ledger) == {("", "GET", 0, "http"): 1, ("", "POST", 0, "http"): 1}


def test_a_client_that_leaves_while_its_answer_waits() -> None:
    loop, ledger = counting(lambda _request, _body, exchange: answer(exchange, b"x" * BIG))
    with loop, loop.connect(receive_buffer_bytes=8192) as client:
        loop.request(client)
        assert loop.exchanges[0].started_at
        assert loop.exchanges[0].returned_at
        client.reset()
        loop.settle()
        assert ended([ledger]) == {("2xx", "client"): 1}


def test_a_client_that_takes_its_answer_slowly() -> None:
    loop, ledger = counting(lambda _request, _body, exchange: answer(exchange, b"x" * BIG))
    with loop, loop.connect(receive_buffer_bytes=8192) as client:
        loop.request(client)
        pass_time(loop, 0.7)
        reading = threading.Thread(target=client.receive)
        reading.start()
        while not ledger.all_keys():
            loop.turn()
        reading.join()
        assert ended([ledger]) == {("2xx", "complete"): 1}
        (key,) = ledger.all_keys()
        assert ledger.row(key)[numbers.FLUSH_SUM] >= 0.7


def test_what_the_application_does_wrong_is_an_error() -> None:
    def fail(exchange: Exchange) -> None:
        exchange.failure = RuntimeError()

    loop, ledger = counting(served("500 Internal Server Error", act=fail))
    with loop, loop.connect() as client:
        loop.request(client)
        assert loop.exchanges[0].failure is None
        loop._handler = lambda _request, _body, exchange: exchange.write(b"half")
        loop.request(client)
        loop.settle()
        assert ended([ledger]) == {("5xx", "error"): 1, ("none", "error"): 1}


def test_what_the_application_was_never_asked_is_refused() -> None:
    def refuse(_request: Request, _body: BinaryIO | None, exchange: Exchange) -> None:
        exchange.failure = error = HttpError(400, "No.")
        exchange.write(exchange.encoder.encode_error(error, DATE))

    loop, ledger = counting(refuse)
    with loop, loop.connect() as client:
        loop.request(client)
        loop.settle()
        assert ended([ledger]) == {("4xx", "refused"): 1}


def test_a_stop_that_does_not_wait() -> None:
    loop, ledger = counting()
    with loop, loop.connect() as client:
        with loop.busy():
            loop.request(client)
        exchange = loop.exchanges[0]
        assert loop.dispatcher.withdraw(exchange)
        exchange.begin()
        exchange.revoke(Fault.STOP)
        assert ended([ledger]) == {("none", "stop"): 1}
        with pytest.raises(ClientDisconnected):
            exchange.write(b"too late")
        loop.dispatcher._settle_aside(exchange, loop.time, 0.0)
        loop.settle()
        assert sum(counts(ledger).values()) == 1


def test_bytes_are_those_of_open_connections_and_of_closed_ones() -> None:
    loop, ledger = counting(lambda _request, body, exchange: answer(exchange, body.read() if body else b""))
    with loop, loop.connect() as client, loop.connect() as other:
        data = POST + b"12345"
        loop.request(client, data[:7])
        loop.request(client, data[7:])
        loop.request(other)
        channel = loop.channels[0]
        got = client.sock.recv(10_000)
        assert (channel.received_bytes, channel.sent_bytes) == (len(data), len(got))
        client.close()
        loop.settle()
        assert (ledger.received_bytes, ledger.sent_bytes) == (len(data), len(got))
        assert ledger.accepted == 2


def test_a_connection_has_a_number_that_no_other_has() -> None:
    loop, _ = counting()
    with loop:
        seen = []
        for _ in range(3):
            with loop.connect():
                seen.append(loop.channels[0].number)
                assert loop.channels[0].opened_at <= loop.time
            loop.settle()
        assert sorted(set(seen)) == seen
        assert len(seen) == 3


def unusual_of(loop: Loop, ledger: Ledger) -> list[tuple[str, int, str]]:
    seen: list[tuple[str, int, str]] = []

    def note(exchange: Exchange, moments: Moments) -> None:
        assert exchange.request is not None
        seen.append((exchange.request.path, moments.status, moments.ended_by))

    ledger.on_unusual = note
    return seen


def test_unusual_requests_are_told_once() -> None:
    loop, ledger = counting(served(act=lambda _exchange: pass_time(loop, 1.5)))
    with loop, loop.connect() as client, loop.connect() as other:
        seen = unusual_of(loop, ledger)
        loop.request(client)
        loop._handler = served("503 Busy")
        loop.request(client)
        loop._handler = served()
        loop.request(client)
        with loop.busy():
            loop.request(other)
            other.reset()
            loop.settle()
        assert seen == [("/", 200, "complete"), ("/", 503, "complete"), ("/", 0, "client")]


def test_an_unusual_request_without_the_role_is_settled_by_the_holder() -> None:
    loop, ledger = counting(served("500 Oh"))
    with loop, loop.connect() as client:
        seen = unusual_of(loop, ledger)
        with loop.busy():
            loop.request(client)
        exchange = loop.exchanges[0]
        assert loop.dispatcher.withdraw(exchange)
        exchange.begin()
        loop.dispatcher.run_aside(loop.worker, exchange)
        assert seen == []
        loop.settle()
        assert seen == [("/", 500, "complete")]
        assert ended([ledger]) == {("5xx", "complete"): 1}


def test_what_fails_to_note_a_request_harms_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_exchange: Exchange, _moments: Moments) -> None:
        raise RuntimeError("full")

    loop, ledger = counting(served("500 Oh"))
    with loop, loop.connect() as client:
        ledger.on_unusual = fail
        loop.request(client)
        assert client.receive().status == 500
        assert loop.phases == ["idle"]
    assert "noting a request" in caplog.text


def test_phases_that_a_request_never_reached_are_not_known() -> None:
    moments = Moments(5.0, 0.0, 0.0, 0.0, 7.0, 408, "deadline")
    assert moments.total_seconds == 2.0
    assert (moments.receive_seconds, moments.queue_seconds) == (None, None)
    assert (moments.application_seconds, moments.flush_seconds) == (None, None)
    moments = Moments(5.0, 6.0, 6.5, 7.0, 7.0 + FAST_SECONDS, 200, "complete")
    assert (moments.receive_seconds, moments.queue_seconds, moments.application_seconds) == (1.0, 0.5, 0.5)
    assert moments.flush_seconds == pytest.approx(FAST_SECONDS)


def test_the_exchange_has_the_environ_while_its_task_has_it() -> None:
    seen: list[Any] = []
    loop, _ = counting(served(act=lambda exchange: seen.append(exchange.environ)))
    with loop, loop.connect() as client:
        loop.request(client)
        assert seen[0]["wsgi.url_scheme"] == "http"
        assert loop.exchanges[0].environ is None
