"""How requests and responses meet: interim responses, refusals, early answers, and the end of a connection."""

import contextlib

import pytest

from tests.support.exchange import DATE, LIMITS, NEXT, answer, asked, chunked, head, parts, text
from waitressd.http.connection import AnsweringConnection, Connection
from waitressd.http.errors import Answer, HttpError, ProtocolMisuse, ResponseError
from waitressd.http.events import CLOSED, END_OF_BODY, NEED_DATA, PAUSED, Body, Request
from waitressd.http.states import Persistence, Reading, Sending

OK = "HTTP/1.1 200 OK\r\n"


# -- interim responses --


def awaits(connection: Connection) -> bool:
    return connection.awaiting_continue


def test_continue_is_sent_once_and_only_while_it_is_awaited() -> None:
    connection = Connection(LIMITS, "")
    assert not awaits(connection)
    connection.reader.feed(head("Expect: 100-continue", "Content-Length: 5", start="POST / HTTP/1.1"))
    assert not awaits(connection)
    connection.next_event()
    assert awaits(connection)
    assert connection.encode_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not awaits(connection)
    with pytest.raises(ProtocolMisuse):
        connection.encode_continue()
    connection.reader.feed(b"hello" + NEXT)
    assert connection.next_event() == Body(b"hello")
    assert connection.next_event() is END_OF_BODY
    assert text(connection) == f"{OK}Content-Length: 0\r\n\r\n"
    assert isinstance(connection.next_event(), Request)
    assert not awaits(connection)


@pytest.mark.parametrize(
    "sent",
    [
        head("Expect: 100-continue", "Content-Length: 5") + b"h",
        head("Expect: 100-continue", "Transfer-Encoding: chunked") + b"5",
        head("Expect: 100-continue"),
        head("Expect: 100-continue", "Content-Length: 0"),
        head("Expect: 100-continue", "Content-Length: 5", start="POST / HTTP/1.0"),
        head("Content-Length: 5"),
    ],
)
def test_continue_is_not_awaited(sent: bytes) -> None:
    assert not asked(sent).awaiting_continue


def test_a_body_that_came_unasked_ends_the_wait() -> None:
    connection = asked(head("Expect: 100-continue", "Content-Length: 5"))
    connection.reader.feed(b"he")
    assert not connection.awaiting_continue
    assert connection.next_event() == Body(b"he")
    assert not connection.awaiting_continue
    with pytest.raises(ProtocolMisuse):
        connection.encode_continue()


def test_a_final_answer_ends_the_wait() -> None:
    connection = asked(head("Expect: 100-continue", "Content-Length: 5"))
    assert "Connection: close" in text(connection)
    assert not connection.awaiting_continue
    connection = asked(head("Expect: 100-continue", "Content-Length: 5"))
    connection.encoder.encode_head(answer(), DATE)
    assert not connection.awaiting_continue
    with pytest.raises(ProtocolMisuse):
        connection.encode_continue()


def test_early_hints() -> None:
    connection = asked()
    hints = [("Link", "</a.css>; rel=preload"), ("Link", "</b.js>; rel=preload")]
    for _ in range(2):
        assert connection.encoder.encode_early_hints(hints) == (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n"
        )
    assert connection.encoder.encode_early_hints([]) == b""
    assert connection.encoder.response_head is None
    with pytest.raises(ResponseError):
        connection.encoder.encode_early_hints([("Link", "a\r\nb")])
    assert text(connection) == f"{OK}Content-Length: 0\r\n\r\n"
    with pytest.raises(ProtocolMisuse):
        connection.encoder.encode_early_hints(hints)
    assert asked(head(start="GET / HTTP/1.0")).encoder.encode_early_hints(hints) == b""


# -- refusals and errors --


def test_a_refusal_is_answered_and_nothing_follows() -> None:
    connection = Connection(LIMITS, "waitressd")
    connection.reader.feed(head("X : y") + NEXT)
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert (connection.reader.reading, connection.encoder.sending) == (Reading.ERROR, Sending.READY)
    assert connection.reader.request is None
    assert connection.encoder.persistence is Persistence.LAST
    assert (connection.encoder.response_head, connection.encoder.response_done) == (None, False)
    encoded = connection.encode_error(caught.value, DATE)
    assert encoded == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 72\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: waitressd\r\nConnection: close\r\n\r\n"
        b"400 Bad Request\n\nA header field has no colon, or white space before it.\n"
    )
    assert connection.encoder.response_done
    assert connection.next_event() is CLOSED
    with pytest.raises(ProtocolMisuse):
        connection.encode_error(caught.value, DATE)


def test_head_is_refused_without_content() -> None:
    for sent in (head("X : y", start="HEAD / HTTP/1.1"), b"HEAD /\x00"):
        connection = Connection(LIMITS, "")
        connection.reader.feed(sent)
        with pytest.raises(HttpError) as caught:
            connection.next_event()
        encoded = connection.encode_error(caught.value, DATE)
        assert b"Content-Length: " in encoded
        assert encoded.endswith(b"\r\n\r\n")


