"""Of a task and the server exactly one answers, and what has begun is cut visibly: in every order, in one thread.

The test is the task and the holder of the role in turns: the application of these tests ends its own request.
"""

import re
from collections.abc import Callable

import pytest

from tests.support.loop import DATE, GET, Loop, answer
from waitressd.http.errors import ClientDisconnected, Overdue
from waitressd.http.response import build_head
from waitressd.net.exchange import Exchange
from waitressd.net.recorder import Fault
from waitressd.net.states import ExchangeState
from waitressd.net.timelimit import (
    NO_LIMIT,
    PATIENCE_SECONDS,
    SHORTEST_SECONDS,
    Late,
    RouteLimit,
    TimeLimits,
    end_in_time,
    timed,
)

Step = Callable[[Exchange], object]


def late(exchange: Exchange, over_seconds: float = 0.0) -> Late:
    return Late("1-2-3", exchange.number, "Too late.", 0.0, over_seconds)


class Story:
    """A server whose application does what a test says, with a turn for each request unless it is told otherwise."""

    def __init__(self, *steps: Step, has_turn: bool = True) -> None:
        self.steps = list(steps)
        self.results: list[object] = []
        self.exchanges: list[Exchange] = []
        self.loop = Loop()
        if has_turn:
            handler = timed(self._handle, lambda: self.loop.time)
            self.loop._handler = lambda request, body, exchange: handler(request, body, exchange)
        else:
            self.loop._handler = self._handle

    def _handle(self, _request: object, _body: object, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        for step in self.steps:
            try:
                self.results.append(step(exchange))
            except ClientDisconnected as error:
                self.results.append(error)


def end(exchange: Exchange) -> bool:
    """The time of the request is over."""
    return end_in_time(exchange, late(exchange))


def begin_stream(exchange: Exchange) -> None:
    """Send a head, and a part of the body."""
    encoder = exchange.encoder
    exchange.write_parts([encoder.encode_head(build_head("200 OK", []), DATE), *encoder.encode_data(b"part")])


def begin_with_length(exchange: Exchange) -> None:
    """Send a head that promises four bytes, and these."""
    encoder = exchange.encoder
    head = build_head("200 OK", [("Content-Length", "4")])
    exchange.write_parts([encoder.encode_head(head, DATE), *encoder.encode_data(b"part")])


def end_stream(exchange: Exchange) -> None:
    """Send the end of a body."""
    data = exchange.encoder.encode_end()
    if data:
        exchange.write(data)


def test_the_server_answers_in_place_of_a_task_that_has_not_begun() -> None:
    story = Story(end, answer)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        response = client.receive()
        assert (response.status, response.closes) == (504, True)
        assert b"Too late." in response.body
        client.expect_closed()
        assert story.results[0] is True
        assert isinstance(story.results[1], Overdue)
        exchange = story.exchanges[0]
        assert exchange.timing is not None
        assert exchange.timing.late is not None
        assert (exchange.timing.late.answered_status, exchange.timing.late.was_cut) == (504, False)


def test_the_task_finds_out_in_every_way_that_it_is_late() -> None:
    def write_parts(exchange: Exchange) -> None:
        exchange.write_parts([b"a", b"b"])

    story = Story(end, Exchange.is_gone, lambda exchange: exchange.write(b"x"), write_parts, end)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive().status == 504
        client.expect_closed()
    assert story.results[:2] == [True, True]
    assert all(isinstance(result, Overdue) for result in story.results[2:4])
    assert story.results[4] is False


def test_a_task_that_has_answered_is_not_late_any_more() -> None:
    story = Story(answer, end)
    with story.loop as loop, loop.connect() as client:
        for _ in range(3):
            loop.request(client)
            assert client.receive().body == b"hello"
    assert story.results == [None, False] * 3


def test_what_was_encoded_and_has_not_left_is_dropped() -> None:
    """The task is between the two when its time is over; what it does to the protocol must not matter."""
    kept: list[bytes] = []

    def encode(exchange: Exchange) -> None:
        kept.append(exchange.encoder.encode_response(build_head("200 OK", []), b"hello", DATE))

    story = Story(encode, end, lambda exchange: exchange.write(kept[0]))
    with story.loop as loop, loop.connect() as client:
        loop.request(client, GET + GET)  # the second one must not begin
        assert client.receive().status == 504
        client.expect_closed()
    assert len(story.exchanges) == 1


def test_a_response_that_has_begun_is_cut() -> None:
    story = Story(begin_stream, end, end_stream)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive_head().status == 200
        assert client.receive_rest() == b"4\r\npart\r\n"
        assert isinstance(story.results[2], Overdue)
        late_one = story.exchanges[0].timing
        assert late_one is not None
        assert late_one.late is not None
        assert late_one.late.was_cut


def test_a_cut_shows_where_the_end_of_the_connection_is_that_of_the_body() -> None:
    story = Story(begin_stream, end)
    with story.loop as loop, loop.connect() as client:
        loop.request(client, b"GET / HTTP/1.0\r\n\r\n")
        assert client.receive_head().status == 200
        with pytest.raises(ConnectionResetError):
            client.receive_rest()


@pytest.mark.parametrize("over_seconds", [0.0, PATIENCE_SECONDS])
def test_what_has_left_in_whole_is_let_alone(over_seconds: float) -> None:
    """Whoever has all of a response misses nothing, even if its task goes on for ever."""
    story = Story(begin_with_length, lambda exchange: end_in_time(exchange, late(exchange, over_seconds)), end_stream)
    with story.loop as loop, loop.connect() as client:
        for _ in range(2):
            loop.request(client)
            assert client.receive().body == b"part"
    assert story.results == [None, over_seconds > 0, None] * 2


def test_early_hints_may_be_followed_by_a_504() -> None:
    def hint(exchange: Exchange) -> None:
        exchange.write(exchange.encoder.encode_early_hints([("Link", "</a.css>")]))

    story = Story(hint, end, answer)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive_head().status == 103
        assert client.receive().status == 504
        client.expect_closed()


def test_early_hints_may_be_followed_by_the_answer() -> None:
    def hint(exchange: Exchange) -> None:
        exchange.write(exchange.encoder.encode_early_hints([("Link", "</a.css>")]))

    story = Story(hint, hint, answer, end)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert [client.receive_head().status for _ in range(2)] == [103, 103]
        assert client.receive().status == 200
    assert story.results[3] is False


def test_hints_that_have_not_left_in_whole_are_followed_by_a_cut() -> None:
    """What is left of them cannot be told from what the task may say next."""

    def hint(exchange: Exchange) -> None:
        exchange._new_outbuf()._keep(memoryview(b"HTTP/1.1 100 Continue\r\n\r\n"))
        exchange.write(exchange.encoder.encode_early_hints([("Link", "</a.css>")]))

    story = Story(hint, end, lambda exchange: end_in_time(exchange, late(exchange, PATIENCE_SECONDS)), answer)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.receive()
    assert story.results[1:3] == [False, True]
    assert isinstance(story.results[3], Overdue)


def test_what_waits_of_a_100_goes_first() -> None:
    def keep(exchange: Exchange) -> None:
        exchange._new_outbuf()._keep(memoryview(b"HTTP/1.1 100 Continue\r\n\r\n"))

    for steps, status in (((keep, end, answer), 504), ((keep, answer, end), 200)):
        with Story(*steps).loop as loop, loop.connect() as client:
            loop.request(client)
            assert client.receive_head().status == 100
            assert client.receive().status == status


@pytest.mark.parametrize("request_line", [b"HEAD / HTTP/1.1\r\nHost: x", b"GET / HTTP/1.0"])
def test_it_is_the_answer_to_that_request(request_line: bytes) -> None:
    with Story(end).loop as loop, loop.connect() as client:
        loop.request(client, request_line + b"\r\n\r\n")
        method = request_line.split()[0].decode()
        response = client.receive(method)
        assert response.status == 504
        assert bool(response.body) is (method == "GET")
        client.expect_closed()


def test_who_has_left_is_told_nothing() -> None:
    story = Story(lambda exchange: exchange.break_off(Fault.CLIENT), end)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        with pytest.raises(ConnectionResetError):
            client.receive_rest()
        timing = story.exchanges[0].timing
    assert story.results[1] is True
    assert timing is not None
    assert timing.late is not None
    assert (timing.late.answered_status, timing.late.was_cut) == (None, False)


def test_a_task_that_returns_late_takes_nothing_from_anybody() -> None:
    """Its connection has gone on without it: what it lets go of is its own."""
    story = Story(end)
    with story.loop as loop, loop.connect() as client:
        loop.request(client, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        assert client.receive().status == 504
        exchange = story.exchanges[0]
        assert exchange.state is ExchangeState.DONE
        assert exchange.body is None
        with loop.connect() as other:
            loop.request(other, GET)
            assert other.receive().status == 504


def test_a_request_without_a_turn_can_only_be_cut() -> None:
    """Nothing says whether its task is just about to answer."""
    story = Story(end, answer, has_turn=False)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        client.expect_closed()
    assert isinstance(story.results[1], Overdue)


def test_another_request_of_the_connection_is_meant() -> None:
    story = Story(lambda exchange: end_in_time(exchange, Late("", exchange.number + 1, "", 0.0, 9.0)), answer)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive().status == 200
    assert story.results[0] is False


# -- limits

LIMITS = TimeLimits(
    request_timeout=30.0,
    request_timeout_routes=(
        RouteLimit("POST", re.compile("/upload").fullmatch, 0.0),
        RouteLimit("", re.compile("/reports/.*").fullmatch, 60.0),
        RouteLimit("", re.compile("/reports/fast").fullmatch, 1.0),
    ),
)


@pytest.mark.parametrize(
    ("method", "route", "seconds"),
    [
        ("GET", "/", 30.0),
        ("POST", "/upload", NO_LIMIT),
        ("GET", "/upload", 30.0),
        ("GET", "/reports/fast", 60.0),
        ("GET", "/a/reports/fast", 30.0),
    ],
)
def test_the_first_line_that_fits_says_how_long(method: str, route: str, seconds: float) -> None:
    assert LIMITS.seconds_for(method, route) == seconds


def test_the_shortest_of_the_limits_is_known() -> None:
    assert LIMITS.least_seconds == 1.0
    assert TimeLimits().least_seconds == NO_LIMIT


def test_a_route_that_was_named_is_compared_in_place_of_the_path() -> None:
    found: list[float] = []

    def look(exchange: Exchange) -> None:
        timing = exchange.timing
        assert timing is not None
        for environ in (None, {}, {"waitressd.route": ""}, {"waitressd.route": 5}, {"waitressd.route": "/reports/x"}):
            exchange.environ = environ
            found.append(timing.limit(LIMITS))

    with Story(look, answer).loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive().status == 200
    assert found == [30.0, 30.0, 30.0, 30.0, 60.0]


def test_a_request_may_set_its_own_limit() -> None:
    found: list[float] = []

    def limit(exchange: Exchange) -> None:
        for seconds in (5.0, 0.001, 0):
            exchange.set_request_timeout(seconds)
            assert exchange.timing is not None
            found.append(exchange.timing.limit(LIMITS))

    for has_turn in (True, False):
        with Story(limit, end, answer, has_turn=has_turn).loop as loop, loop.connect() as client:
            loop.request(client)
            assert client.receive().status == 504
    assert found == [5.0, SHORTEST_SECONDS, NO_LIMIT] * 2


def test_a_limit_of_its_own_ends_with_the_request() -> None:
    numbers = iter((1, 2))

    def limit_first(exchange: Exchange) -> object:
        if next(numbers) == 1:
            exchange.set_request_timeout(5)
        timing = exchange.timing
        assert timing is not None
        return timing.own_limit if timing.number == exchange.number else None

    for has_turn in (True, False):
        numbers = iter((1, 2))
        story = Story(limit_first, answer, has_turn=has_turn)
        with story.loop as loop, loop.connect() as client:
            for _ in range(2):
                loop.request(client)
                assert client.receive().status == 200
        assert story.results[0] == 5.0
        assert story.results[2] == (NO_LIMIT if has_turn else None)


def test_a_limit_may_be_set_when_the_answer_has_begun() -> None:
    story = Story(begin_stream, lambda exchange: exchange.set_request_timeout(5), end, has_turn=False)
    with story.loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive_head().status == 200
        assert client.receive_rest() == b"4\r\npart\r\n"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_what_is_no_limit_is_refused(seconds: float) -> None:
    def limit(exchange: Exchange) -> None:
        with pytest.raises(ValueError, match="a time limit is a number of seconds"):
            exchange.set_request_timeout(seconds)
        answer(exchange)

    with Story(limit).loop as loop, loop.connect() as client:
        loop.request(client)
        assert client.receive().status == 200
