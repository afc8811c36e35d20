"""What a connection remembers of its client makes it faster and nothing else."""

import pytest

from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError, ResponseError
from waitressd.http.events import NEED_DATA, Body, Request
from waitressd.http.limits import Limits
from waitressd.http.repeated import KNOWN_BYTES, SameLines, SameRequest, SameStart
from waitressd.http.response import build_head
from waitressd.http.states import Persistence, Reading, Sending

HEAD = build_head("200 OK", [("Content-Type", "text/plain")])
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"

LINES = [
    b"\r\nHost: a.test",
    b"\r\nHost: a.test\r\nX-A: 1",
    b"\r\nX-A: 1\r\nHost: a.test",
    b"\r\nHost: a.test\r\nContent-Length: 3",
    b"\r\nHost: a.test\r\nConnection: keep-alive",
    b"\r\nHost: a.test\r\nTransfer-Encoding: chunked",
    b"\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3",
    b"\r\nHost: b.test",
    b"\r\nHost: a.test\r\nX-A: 1\r\nCookie: a",
    b"\r\nHost: a.test\r\nX-A: 1\r\nCookie:\tb \r\nCookie: c",
    b"\r\nHost: a.test\r\nX-A: 1\r\nX-A: 2",
    b"\r\nHost: a.test\r\nX-A: 1\r\nX_A: 2\r\nProxy: p",
    b"\r\nHost: a.test\r\nX-A: 1\r\nContent-Length: 3",
    b"\r\nHost: a.test\r\nX-A: 1\r\nTransfer-Encoding: chunked",
    b"\r\nHost: a.test\r\nX-A: 1\r\nConnection: close",
    b"\r\nHost: a.test\r\nX-A: 1\r\nCookie: \xe4",
]
STARTS = [
    b"GET / HTTP/1.1",
    b"POST /p?q=1 HTTP/1.1",
    b"HEAD /x HTTP/1.1",
    b"GET /%41 HTTP/1.1",
    b"GET /a%20b?%zz HTTP/1.1",
    b"GET http://c.test/y HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"PROPFIND / HTTP/1.1",
    b"GET / HTTP/1.1\r\nX-B: 2",
]
BROKEN = [
    b"GET /\x01 HTTP/1.1",
    b"GET / HTTP/1.1\r\n folded",
    b"GET /%zz HTTP/1.1",
    b"GET /%4?1 HTTP/1.1",
    b"GET /#a HTTP/1.1",
    b"GET  / HTTP/1.1",
]


def describe(request: Request) -> tuple[object, ...]:
    return (
        request.method,
        request.target,
        request.path,
        request.query,
        request.version,
        dict(request.fields),
        request.content_length,
        request.keep_alive,
        request.expects_continue,
        request.complete,
    )


def read_request(connection: Connection, data: bytes) -> tuple[object, ...]:
    """Feed one head, take its request, and answer it so that the connection goes on."""
    connection.reader.feed(data)
    request = connection.next_event()
    assert isinstance(request, Request)
    seen = describe(request)
    if not request.complete:
        connection.reader.feed(b"3\r\nabc\r\n0\r\n\r\n" if request.content_length is None else b"abc")
        while connection.next_event().__class__ is Body:
            pass
    connection.encoder.encode_response(HEAD, b"", DATE)
    if connection.encoder.persistence is Persistence.LAST:  # by the word of this client, not of the server
        connection.encoder.persistence = Persistence.KEPT
        connection.reader.reading, connection.encoder.sending = Reading.IDLE, Sending.WAIT
    return seen


def test_every_head_after_every_other_means_what_it_means_alone() -> None:
    heads = [start + lines + b"\r\n\r\n" for start in STARTS for lines in LINES]
    alone = {head: read_request(Connection(Limits(), ""), head) for head in heads}
    connection = Connection(Limits(), "")
    for first in heads:
        for second in heads:
            assert read_request(connection, first) == alone[first]
            assert read_request(connection, second) == alone[second]


