"""A client that says the same again is understood faster, and never otherwise than the first time."""

import pytest

from tests.support.exchange import LIMITS, NEXT, chunked, cut, exchange, facts, head
from waitressd.http.errors import HttpError
from waitressd.http.events import NEED_DATA, PAUSED, Body, Request
from waitressd.http.head import parse_head
from waitressd.http.limits import Limits
from waitressd.http.reader import RequestReader
from waitressd.http.repeated import SameLines
from waitressd.http.states import ReadEvent, Reading

LINES = ("X-A: b", "Cookie: c", "Cookie: d", "Accept: */*")


def read_all(data: bytes, limits: Limits = LIMITS) -> list[Request]:
    """Return the requests that one connection reads from `data`."""
    seen = exchange([data], limits)
    assert seen.refusal is None
    return seen.requests


@pytest.mark.parametrize(
    "sent",
    [
        head(*LINES),
        head(*LINES, start="GET /other?q=1 HTTP/1.1"),
        head(*LINES, start="HEAD / HTTP/1.1"),
        head(*LINES, start="GET /%41 HTTP/1.1"),
        head(*LINES, start="GET http://c.test/ HTTP/1.1"),
        head(*LINES, start="OPTIONS * HTTP/1.1"),
        head(*LINES, start="M /x HTTP/1.1"),
        head(*LINES, start="GET / HTTP/1.0"),
        head(*LINES, start="GET / HTTP/1.2"),
        head(*LINES[:-1]),
        head(*LINES, "X-B: c"),
        head("X-0: 1", *LINES),
        head(*LINES, host="Host: b.test"),
        head(*LINES, "Connection: close"),
        head(*LINES, "Content-Length: 5") + b"hello",
        head(*LINES, "Content-Length: 0"),
        head(*LINES, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
        b"\r\n" + head(*LINES),
    ],
)
@pytest.mark.parametrize(
    "first",
    [
        head(*LINES),
        head(*LINES, start="GET http://b.test/ HTTP/1.1"),
        head(*LINES, start="HEAD / HTTP/1.1"),
        head(*LINES, "Content-Length: 5") + b"hello",
        head(*LINES, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head(*LINES, "X-Long: " + "x" * 3000),
    ],
)
def test_a_request_is_read_as_if_it_came_first(first: bytes, sent: bytes) -> None:
    alone = exchange([sent])
    for pieces in ([first + sent], cut(first + sent, 1), [first, sent], [first * 3 + sent]):
        after = exchange(pieces)
        assert facts(after.requests[-1]) == facts(alone.requests[-1])
        assert after.bodies[-1] == alone.bodies[-1]
        assert (after.refusal, after.closed) == (None, alone.closed)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(*LINES, start="GET /\tx HTTP/1.1"), 400),
        (head(*LINES, start="GET /\x01 HTTP/1.1"), 400),
        (head(*LINES, start="GET /\xe9 HTTP/1.1"), 400),
        (head(*LINES, start="GET / HTTP/1.1\r\nX : y"), 400),
        (head(*LINES, start="GET / HTTP/1.1\nX: y"), 400),
        (head(*LINES, start="GET / HTTP/1.1\r\nHost: a.test"), 400),
        (head(*LINES, start="GET / HTTP/1.1\r\nX_: y\r\nContent-Length: x"), 400),
        (head(*LINES, start="GET /#a HTTP/1.1"), 400),
        (head(*LINES, start="CONNECT /a HTTP/1.1"), 400),
        (head(*LINES, start="GET / HTTP/2.0"), 505),
        (head(*LINES, start=f"GET /{'a' * 8200} HTTP/1.1"), 414),
        (head(*LINES, start="GET / HTTP/1.1\r\n" + "X: y\r\n" * 124 + "X: y"), 431),
    ],
)
def test_the_same_field_lines_excuse_nothing(sent: bytes, status: int) -> None:
    for pieces in ([head(*LINES) + sent], cut(head(*LINES) + sent, 1)):
        seen = exchange(pieces)
        assert (len(seen.requests), seen.status) == (1, status)


def test_the_fields_are_shared_only_where_they_are_the_same() -> None:
    _, first, second, third, fourth = read_all(head(*LINES) * 3 + head("X-A: c") + head(*LINES))
    assert first.fields is second.fields
    assert first is not second
    assert third.fields == {"HTTP_HOST": "a.test", "HTTP_X_A": "c"}
    assert fourth.fields is not first.fields
    assert fourth.fields == first.fields


def test_what_is_left_to_parse_head() -> None:
    block = head(*LINES)[:-4]
    lines = block[block.find(b"\r\n") :]
    known = parse_head(block, LIMITS)
    same = SameLines(lines, known)
    repeated = same.parse(block + b"\r\n\r\n", 0, LIMITS)
    assert repeated is not None
    assert facts(repeated) == facts(known)
    escaped = b"GET /%41?50%off HTTP/1.1" + lines
    again = same.parse(escaped + b"\r\n\r\n", 0, LIMITS)
    assert again is not None
    assert facts(again) == facts(parse_head(escaped, LIMITS))
    for start in ("GET / HTTP/1.0", "M / HTTP/1.1", "GET", ""):
        assert same.parse(start.encode() + lines + b"\r\n\r\n", 0, LIMITS) is None
    assert same.parse(block + b"\r\nX: y\r\n\r\n", 0, LIMITS) is None
    assert same.parse(block + b"\r\n\r\n", 0, Limits(max_request_line_size=len("GET / HTTP/1.1"))) is not None
    assert same.parse(block + b"\r\n\r\n", 0, Limits(max_request_line_size=len("GET / HTTP/1.1") - 1)) is None


def test_a_resting_connection_forgets() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(NEXT)
    request = reader.next_event()
    requests = []
    for _ in range(2):
        reader.forget()
        requests.append(reader.request)
        reader.reading = Reading.IDLE
    assert requests == [request, None]  # at first its response is not done
    reader.feed(NEXT)
    again = reader.next_event()
    assert isinstance(again, Request)
    assert isinstance(request, Request)
    assert facts(again) == facts(request)
    assert again.fields is not request.fields


# -- a small body at once --


def test_a_body_that_is_here_in_whole() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(head("Content-Length: 5") + b"hello" + NEXT)
    assert isinstance(reader.next_event(), Request)
    assert reader.take_body() == b"hello"
    assert reader.reading is Reading.DONE
    assert reader.next_event() is PAUSED
    assert reader.take_body() is None
    reader._move(ReadEvent.NEXT)
    assert isinstance(reader.next_event(), Request)
    assert reader.take_body() is None


def test_a_body_that_is_not_here_in_whole() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(head("Content-Length: 5") + b"hell")
    reader.next_event()
    assert reader.take_body() is None
    assert reader.next_event() == Body(b"hell")
    reader.feed(b"o")
    assert reader.take_body() is None
    assert reader.next_event() == Body(b"o")


def test_a_body_whose_length_is_not_known() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(chunked(b"5\r\nhello\r\n0\r\n\r\n"))
    reader.next_event()
    assert reader.take_body() is None
    assert reader.next_event() == Body(b"hello")


def test_there_is_nothing_to_take_before_a_request_or_after_a_refusal() -> None:
    reader = RequestReader(LIMITS)
    assert reader.take_body() is None
    assert reader.next_event() is NEED_DATA
    reader.feed(b"\x00")
    with pytest.raises(HttpError):
        reader.next_event()
    assert reader.take_body() is None
