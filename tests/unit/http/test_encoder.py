"""The response side, and how the two sides meet: framing, what closes, and what may never be sent."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.exchange import DATE, LIMITS, NEXT, answer, asked, head, parts, text
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError, ProtocolMisuse
from waitressd.http.events import CLOSED, NEED_DATA, Request
from waitressd.http.response import ResponseHead, build_head
from waitressd.http.states import Persistence, Reading, Sending

OK = "HTTP/1.1 200 OK\r\n"


# -- whole responses --


def test_a_whole_response() -> None:
    connection = asked(ident="waitressd")
    encoded = connection.encoder.encode_response(answer(("Content-Type", "text/plain")), b"hello", DATE)
    assert encoded == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: waitressd\r\n\r\nhello"
    )
    assert (connection.reader.reading, connection.encoder.sending) == (Reading.IDLE, Sending.WAIT)
    assert connection.encoder.persistence is not Persistence.LAST
    assert connection.encoder.response_head is not None
    assert connection.encoder.response_done
    assert connection.next_event() is NEED_DATA


def test_a_date_and_a_server_of_the_application() -> None:
    encoded = asked(ident="waitressd").encoder.encode_response(answer(("date", "a"), ("SERVER", "b")), b"", DATE)
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
            encoded = asking.encoder.encode_head(answer(*fields), DATE, 5).decode().replace(f"Date: {DATE}\r\n", "")
            encoded += b"".join([*asking.encoder.encode_data(b"hello"), asking.encoder.encode_end()]).decode()
        assert encoded == f"{OK}Content-Length: 5\r\n{connection}\r\nhello"
        assert (asking.encoder.persistence is Persistence.LAST) is closes
        assert asking.encoder.response_done
        if closes:
            assert (asking.reader.reading, asking.encoder.sending) == (Reading.CLOSED, Sending.CLOSED)
            assert asking.next_event() is CLOSED
            assert not asking.reader.buffer
        else:
            assert isinstance(asking.next_event(), Request)


def test_no_keep_alive_while_the_server_stops() -> None:
    connection = asked(NEXT + NEXT)
    connection.encoder.forbid_keep_alive()
    assert "Connection: close" in text(connection)
    assert connection.encoder.persistence is Persistence.LAST
    assert connection.next_event() is CLOSED


def test_no_keep_alive_is_from_the_next_head_on() -> None:
    connection = asked(NEXT + NEXT)
    connection.encoder.encode_head(answer(), DATE)
    connection.encoder.forbid_keep_alive()
    connection.encoder.encode_data(b"a")
    connection.encoder.encode_end()
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
    connection.encoder.encode_head(answer(), DATE)
    data = b"x" * 20_000
    pieces = connection.encoder.encode_data(data)
    assert pieces[1] is data
    assert b"".join(pieces) == b"4e20\r\n" + data + b"\r\n"


def test_a_block_is_the_same_bytes_in_one_piece() -> None:
    """Whatever came before it: sizes that repeat, large ones between them, empty ones, another response."""
    sizes = [1, 1, 20_000, 1, 20_000, 20_000, 0, 20_000, 16384, 16385, 0, 1, 1]
    connection = asked(NEXT + NEXT)
    for _ in range(2):
        connection.encoder.encode_head(answer(), DATE)
        body_bytes = 0
        for number, size in enumerate(sizes):
            data, encoder = b"x" * size, connection.encoder
            block = encoder.encode_block(data) if number % 3 else b"".join(encoder.encode_data(data))
            assert block == (b"%x\r\n%b\r\n" % (size, data) if size else b"")
            body_bytes += size
            assert (encoder.body_bytes, encoder.piece_bytes) == (body_bytes, size)
        assert connection.encoder.encode_end() == b"0\r\n\r\n"
        connection.next_event()


@pytest.mark.parametrize("length", [None, 62])
def test_the_blocks_that_follow_are_the_same_bytes_as_one_by_one(length: int | None) -> None:
    sizes = [1, 7, 7, 0, 20, 16384, 16385, 3, 7]
    encoder = asked().encoder
    encoder.encode_head(answer() if length is None else answer(("Content-Length", str(length))), DATE)
    blocks = [b"x" * size for size in sizes]
    asked_for: list[bytes] = []
    sent: list[bytes] = []

    def source() -> Iterator[bytes | bytearray]:
        for number, block in enumerate(blocks):
            asked_for.append(block)
            yield bytearray(block) if number == 4 else block
            assert encoder.body_bytes == len(b"".join(asked_for)[:length])

    def send_unusual(block: bytes | bytearray) -> None:
        sent.extend(encoder.encode_data(bytes(block)))

    pieces = encoder.encode_blocks(source(), send_unusual)
    while (piece := next(pieces, None)) is not None:
        sent.append(piece)
    if length is None:
        assert b"".join(sent) == b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks if block)
        assert (encoder.surplus_bytes, asked_for) == (0, blocks)
    else:
        assert b"".join(sent) == b"".join(blocks)[:length]
        assert (encoder.surplus_bytes, asked_for) == (1 + 7 + 7 + 20 + 16384 - length, blocks[:6])


def test_until_the_end_of_the_connection_for_an_old_client() -> None:
    for lines in ([], ["Connection: keep-alive"]):
        connection = asked(head(*lines, start="GET / HTTP/1.0") + NEXT)
        assert parts(connection, answer(), b"hello", b"", b"x") == f"{OK}Connection: close\r\n\r\nhellox"
        assert connection.next_event() is CLOSED
        assert connection.encoder.response_done


def test_the_length_that_the_server_knows() -> None:
    connection = asked()
    assert parts(connection, answer(), b"hel", b"lo", length=5) == f"{OK}Content-Length: 5\r\n\r\nhello"


def test_a_body_beyond_its_length_is_cut() -> None:
    for body in ((b"hello world",), (b"hel", b"lo world"), (b"hello", b" world"), (b"hello ", b"world")):
        connection = asked(NEXT + NEXT)
        assert parts(connection, answer(("Content-Length", "5")), *body) == f"{OK}Content-Length: 5\r\n\r\nhello"
        assert connection.encoder.surplus_bytes == 6
        assert isinstance(connection.next_event(), Request)
        assert text(connection, b"") == f"{OK}Content-Length: 0\r\n\r\n"
        assert connection.encoder.surplus_bytes == 0
    connection = asked()
    assert text(connection, b"hello world", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n\r\nhello"
    assert connection.encoder.surplus_bytes == 6


def test_a_body_that_is_too_short_breaks_the_connection() -> None:
    connection = asked(NEXT + NEXT)
    connection.encoder.encode_head(answer(("Content-Length", "100")), DATE)
    connection.encoder.encode_data(b"only ten..")
    assert not connection.encoder.is_satisfied
    assert connection.encoder.encode_end() == b""
    assert connection.encoder.sending is Sending.BROKEN
    assert connection.encoder.persistence is Persistence.LAST
    assert not connection.encoder.response_done
    assert connection.encoder.surplus_bytes == -90
    assert connection.next_event() is CLOSED
    connection = asked()
    assert text(connection, b"hel", answer(("Content-Length", "5"))) == f"{OK}Content-Length: 5\r\n\r\nhel"
    assert connection.encoder.sending is Sending.BROKEN
    assert not connection.encoder.response_done


def test_a_declared_length_that_is_right() -> None:
    connection = asked()
    assert text(connection, b"hello", answer(("content-length", "5"))) == f"{OK}content-length: 5\r\n\r\nhello"
    assert (connection.encoder.sending, connection.encoder.surplus_bytes) == (Sending.WAIT, 0)


def test_a_file_is_accounted_like_data() -> None:
    connection = asked()
    connection.encoder.encode_head(answer(("Content-Length", "10")), DATE)
    assert (connection.encoder.surplus_bytes, connection.encoder.is_satisfied) == (0, False)
    assert connection.encoder.account_file(4) == 4
    assert (connection.encoder.surplus_bytes, connection.encoder.is_satisfied) == (0, False)
    assert connection.encoder.account_file(100) == 6
    assert (connection.encoder.surplus_bytes, connection.encoder.is_satisfied) == (94, True)
    assert (connection.encoder.body_bytes, connection.encoder.piece_bytes) == (10, 6)
    connection.encoder.encode_end()
    connection = asked(head(start="GET / HTTP/1.0"))
    connection.encoder.encode_head(answer(), DATE)
    assert connection.encoder.account_file(100) == 100
    connection = asked(head(start="HEAD / HTTP/1.1"))
    connection.encoder.encode_head(answer(("Content-Length", "10")), DATE)
    assert connection.encoder.is_satisfied
    assert connection.encoder.account_file(10) == 0
    connection = asked()
    connection.encoder.encode_head(answer(), DATE)
    with pytest.raises(ProtocolMisuse):
        connection.encoder.account_file(1)


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
            assert (connection.encoder.sending, connection.encoder.surplus_bytes) == (Sending.WAIT, 0)
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
    assert connection.encoder.sending is Sending.WAIT
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
        first = connection.encoder.encode_response(answer(*fields), b"hello", DATE)
        connection.next_event()
        assert connection.encoder.encode_response(answer(*fields), b"hello", DATE) == first
        connection.next_event()
        other = connection.encoder.encode_response(answer(*fields), b"world", DATE)
        assert other == first[:-5] + b"world"
        connection.next_event()
        later = connection.encoder.encode_response(answer(*fields), b"hello", "Mon, 07 Nov 1994 08:49:37 GMT")
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
            connection.encoder.forbid_keep_alive()
        return connection.encoder.encode_response(answer(("X-Same", "yes")), b"hello", DATE)

    names = [*asks, "drain"]
    fresh = {}
    for name in names:
        for ident in ("", "kit"):
            fresh[name, ident] = encode(name, ident)
    assert len(set(fresh.values())) == 2 * 4  # usual; close, old, early and drain; old-keep; head
    for before in names:
        for name in names:
            for ident in ("", "kit"):
                encode(before, "kit")
                assert encode(name, ident) == fresh[name, ident], (before, name)


def test_another_length_for_the_same_head() -> None:
    connection = asked(NEXT * 3)
    for body in (b"hello", b"", b"hello again"):
        assert text(connection, body) == f"{OK}Content-Length: {len(body)}\r\n\r\n{body.decode()}"
        connection.next_event()


# -- what a request log wants to know --


def whole(one: Connection, response: ResponseHead) -> None:
    one.encoder.encode_response(response, b"12345", DATE)


def streamed(one: Connection, response: ResponseHead) -> None:
    one.encoder.encode_head(response, DATE)
    for piece in (b"123", b"", b"45"):
        one.encoder.encode_data(piece)


@pytest.mark.parametrize("way", [whole, streamed])
@pytest.mark.parametrize(
    ("start", "fields", "status", "sent"),
    [
        ("GET / HTTP/1.1", [], "200 OK", 5),
        ("GET / HTTP/1.1", [("Content-Length", "5")], "200 OK", 5),
        ("GET / HTTP/1.1", [("Content-Length", "4")], "200 OK", 4),
        ("GET / HTTP/1.1", [("Content-Length", "9")], "200 OK", 5),
        ("GET / HTTP/1.1", [], "204 No Content", 0),
        ("GET / HTTP/1.1", [], "304 Not Modified", 0),
        ("HEAD / HTTP/1.1", [("Content-Length", "5")], "200 OK", 0),
        ("GET / HTTP/1.0", [], "200 OK", 5),
    ],
)
def test_the_octets_of_a_body_are_those_that_go_out(
    way: Callable[[Connection, ResponseHead], None], start: str, fields: list[tuple[str, str]], status: str, sent: int
) -> None:
    one = asked(head(start=start))
    response = build_head(status, fields)
    way(one, response)
    assert (one.encoder.response_head, one.encoder.body_bytes) == (response, sent)


def test_what_was_said_is_forgotten_when_the_next_request_begins() -> None:
    one = asked(NEXT + NEXT + b"\x00")
    heads = [one.encoder.response_head]
    text(one)
    one.next_event()
    heads.append(one.encoder.response_head)
    text(one)
    with pytest.raises(HttpError):
        one.next_event()
    heads.append(one.encoder.response_head)
    assert heads == [None, None, None]
    one.encode_error(HttpError(400, "No."), DATE)
    assert one.encoder.response_head is not None
    assert one.encoder.response_head.code == 400


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"\xff / HTTP/1.1\r\nHost: a\r\n\r\n", b"\xff / HTTP/1.1"),
        (b"GET / HTTP/abc\r\n\r\n", b"GET / HTTP/abc"),
        (b"\x16\x03\x01" + b"x" * 3000, b"\x16\x03\x01" + b"x" * 1021),
    ],
)
def test_the_first_line_of_a_refused_head_is_kept(sent: bytes, line: bytes) -> None:
    one = Connection(LIMITS, "")
    one.reader.feed(sent)
    with pytest.raises(HttpError):
        one.next_event()
    assert (one.reader.refused_line, one.reader.request) == (line, None)