def test_a_broken_request_line_is_refused_after_known_field_lines() -> None:
    for start in BROKEN:
        connection = Connection(Limits(), "")
        read_request(connection, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        connection.reader.feed(start + b"\r\nHost: a.test\r\n\r\n")
        with pytest.raises(HttpError) as caught:
            connection.next_event()
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Cookie: \x01", 400),
        (b"Cookie: a\nX-B: 1", 400),
        (b"Cookie : a", 400),
        (b" Cookie: a", 400),
        (b"Cookie", 400),
        (b"Host: a.test", 400),
        (b"Content-Length: x", 400),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: gzip", 400),
        (b"Expect: the unexpected", 417),
        (b"X-C: c\r\n" * 200 + b"X-C: c", 431),
        (b"Cookie: " + b"c" * Limits().max_request_header_size, 431),
    ],
)
def test_a_broken_field_line_is_refused_after_known_ones(rest: bytes, status: int) -> None:
    start = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nX-B: 2\r\n"
    connection = Connection(Limits(), "")
    for last in (b"Cookie: a", b"Cookie: b", b"Cookie: c"):
        read_request(connection, start + last + b"\r\n\r\n")
    assert isinstance(connection.reader._known, SameStart)
    connection.reader.feed(start + rest + b"\r\n\r\n")
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert caught.value.status == status


def test_what_is_looked_for_only_becomes_less() -> None:
    connection = Connection(Limits(), "")
    known: list[object] = []
    for fields in (b"X-A: 1\r\nX-B: 1\r\nX-C: 1", b"X-A: 1\r\nX-B: 1\r\nX-C: 2", b"X-A: 1\r\nX-B: 1",
                   b"X-A: 1\r\nX-B: 3", b"X-A: 2\r\nX-B: 3", b"X-A: 2\r\nX-B: 3"):  # fmt: skip
        read_request(connection, b"GET / HTTP/1.1\r\nHost: a.test\r\n" + fields + b"\r\n\r\n")
        kept = connection.reader._known
        known.append(kept and kept.lines)
    host = b"\r\nHost: a.test\r\nX-A: 1"
    assert known == [host + b"\r\nX-B: 1\r\nX-C: 1", host + b"\r\nX-B: 1", host, host, None, None]


def test_a_request_that_comes_again_octet_by_octet_is_not_parsed() -> None:
    get = b"GET /a?b HTTP/1.1\r\nHost: a.test\r\n\r\n"
    post = b"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"

    def read_all(pieces: list[bytes]) -> list[Request]:
        connection, requests = Connection(Limits(), ""), []
        for piece in pieces:
            connection.reader.feed(piece)
            while isinstance(event := connection.next_event(), Request):
                requests.append(event)
                connection.reader.take_body()
                connection.encoder.encode_response(HEAD, b"", DATE)
        return requests

    first, second, third, other, last = read_all([get, get[:20], get[20:], get, get.replace(b"?", b"/"), get])
    assert second is third
    assert second.known is first
    assert describe(first) == describe(second) == describe(last)
    assert (other.path, other.query) == ("/a/b", "")
    assert last is not second  # nothing is tried again for a client that has once said another
    first, second, third = read_all([post] * 3)  # what frames a body is read each time
    assert second is not third
    assert describe(first) == describe(second) == describe(third)
    first, second, third, fourth = read_all([get * 3, get])  # where more follows, it is not the whole of what is here
    assert third is not fourth
    assert describe(first) == describe(second) == describe(third) == describe(fourth)


def test_what_does_not_fit_is_not_looked_for_again() -> None:
    start = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n"
    connection = Connection(Limits(), "")
    for last in (b"Cookie: a", b"Cookie: b", b"Cookie: c\r\nCookie: d"):
        read_request(connection, start + last + b"\r\n\r\n")
    assert connection.reader._known is None


def test_a_long_request_line_is_refused_after_known_field_lines() -> None:
    lines = b" HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nCookie: "
    for kind, second in (
        (SameRequest, b"/" + lines + b"a"),
        (SameLines, b"/x" + lines + b"a"),
        (SameStart, b"/" + lines + b"b"),
    ):
        connection = Connection(Limits(max_request_line_size=100), "")
        read_request(connection, b"GET /" + lines + b"a\r\n\r\n")
        read_request(connection, b"GET " + second + b"\r\n\r\n")
        assert isinstance(connection.reader._known, kind)
        connection.reader.feed(b"GET /" + b"a" * 100 + lines + b"a\r\n\r\n")
        with pytest.raises(HttpError) as caught:
            connection.next_event()
        assert caught.value.status == 414


