"""The request side as a whole: pieces, pipelines, ends, early refusals, and what it costs."""

from typing import Any

import pytest

from tests.support.exchange import LIMITS, NEXT, accepted, chunked, cut, exchange, head, refused
from waitressd.http.errors import HttpError
from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, PAUSED, Body, Request
from waitressd.http.limits import Limits
from waitressd.http.reader import RequestReader
from waitressd.http.states import ReadEvent, Reading


def reader(*pieces: bytes, limits: Limits = LIMITS) -> RequestReader:
    fed = RequestReader(limits)
    for piece in pieces:
        fed.feed(piece)
    return fed


def test_nothing_comes_of_nothing() -> None:
    empty = reader()
    assert empty.next_event() is NEED_DATA
    empty.feed(b"")
    assert empty.next_event() is NEED_DATA
    assert not empty.buffer
    assert not empty.request_started
    assert empty.request is None


def test_a_request_without_a_body_is_followed_by_a_pause() -> None:
    fed = reader(NEXT)
    request = fed.next_event()
    assert isinstance(request, Request)
    assert fed.request is request
    assert fed.reading is Reading.DONE
    fed.feed(NEXT)
    assert fed.next_event() is PAUSED
    assert fed.buffered_bytes == len(NEXT)
    assert not fed.request_started


def test_a_body_of_a_length() -> None:
    fed = reader(head("Content-Length: 10") + b"hel")
    request = fed.next_event()
    assert isinstance(request, Request)
    assert (request.content_length, request.complete) == (10, False)
    assert fed.next_event() == Body(b"hel")
    assert fed.next_event() is NEED_DATA
    data = b"lowor"
    fed.feed(data)
    event = fed.next_event()
    assert isinstance(event, Body)
    assert event.data is data
    fed.feed(b"ldGET")
    assert fed.next_event() == Body(b"ld")
    assert fed.next_event() is END_OF_BODY
    assert fed.next_event() is PAUSED
    assert fed.buffered_bytes == 3


def test_there_is_no_remaining_length_of_a_chunked_body() -> None:
    fed = reader(chunked(b"5\r\nhel"))
    fed.next_event()
    assert fed.next_event() == Body(b"hel")
    assert fed.next_event() is NEED_DATA


def test_blank_lines_before_a_request() -> None:
    for count in range(5):
        request, _ = accepted(b"\r\n" * count + head())
        assert request.path == "/"
    assert refused(b"\r\n" * 5) == 400
    assert refused(b"\r\n" * 5 + head()) == 400
    fed = reader(b"\r\n\r\n")
    assert fed.next_event() is NEED_DATA
    assert not fed.request_started
    fed.feed(b"\r")
    assert fed.next_event() is NEED_DATA
    fed.feed(b"\nGET")
    assert fed.next_event() is NEED_DATA
    assert fed.request_started


def test_blank_lines_are_counted_for_each_request() -> None:
    seen = exchange([b"\r\n" * 4 + NEXT + b"\r\n" * 4 + NEXT])
    assert len(seen.requests) == 2
    assert refused(b"\r\n" * 4 + b"\r\r\n") == 400


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"\x16", 400),
        (b"\x80\x2e", 400),  # the oldest TLS
        (b"\n", 400),
        (b"\r\r", 400),
        (b"\rG", 400),
        (b" ", 400),
        (b"\x00", 400),
        (b"{", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /\x00", 400),
        (b"GET /\r/", 400),
        (b"GET / HTTP/1.1\r\nX: a\x01", 400),
        (b"GET / HTTP/1.1\r\nX: a\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\r\r", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"hello there\r\n", 400),
        (b"SSH-2.0-OpenSSH_9.6\r\n", 400),
        (b"PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + b"X" * 65536, 431),
    ],
)
def test_what_cannot_become_a_request_is_refused_at_once(start: bytes, status: int) -> None:
    """Not at the deadline, and not at the blank line: these clients wait for us."""
    assert exchange([start]).status == status
    assert exchange(cut(start, 1)).status == status


def test_the_http_2_preface() -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00"
    assert exchange([preface]).status == 505
    assert exchange(cut(preface, 1)).status == 505


def test_a_head_that_only_its_end_could_refuse_is_waited_for() -> None:
    for start in (
        b"GET",
        b"GET /",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r",
        b"GET / HTTP/1.1\r\nX",
        b"GET / HTTP/1.1\r\n\r",
    ):
        assert reader(start).next_event() is NEED_DATA


