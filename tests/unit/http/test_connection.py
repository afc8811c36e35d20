"""The response side, and how the two sides meet: framing, what closes, and what may never be sent."""

import pytest

from tests.support.exchange import DATE, LIMITS, NEXT, answer, asked, head, parts, text
from waitressd.http import response as response_module
from waitressd.http.connection import Connection
from waitressd.http.errors import ProtocolMisuse
from waitressd.http.events import CLOSED, NEED_DATA, Request
from waitressd.http.response import build_head
from waitressd.http.states import Reading, Sending

OK = "HTTP/1.1 200 OK\r\n"


# -- whole responses --


def test_a_whole_response() -> None:
    connection = asked(ident="waitressd")
    encoded = connection.encode_response(answer(("Content-Type", "text/plain")), b"hello", DATE)
    assert encoded == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: waitressd\r\n\r\nhello"
    )
    assert (connection.reading, connection.sending) == (Reading.IDLE, Sending.WAIT)
    assert not connection.will_close
    assert connection.response_started
    assert connection.response_done
    assert connection.next_event() is NEED_DATA


def test_a_date_and_a_server_of_the_application() -> None:
    encoded = asked(ident="waitressd").encode_response(answer(("date", "a"), ("SERVER", "b")), b"", DATE)
    assert encoded == b"HTTP/1.1 200 OK\r\ndate: a\r\nSERVER: b\r\nContent-Length: 0\r\n\r\n"


def test_an_ident_that_would_break_the_head() -> None:
    with pytest.raises(ValueError, match="ident"):
        Connection(LIMITS, "a\r\nb")


@pytest.mark.parametrize(
    ("sent", "fields", "connection", "closes"),
    [
        (head(), [], "", False),
        (head("Connection: keep-alive"), [], "", False),
        (head("Connection: close"), [], "Connection: close\r\n", True),
        (head(), [("Connection", "close")], "Connection: close\r\n", True),
        (head(), [("Connection", "keep-alive")], "", False),
        (head(start="GET / HTTP/1.0"), [], "Connection: close\r\n", True),
        (head("Connection: keep-alive", start="GET / HTTP/1.0"), [], "Connection: keep-alive\r\n", False),
        (
            head("Connection: keep-alive", start="GET / HTTP/1.0"),
            [("Connection", "close")],
            "Connection: close\r\n",
            True,
        ),
    ],
)
def test_what_is_said_about_the_connection(
    sent: bytes,
    fields: list[tuple[str, str]],
    connection: str,
    closes: bool,  # noqa: FBT001  # a column of the table
) -> None:
    for way in ("whole", "parts"):
        asking = asked(sent + NEXT)
        if way == "whole":
            encoded = text(asking, b"hello", answer(*fields))
        else:
            encoded = asking.encode_head(answer(*fields), DATE, 5).decode().replace(f"Date: {DATE}\r\n", "")
            encoded += b"".join([*asking.encode_data(b"hello"), asking.encode_end()]).decode()
        assert encoded == f"{OK}Content-Length: 5\r\n{connection}\r\nhello"
        assert asking.will_close is closes
        assert asking.response_done
        if closes:
            assert (asking.reading, asking.sending) == (Reading.CLOSED, Sending.CLOSED)
            assert asking.next_event() is CLOSED
            assert not asking.has_buffered
        else:
            assert isinstance(asking.next_event(), Request)


def test_no_keep_alive_while_the_server_stops() -> None:
    connection = asked(NEXT + NEXT)
    connection.forbid_keep_alive()
    assert "Connection: close" in text(connection)
    assert connection.will_close
    assert connection.next_event() is CLOSED


def test_no_keep_alive_is_from_the_next_head_on() -> None:
    connection = asked(NEXT + NEXT)
    connection.encode_head(answer(), DATE)
    connection.forbid_keep_alive()
    connection.encode_data(b"a")
    connection.encode_end()
    assert isinstance(connection.next_event(), Request)
    assert "Connection: close" in text(connection)


# -- framing --


def test_chunked_when_no_length_is_known() -> None:
    connection = asked(NEXT + NEXT)
    assert parts(connection, answer(), b"hello", b"", b"x" * 17) == (
        f"{OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n11\r\n{'x' * 17}\r\n0\r\n\r\n"
    )
    assert isinstance(connection.next_event(), Request)