def test_a_refusal_after_answers() -> None:
    connection = asked(NEXT + head("X : y") + NEXT)
    text(connection, b"hello")
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert connection.encoder.response_head is None
    assert connection.encode_error(caught.value, DATE).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert connection.next_event() is CLOSED


def test_an_error_that_nobody_asked_for() -> None:
    """A client that is too slow with its head gets 408; the rest of the head is not waited for."""
    connection = Connection(LIMITS, "")
    connection.reader.feed(NEXT[:20])
    assert connection.next_event() is NEED_DATA
    assert connection.encode_error(HttpError(408, "Too slow."), DATE).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    connection.reader.feed(NEXT[20:])
    assert connection.next_event() is CLOSED
    connection = Connection(LIMITS, "")
    connection.reader.feed(b"HEAD / HTTP/1.1\r\n")
    connection.next_event()
    assert connection.encode_error(HttpError(408, "Too slow."), DATE).endswith(b"\r\n\r\n")


def test_an_error_instead_of_a_response() -> None:
    connection = asked(NEXT + NEXT)
    encoded = connection.encode_error(HttpError(503, "Busy.", (("Retry-After", "5"),)), DATE, "caf\xe9 \ud800\n")
    assert b"\r\nRetry-After: 5\r\n" in encoded
    assert b"\r\nConnection: close\r\n" in encoded
    assert encoded.endswith(b"\r\n\r\ncaf\xc3\xa9 \\ud800\n")
    assert connection.next_event() is CLOSED


def test_no_error_after_the_head_of_a_response() -> None:
    connection = asked()
    connection.encoder.encode_head(answer(), DATE)
    assert connection.encoder.response_head is not None
    with pytest.raises(ProtocolMisuse):
        connection.encode_error(HttpError(500, "Oh."), DATE)
    with pytest.raises(ProtocolMisuse):
        connection.encoder.encode_response(answer(), b"", DATE)
    with pytest.raises(ProtocolMisuse):
        connection.encoder.encode_head(answer(), DATE)
    assert connection.encoder.persistence is not Persistence.LAST
    connection.encoder.encode_end()
    with pytest.raises(ProtocolMisuse):
        connection.encoder.encode_end()
    with pytest.raises(ProtocolMisuse):
        connection.encoder.encode_data(b"a")
    with pytest.raises(ProtocolMisuse):
        connection.encoder.account_file(1)


def test_a_body_that_breaks_a_rule_is_refused() -> None:
    connection = asked(chunked(b"5\r\nhello\r\nzz\r\n"))
    assert connection.next_event() == Body(b"hello")
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert isinstance(connection.reader.request, Request)
    assert connection.encode_error(caught.value, DATE).startswith(b"HTTP/1.1 400 ")
    assert connection.next_event() is CLOSED


def test_a_body_that_breaks_a_rule_while_it_is_answered() -> None:
    connection = asked(chunked(b"zz\r\n"))
    connection.encoder.encode_head(answer(), DATE)
    with pytest.raises(HttpError):
        connection.next_event()
    assert b"".join([*connection.encoder.encode_data(b"a"), connection.encoder.encode_end()]) == b"1\r\na\r\n0\r\n\r\n"
    assert connection.next_event() is CLOSED


def test_an_early_answer_closes() -> None:
    """What follows in the stream is the rest of a body, not a request."""
    for start in ("whole", "parts"):
        connection = asked(head("Content-Length: 53", start="POST / HTTP/1.1") + NEXT)
        if start == "whole":
            assert "Connection: close" in text(connection, b"early")
        else:
            assert "Connection: close" in parts(connection, answer(), b"early")
        assert connection.encoder.persistence is Persistence.LAST
        assert connection.encoder.response_done
        connection.reader.feed(NEXT)
        assert connection.next_event() is CLOSED


def test_a_body_that_comes_in_while_it_is_answered() -> None:
    """The head has said close; reading the rest does not change that."""
    connection = asked(head("Content-Length: 5") + b"hel")
    assert b"Connection: close" in connection.encoder.encode_head(answer(), DATE, 0)
    connection.reader.feed(b"lo" + NEXT)
    assert connection.next_event() == Body(b"hello")
    assert connection.next_event() is END_OF_BODY
    assert connection.next_event() is PAUSED
    connection.encoder.encode_end()
    assert connection.next_event() is CLOSED


# -- the end --


def test_a_client_that_ends_after_its_request_is_answered() -> None:
    connection = asked(NEXT + NEXT)
    connection.reader.feed_eof()
    text(connection)
    assert isinstance(connection.next_event(), Request)
    text(connection)
    assert connection.next_event() is CLOSED
    assert connection.encoder.persistence is Persistence.LAST
    assert connection.encoder.response_done