def test_a_long_head_is_refused_after_known_field_lines() -> None:
    lines = b" HTTP/1.1\r\nHost: a.test\r\n\r\n"
    connection = Connection(Limits(max_request_header_size=100), "")
    for target in (b"/", b"/x", b"/" + b"x" * 50):
        read_request(connection, b"GET " + target + lines)
    assert isinstance(connection.reader._known, SameLines)
    connection.reader.feed(b"GET /" + b"x" * 80 + lines)
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert caught.value.status == 431


def test_what_is_remembered_is_bounded_and_can_be_given_up() -> None:
    connection = Connection(Limits(), "")
    read_request(connection, b"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: " + b"c" * KNOWN_BYTES + b"\r\n\r\n")
    kept = [connection.reader._known]
    connection.forget()
    read_request(connection, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    kept.append(connection.reader._known)
    connection.forget()
    kept.append(connection.reader._known)
    assert [request is None for request in kept] == [True, False, True]
    assert connection.reader.request is None
    assert connection.next_event() is NEED_DATA


def test_a_body_that_is_here_is_taken_in_one_piece() -> None:
    connection = Connection(Limits(), "")
    head = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n"
    connection.reader.feed(head + b"abc" + head + b"de")
    assert isinstance(connection.next_event(), Request)
    assert connection.reader.take_body() == b"abc"
    connection.encoder.encode_response(HEAD, b"", DATE)
    assert isinstance(connection.next_event(), Request)
    assert connection.reader.take_body() is None
    body = connection.next_event()
    assert isinstance(body, Body)
    assert body.data == b"de"
    connection.reader.feed(b"f")
    assert connection.reader.take_body() is None


def test_a_head_that_the_application_says_again_is_the_same() -> None:
    encoder = Connection(Limits(), "").encoder
    fields = [("Content-Type", "text/plain"), ("Content-Length", "13"), ("Set-Cookie", "a=1")]
    first = encoder.build_head("200 OK", fields)
    assert encoder.build_head("200 OK", list(fields)) is first
    fields[2] = ("Set-Cookie", "a=2")  # an application may use its list again
    other = encoder.build_head("200 OK", fields)
    assert other.lines == build_head("200 OK", fields).lines != first.lines
    assert encoder.build_head("200 OK", fields) is not other  # nothing is tried again for who has once said another
    encoder.forget()
    again = encoder.build_head("200 OK", fields)
    assert encoder.build_head("200 OK", fields) is again
    assert encoder.build_head("201 Created", fields).code == 201


def test_what_only_looks_like_the_same_head_is_checked() -> None:
    fields = [("Content-Type", "text/plain")]
    for bad in ([["Content-Type", b"text/plain"]], [("Content-Type", b"text/plain")], [("Content-Type",)], None, 7):
        encoder = Connection(Limits(), "").encoder
        encoder.build_head("200 OK", fields)
        with pytest.raises(ResponseError):
            encoder.build_head("200 OK", bad)  # type: ignore[arg-type]  # what an application might pass
        encoder.build_head("200 OK", fields)
    encoder = Connection(Limits(), "").encoder
    for _ in range(2):
        assert encoder.build_head("200 OK", iter(fields)).lines == "Content-Type: text/plain\r\n"


def test_a_stop_is_said_although_the_answer_is_known() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    connection = Connection(Limits(), "")
    for _ in range(2):
        connection.reader.feed(request)
        connection.next_event()
        assert b"Connection: close" not in connection.encoder.encode_response(HEAD, b"", DATE)
    connection.reader.feed(request)
    connection.next_event()
    connection.encoder.forbid_keep_alive()
    assert b"Connection: close\r\n" in connection.encoder.encode_response(HEAD, b"", DATE)
    assert connection.encoder.persistence is Persistence.LAST


def test_the_lines_that_are_known_count_against_the_limit_of_fields() -> None:
    """Host, X-A and one more are allowed, however much of them has come before."""
    start = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nCookie: %d"
    connection = Connection(Limits(max_request_fields=3), "test")
    for number in range(3):
        read_request(connection, start % number + b"\r\n\r\n")
    assert isinstance(connection.reader._known, SameStart)
    connection.reader.feed(start % 3 + b"\r\nX-B: 1\r\n\r\n")
    with pytest.raises(HttpError, match="too many header fields") as refusal:
        connection.next_event()
    assert refusal.value.status == 431