def test_a_large_chunk_is_not_copied() -> None:
    connection = asked()
    connection.encode_head(answer(), DATE)
    assert connection.is_chunked
    data = b"x" * 20_000
    pieces = connection.encode_data(data)
    assert pieces[1] is data
    assert b"".join(pieces) == b"4e20\r\n" + data + b"\r\n"


def test_until_the_end_of_the_connection_for_an_old_client() -> None:
    for lines in ([], ["Connection: keep-alive"]):
        connection = asked(head(*lines, start="GET / HTTP/1.0") + NEXT)
        assert parts(connection, answer(), b"hello", b"", b"x") == f"{OK}Connection: close\r\n\r\nhellox"
        assert connection.next_event() is CLOSED
        assert connection.response_done


def test_the_length_that_the_server_knows() -> None:
    connection = asked()
    assert parts(connection, answer(), b"hel", b"lo", length=5) == f"{OK}Content-Length: 5\r\n\r\nhello"
    assert not connection.is_chunked


def test_a_body_beyond_its_length_is_cut() -> None:
    for body in ((b"hello world",), (b"hel", b"lo world"), (b"hello", b" world"), (b"hello ", b"world")):
        connection = asked(NEXT + NEXT)
        assert parts(connection, answer(("Content-Length", "5")), *body) == f"{OK}Content-Length: 5\r\n\r\nhello"
        assert connection.excess_bytes == 6
        assert connection.missing_bytes == 0
        assert isinstance(connection.next_event(), Request)
        assert text(connection, b"") == f"{OK}Content-Length: 0\r\n\r\n"
        assert connection.excess_bytes == 0
    connection = asked()
    assert text(connection, b"hello world", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n\r\nhello"
    assert connection.excess_bytes == 6


def test_a_body_that_is_too_short_breaks_the_connection() -> None:
    connection = asked(NEXT + NEXT)
    connection.encode_head(answer(("Content-Length", "100")), DATE)
    connection.encode_data(b"only ten..")
    assert connection.missing_bytes == 90
    assert connection.encode_end() == b""
    assert connection.truncated
    assert connection.will_close
    assert not connection.response_done
    assert connection.missing_bytes == 90
    assert connection.next_event() is CLOSED
    connection = asked()
    assert text(connection, b"hel", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n\r\nhel"
    assert connection.truncated
    assert not connection.response_done


def test_a_declared_length_that_is_right() -> None:
    connection = asked()
    assert text(connection, b"hello", answer(("content-length", "5"))) == f"{OK}content-length: 5\r\n\r\nhello"
    assert (connection.truncated, connection.excess_bytes) == (False, 0)


def test_a_file_is_accounted_like_data() -> None:
    connection = asked()
    connection.encode_head(answer(("Content-Length", "10")), DATE)
    assert connection.body_allowed
    assert connection.account_file(4) == 4
    assert connection.missing_bytes == 6
    assert connection.account_file(100) == 6
    assert connection.excess_bytes == 94
    connection.encode_end()
    connection = asked(head(start="GET / HTTP/1.0"))
    connection.encode_head(answer(), DATE)
    assert connection.account_file(100) == 100
    connection = asked(head(start="HEAD / HTTP/1.1"))
    connection.encode_head(answer(("Content-Length", "10")), DATE)
    assert not connection.body_allowed
    assert connection.account_file(10) == 0
    connection = asked()
    connection.encode_head(answer(), DATE)
    with pytest.raises(ProtocolMisuse):
        connection.account_file(1)


# -- responses without content --


@pytest.mark.parametrize(
    ("status", "fields", "framing"),
    [
        ("204 No Content", [], ""),
        ("204 No Content", [("Content-Length", "5")], ""),
        ("304 Not Modified", [], ""),
        ("304 Not Modified", [("Content-Length", "5")], "Content-Length: 5\r\n"),
        ("205 Reset Content", [], "Content-Length: 0\r\n"),
        ("205 Reset Content", [("Content-Length", "5")], "Content-Length: 0\r\n"),
    ],
)
@pytest.mark.parametrize("start", ["GET / HTTP/1.1", "HEAD / HTTP/1.1"])
def test_a_status_without_content(status: str, fields: list[tuple[str, str]], framing: str, start: str) -> None:
    expected = f"HTTP/1.1 {status}\r\n{framing}\r\n"
    response = build_head(status, fields)
    for body in (b"", b"forbidden"):
        connection = asked(head(start=start) + NEXT)
        assert text(connection, body, response) == expected
        assert isinstance(connection.next_event(), Request)
        for length in (None, len(body)):
            connection = asked(head(start=start) + NEXT)
            assert parts(connection, response, body, body, length=length) == expected
            assert (connection.truncated, connection.excess_bytes) == (False, 0)
            assert isinstance(connection.next_event(), Request)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_head_is_answered_like_get_without_the_content(version: str) -> None:
    keep = "Connection: keep-alive\r\n" if version == "1.0" else ""
    sent = head("Connection: keep-alive", start=f"HEAD / HTTP/{version}") + NEXT
    # A length that the application declares, or that is known because the body is there.
    assert text(asked(sent), b"hello", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n{keep}\r\n"
    assert text(asked(sent), b"", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n{keep}\r\n"
    assert text(asked(sent), b"hello") == f"{OK}Content-Length: 5\r\n{keep}\r\n"
    # An empty body may stand for one that the application did not bother to make: nothing is claimed.
    assert text(asked(sent)) == f"{OK}{keep}\r\n"
    connection = asked(sent)
    assert parts(connection, answer(), b"hello", b"world") == f"{OK}{keep}\r\n"
    assert not connection.truncated
    assert isinstance(connection.next_event(), Request)


# -- the same answer again --


def test_the_same_answer_is_encoded_the_same_again() -> None:
    for fields in (
        [],
        [("X-A", "b")],
        [("Content-Length", "5"), ("X-A", "b")],
        [("Set-Cookie", "a=b")],
        [("Date", "x")],
    ):
        connection = asked(NEXT * 4, ident="kit")
        first = connection.encode_response(answer(*fields), b"hello", DATE)
        connection.next_event()
        assert connection.encode_response(answer(*fields), b"hello", DATE) == first
        connection.next_event()
        other = connection.encode_response(answer(*fields), b"world", DATE)
        assert other == first[:-5] + b"world"
        connection.next_event()
        later = connection.encode_response(answer(*fields), b"hello", "Mon, 07 Nov 1994 08:49:37 GMT")
        assert later == first.replace(b"Sun, 06", b"Mon, 07")


def test_the_same_head_is_another_answer_for_another_request() -> None:
    """Each of these differs from the usual answer in what the connection adds, whatever was sent before."""
    asks: dict[str, bytes] = {
        "usual": NEXT,
        "close": head("Connection: close"),
        "old": head(start="GET / HTTP/1.0"),
        "old-keep": head("Connection: keep-alive", start="GET / HTTP/1.0"),
        "head": head(start="HEAD / HTTP/1.1"),
        "early": head("Content-Length: 5"),
    }

    def encode(name: str, ident: str) -> bytes:
        connection = asked(asks.get(name, NEXT), ident)
        if name == "drain":
            connection.forbid_keep_alive()
        return connection.encode_response(answer(("X-Same", "yes")), b"hello", DATE)

    names = [*asks, "drain"]
    fresh = {}
    for name in names:
        for ident in ("", "kit"):
            response_module._HEADS.clear()
            fresh[name, ident] = encode(name, ident)
    assert len(set(fresh.values())) == 2 * 4  # usual; close, old, early and drain; old-keep; head
    for before in names:
        for name in names:
            for ident in ("", "kit"):
                response_module._HEADS.clear()
                encode(before, "kit")
                encode(before, "kit")
                assert encode(name, ident) == fresh[name, ident], (before, name)


def test_another_length_for_the_same_head() -> None:
    connection = asked(NEXT * 3)
    for body in (b"hello", b"", b"hello again"):
        assert text(connection, body) == f"{OK}Content-Length: {len(body)}\r\n\r\n{body.decode()}"
        connection.next_event()