def test_a_large_head_is_refused_for_its_request_line_if_that_is_too_long() -> None:
    assert exchange([b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"]).status == 414
    assert exchange([head("X: " + "v" * 70_000)]).status == 431
    assert exchange([head("X: " + "v" * 70_000)[:-4]]).status == 431


def test_nothing_is_read_after_a_refusal() -> None:
    fed = reader(head("X : y") + NEXT)
    with pytest.raises(HttpError):
        fed.next_event()
    assert fed.reading is Reading.ERROR
    assert not fed.buffer
    for _ in range(3):
        fed.feed(NEXT)
        assert not fed.buffer
        assert fed.next_event() is CLOSED
    fed.feed_eof()
    assert fed.next_event() is CLOSED


# -- the end of what the client sends --


def test_an_end_between_requests() -> None:
    for pieces in ([], [NEXT], [NEXT * 3], [b"\r\n"]):
        seen = exchange(pieces, eof=True)
        assert (seen.refusal, seen.closed) == (None, True)


@pytest.mark.parametrize("stop", [1, 3, 20, len(NEXT) - 1])
def test_an_end_in_a_head_is_no_request_and_no_error(stop: int) -> None:
    seen = exchange([NEXT + NEXT[:stop]], eof=True)
    assert (len(seen.requests), seen.refusal, seen.closed) == (1, None, True)


def test_an_end_in_a_head_that_was_fed_after_the_last_event() -> None:
    for stop in range(len(NEXT)):
        fed = reader(NEXT[:stop])
        fed.feed_eof()
        assert fed.next_event() is CLOSED
        assert fed.reading is Reading.CLOSED
        assert not fed.buffer
    fed = reader(NEXT)
    fed.feed_eof()
    assert isinstance(fed.next_event(), Request)
    assert fed.next_event() is PAUSED


@pytest.mark.parametrize(
    "data",
    [
        head("Content-Length: 5"),
        head("Content-Length: 5") + b"hell",
        chunked(b""),
        chunked(b"5"),
        chunked(b"5\r\nhel"),
        chunked(b"5\r\nhello"),
        chunked(b"5\r\nhello\r\n"),
        chunked(b"5\r\nhello\r\n0\r\n"),
        chunked(b"5\r\nhello\r\n0\r\n\r"),
        chunked(b"0\r\nX-T: v"),
    ],
)
def test_an_end_in_a_body_is_never_the_end_of_the_body(data: bytes) -> None:
    seen = exchange([data], eof=True)
    assert (seen.status, seen.complete) == (400, [False])


def test_a_reader_works_without_a_response_side() -> None:
    fed = reader(b"\x00")
    with pytest.raises(HttpError):
        fed.next_event()
    fed = reader(NEXT)
    fed.next_event()
    fed._move(ReadEvent.NEXT)
    fed.feed_eof()
    assert fed.next_event() is CLOSED


# -- cost --


class Counted(bytearray):
    """A buffer that counts how many octets are searched or copied out of it."""

    touched = 0

    def find(self, mark: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(mark, start, end)
        Counted.touched += (len(self) if found < 0 else found) - start
        return found

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        Counted.touched += len(found) if isinstance(found, bytearray) else 1
        return found


def counting(data: bytes) -> RequestReader:
    fed = RequestReader(Limits(max_request_header_size=1 << 20, max_request_line_size=1 << 20))
    fed.buffer = Counted(data)
    Counted.touched = 0
    return fed


@pytest.mark.parametrize("size", [1_000, 4_000, 16_000])
@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: "], ids=["line", "field"])
def test_each_octet_of_a_trickled_head_is_looked_at_a_few_times(start: bytes, size: int) -> None:
    fed = counting(b"G")
    for octet in start[1:] + b"a" * size:
        fed.feed(bytes([octet]))
        assert fed.next_event() is NEED_DATA
    # A constant for each feed (the start of the line again, the last octets again), and each octet itself.
    assert Counted.touched <= 80 * (len(start) + size)


def test_a_long_pipeline_is_cut_in_linear_time() -> None:
    touched = {}
    for count in (100, 200, 400):
        fed = counting(NEXT * count)
        seen = 0
        while fed.buffer:
            assert isinstance(fed.next_event(), Request)
            fed._move(ReadEvent.NEXT)
            seen += 1
        assert seen == count
        touched[count] = Counted.touched
    # Apart from what is learned of the first two.
    assert touched[400] - touched[200] == 2 * (touched[200] - touched[100])


def test_what_was_used_is_cut_from_a_buffer_that_never_runs_empty() -> None:
    fed = reader()
    held = 0
    for _ in range(4_000):
        fed.feed(NEXT + NEXT[:20])
        assert isinstance(fed.next_event(), Request)
        fed._move(ReadEvent.NEXT)
        assert fed.next_event() is NEED_DATA
        fed.feed(NEXT[20:])
        assert isinstance(fed.next_event(), Request)
        fed._move(ReadEvent.NEXT)
    fed.feed(NEXT[:1])
    for _ in range(4_000):
        fed.feed(NEXT[1:] + NEXT[:1])
        assert isinstance(fed.next_event(), Request)
        fed._move(ReadEvent.NEXT)
        held = max(held, len(fed.buffer))
    assert held < 3 * 65536


def test_ten_thousand_fields_are_refused_by_their_count_or_size() -> None:
    assert exchange([head(*["X: y"] * 10_000)]).status == 431
    seen = exchange(cut(head(*["X-Long-Name: y"] * 10_000), 1000))
    assert seen.status == 431
    assert seen.most_buffered <= 65536 + 1000


def test_many_lines_of_one_field_are_joined_once() -> None:
    limits = Limits(max_request_header_size=1 << 22, max_request_fields=100_000)
    request, _ = accepted(head(*["X: yyyyyyyyyy"] * 2_000), limits)
    assert len(request.fields["HTTP_X"]) == 2_000 * 12 - 2