def test_closing_at_any_time_and_twice() -> None:
    for data in (b"", b"GET", NEXT, head("Content-Length: 5"), chunked(b"5"), NEXT + NEXT):
        connection = Connection(LIMITS, "")
        connection.reader.feed(data)
        connection.next_event()
        owed = connection.encoder.sending is Sending.READY
        for _ in range(2):
            connection.close()
            assert connection.reader.reading is Reading.CLOSED
            assert connection.encoder.sending is (Sending.BROKEN if owed else Sending.CLOSED)
            assert connection.encoder.persistence is Persistence.LAST
            assert connection.encoder.response_done is not owed
            assert not connection.reader.buffer
            assert connection.next_event() is CLOSED


def test_closing_in_a_response_or_after_it() -> None:
    connection = asked()
    connection.encoder.encode_head(answer(), DATE)
    connection.close()
    assert connection.encoder.sending is Sending.BROKEN
    assert not connection.encoder.response_done
    connection = asked()
    text(connection)
    connection.close()
    assert connection.encoder.response_done
    assert connection.encoder.sending is Sending.CLOSED


def test_before_the_first_request() -> None:
    connection = Connection(LIMITS, "")
    assert connection.encoder.response_head is None
    assert connection.encoder.response_done
    assert connection.encoder.persistence is not Persistence.LAST
    assert connection.encoder.surplus_bytes == 0
    for move in (
        lambda: connection.encoder.encode_response(answer(), b"", DATE),
        lambda: connection.encoder.encode_head(answer(), DATE),
        lambda: connection.encoder.encode_data(b""),
        connection.encoder.encode_end,
        connection.encode_continue,
        lambda: connection.encoder.encode_early_hints([]),
    ):
        with pytest.raises(ProtocolMisuse):
            move()


def test_pipelined_requests_are_given_out_one_by_one() -> None:
    connection = Connection(LIMITS, "")
    connection.reader.feed(b"".join(head(start=f"GET /{number} HTTP/1.1") for number in range(20)))
    for number in range(20):
        request = connection.next_event()
        assert isinstance(request, Request)
        assert request.path == f"/{number}"
        assert connection.encoder.response_head is None
        assert connection.next_event() is PAUSED
        text(connection)
    assert connection.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("data", "sending"),
    [(NEXT, Sending.READY), (b"\x00", Sending.READY), (b"", Sending.CLOSED), (b"GET", Sending.CLOSED)],
)
def test_the_response_side_hears_of_requests_refusals_and_ends(data: bytes, sending: Sending) -> None:
    connection = Connection(LIMITS, "")
    connection.reader.feed(data)
    connection.reader.feed_eof()
    with contextlib.suppress(HttpError):
        connection.next_event()
    assert connection.encoder.sending is sending


def test_a_response_goes_on_after_the_end_of_what_the_client_says() -> None:
    """A client may end its side while it is answered (RFC 9112, 9.6)."""
    connection = asked(NEXT)
    connection.encoder.encode_head(answer(), DATE)
    connection.reader.feed_eof()
    assert connection.next_event() is PAUSED
    assert b"".join(connection.encoder.encode_data(b"hello")) == b"5\r\nhello\r\n"
    connection.encoder.encode_end()
    assert connection.next_event() is CLOSED
    assert connection.encoder.sending is Sending.CLOSED


def test_a_body_that_breaks_off_while_it_is_answered_leaves_the_response_alone() -> None:
    connection = asked(head("Content-Length: 5") + b"he")
    connection.encoder.encode_head(answer(), DATE)
    connection.reader.feed_eof()
    connection.next_event()
    with pytest.raises(HttpError):
        connection.next_event()
    assert (connection.next_event(), connection.encoder.sending) == (CLOSED, Sending.BODY)
    assert connection.encoder.response_head is not None


# -- answers of the server's own --


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_connection_that_answers_by_itself(method: str) -> None:
    """A request never comes out; its answer is raised like an error, and ends the connection."""
    seen: list[Request] = []

    def answer_to(request: Request) -> HttpError:
        seen.append(request)
        return Answer(308, "Elsewhere.\n", (("Location", "https://a/"),))

    connection = AnsweringConnection(LIMITS, "", answer_to)
    connection.reader.feed(head("Content-Length: 5", start=f"{method} /x HTTP/1.1") + b"hello" + NEXT)
    with pytest.raises(Answer) as caught:
        connection.next_event()
    assert caught.value.request is seen[0]
    content = b"" if method == "HEAD" else b"Elsewhere.\n"
    encoded = connection.encode_error(caught.value, DATE)
    assert encoded.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
    assert b"\r\nLocation: https://a/\r\n" in encoded
    assert b"\r\nConnection: close\r\n" in encoded
    assert encoded.endswith(b"\r\n\r\n" + content)
    assert connection.next_event() is CLOSED
    assert len(seen) == 1


def test_such_a_connection_refuses_what_is_malformed() -> None:
    connection = AnsweringConnection(LIMITS, "", lambda request: Answer(200, "yes"))
    assert connection.next_event() is NEED_DATA
    connection.reader.feed(b"nonsense\r\n\r\n")
    with pytest.raises(HttpError) as caught:
        connection.next_event()
    assert (type(caught.value), caught.value.status) == (HttpError, 400)
