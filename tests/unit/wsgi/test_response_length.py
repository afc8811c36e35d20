"""waitressd.wsgi.response: a Content-Length that is not true, and answers without content."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from tests.support.applications import GET, HEAD, PLAIN, Closing, Start, cases, request_line, returning
from tests.support.recording import RecordingTransport, exchange
from waitressd.http.states import Persistence
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.task import TaskSettings, WsgiHandler

# Content-Length that is not true


@cases(
    one=lambda: [b"hello world"],
    two=lambda: [b"hello", b" world"],
    stream_of_one=lambda: Closing([b"hello world"]),
    stream_of_more=lambda: Closing([b"hello", b" world", b"!" * 9]),
)
def test_what_is_longer_is_cut(make_result: Any, caplog: pytest.LogCaptureFixture) -> None:
    transport = exchange(returning(make_result, length=5))
    answer = transport.answer()
    assert (answer.body, answer.complete) == (b"hello", True)
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "The response to GET / is longer" in caplog.text


@cases(
    known=lambda: [b"hello"],
    single=lambda: Closing([b"hello"]),
    then_empty=lambda: Closing([b"hello", b"", b""]),
)
@pytest.mark.parametrize("length", [None, 5])
def test_an_answer_in_one_piece_is_one_write(make_result: Any, length: int | None) -> None:
    result = make_result()
    transport = exchange(returning(lambda: result, length=length))
    if length is not None or isinstance(result, list):
        assert len(transport.writes) == 1
        assert transport.answer().get("Content-Length") == "5"
    assert transport.answer().body == b"hello"
    if isinstance(result, Closing):
        assert result.closed_count == 1


def test_what_is_longer_and_no_bytes_is_the_application_s_mistake(caplog: pytest.LogCaptureFixture) -> None:
    transport = exchange(returning(lambda: Closing([b"hello", "text"]), length=5))
    assert (transport.answer().body, transport.answer().complete) == (b"hello", True)
    assert "the application yielded str" in caplog.text


@pytest.mark.parametrize("kind", [list, tuple, Closing])
@pytest.mark.parametrize("length", [None, 1 << 20])
def test_a_large_body_is_not_copied(kind: Any, length: int | None) -> None:
    body = bytes(1 << 20)
    pieces: list[bytes] = []

    class Remembering(RecordingTransport):
        def write_parts(self, parts: Sequence[bytes]) -> None:
            pieces.extend(parts)
            super().write_parts(parts)

    transport = Remembering()
    request, _ = transport.receive(GET)
    WsgiHandler(returning(lambda: kind([body]), length=length), EnvironBuilder(EnvironSettings()), TaskSettings())(
        request, None, transport
    )
    assert any(piece is body for piece in pieces)
    assert transport.answer().body == body


def test_an_endless_stream_is_left_when_its_length_is_reached() -> None:
    answer = exchange(returning(lambda: itertools.repeat(b"abc"), length=10)).answer()
    assert (answer.body, answer.complete) == (b"abcabcabca", True)


def test_a_stream_is_finished_after_its_last_byte() -> None:
    """Applications do their work after the last yield."""
    reached: list[str] = []

    def body() -> Iterator[bytes]:
        yield b"hello"
        reached.append("behind the last yield")

    transport = exchange(returning(body, length=5))
    assert reached == ["behind the last yield"]
    assert len(transport.writes) == 1


@cases(one=lambda: [b"hello"], none=list, stream=lambda: Closing([b"hel", b"lo"]), empty_stream=lambda: Closing([]))
def test_what_is_shorter_breaks_the_connection_off(make_result: Any, caplog: pytest.LogCaptureFixture) -> None:
    transport = exchange(returning(make_result, length=100))
    assert transport.sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not transport.answer().complete
    assert not transport.connection.encoder.response_done
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "shorter than its Content-Length" in caplog.text


def test_what_is_written_beyond_the_length_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        write(b"hello world")
        write(b"more")
        return [b"and more"]

    transport = exchange(application)
    assert transport.answer().body == b"hello"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# Answers without content


@cases(
    one=lambda: [b"hidden"],
    two=lambda: [b"hid", b"den"],
    none=list,
    stream=lambda: Closing([b"hidden"]),
    empty_stream=lambda: Closing([]),
    large=lambda: [b"x" * 100_000],
    large_in_two=lambda: [b"x" * 100_000, b"y"],
)
@pytest.mark.parametrize("length", [None, 6, 999])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD, "200 OK"),
        (request_line("GET / HTTP/1.1"), "204 No Content"),
        (request_line("GET / HTTP/1.1"), "304 Not Modified"),
        (HEAD, "304 Not Modified"),
    ],
)
def test_no_content_goes_out(
    make_result: Any, length: int | None, data: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = exchange(returning(make_result, status=status, length=length), data)
    method = data.split()[0].decode()
    answer = transport.answer(method)
    assert (answer.body, answer.complete) == (b"", True)
    assert transport.sent.endswith(b"\r\n\r\n")
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert len(transport.writes) == 1
    assert caplog.records == []


def test_a_head_has_the_length_of_what_was_returned() -> None:
    assert exchange(returning([b"13 characters"]), HEAD).answer("HEAD").get("Content-Length") == "13"
    assert exchange(returning([b"x" * 100_000]), HEAD).answer("HEAD").get("Content-Length") == "100000"
    assert exchange(returning([b"x" * 100_000, b"y"]), HEAD).answer("HEAD").get("Content-Length") == "100001"


@cases(none=list, empty=lambda: [b""], empty_stream=lambda: Closing([]), stream=lambda: Closing([b"hidden"]))
def test_a_head_has_no_length_that_may_be_untrue(make_result: Any) -> None:
    assert exchange(returning(make_result), HEAD).answer("HEAD").get("Content-Length") is None


@cases(list=lambda: [b"hidden"], stream=lambda: Closing([b"hidden"]))
def test_a_205_says_that_it_is_empty(make_result: Any) -> None:
    answer = exchange(returning(make_result, status="205 Reset Content", length=6)).answer()
    assert (answer.body, answer.get("Content-Length"), answer.complete) == (b"", "0", True)


@pytest.mark.parametrize("late", [False, True])
def test_an_endless_stream_is_not_asked_when_nobody_wants_it(*, late: bool) -> None:
    asked: list[int] = []

    def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            if late:
                start_response("200 OK", PLAIN)
            for index in itertools.count():
                asked.append(index)
                yield b"x"

        if not late:
            start_response("200 OK", PLAIN)
        return Closing(body())

    exchange(application, HEAD)
    assert asked == ([0] if late else [])


def test_a_stream_may_start_its_answer_and_yield_nothing() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("404 Not Found", PLAIN)
        yield from ()

    for data, method, length in ((GET, "GET", "0"), (HEAD, "HEAD", None)):
        answer = exchange(application, data).answer(method)
        assert (answer.status, answer.get("Content-Length"), answer.complete) == (404, length, True)
