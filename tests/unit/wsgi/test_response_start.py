"""waitressd.wsgi.response: start_response, write and exc_info, and what is refused (PEP 3333)."""

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.applications import HEAD, PLAIN, Closing, Start, cases, returning
from tests.support.recording import RecordingTransport, exchange
from waitressd.http.states import Persistence
from waitressd.wsgi.blocks import JOIN_BYTES

# Written answers


def test_written_bytes_leave_at_once_with_the_head() -> None:
    transport = RecordingTransport()

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", PLAIN)
        assert transport.writes == []
        write(b"")
        assert transport.writes == []  # nothing forces the head out, and an error may still replace it
        write(b"written ")
        assert b"written " in transport.sent
        write(memoryview(b"twice "))  # type: ignore[arg-type]  # PEP 3333 knows bytes only
        return [b"and returned"]

    exchange(application, transport=transport)
    assert transport.answer().body == b"written twice and returned"
    assert transport.connection.encoder.response_done


@cases(list=list, stream=lambda: Closing([]))
@pytest.mark.parametrize("length", [None, 7])
def test_an_answer_may_be_written_only(make_result: Any, length: int | None) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Any:
        fields = PLAIN if length is None else [("Content-Length", str(length))]
        start_response("200 OK", fields)(b"written")
        return make_result()

    transport = exchange(application)
    assert transport.answer().body == b"written"
    assert transport.answer().complete
    assert transport.connection.encoder.persistence is not Persistence.LAST


def test_much_may_be_returned_after_write() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", PLAIN)(b"first")
        return [b"x" * JOIN_BYTES, b"last"]

    assert exchange(application).answer().body == b"first" + b"x" * JOIN_BYTES + b"last"


@pytest.mark.parametrize("data", ["text", 7, None])
def test_only_bytes_can_be_written(data: Any) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", PLAIN)
        with pytest.raises(TypeError, match=r"write\(\) was given"):
            write(data)
        return [b"fine"]

    assert exchange(application).answer().body == b"fine"


def test_nothing_can_be_written_when_the_answer_is_complete() -> None:
    kept: list[Callable[[bytes], None]] = []

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        kept.append(start_response("200 OK", PLAIN))
        return [b"all"]

    transport = exchange(application)
    with pytest.raises(RuntimeError, match="complete or given up"):
        kept[0](b"more")
    assert transport.answer().body == b"all"


def test_a_head_has_no_body_when_it_is_written() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)(b"hidden")
        return itertools.repeat(b"without end")

    transport = exchange(application, HEAD)
    assert transport.answer("HEAD").body == b""
    assert transport.connection.encoder.response_done


# exc_info


def test_exc_info_replaces_a_head_that_has_not_left() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", [("X-Old", "1"), ("Content-Length", "100")])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Replaced", PLAIN, sys.exc_info())
        return [b"replaced"]

    answer = exchange(application).answer()
    assert (answer.status, answer.reason, answer.body) == (503, "Replaced", b"replaced")
    assert answer.get("X-Old") is None
    assert answer.get("Content-Length") == "8"


def test_exc_info_may_come_first() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        try:
            raise ValueError
        except ValueError:
            start_response("500 Sorry", PLAIN, sys.exc_info())
        return [b"sorry"]

    assert exchange(application).answer().reason == "Sorry"


def test_exc_info_after_the_head_raises_what_it_holds() -> None:
    caught: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        try:
            raise ValueError("the application's own")
        except ValueError:
            try:
                start_response("503 Late", PLAIN, sys.exc_info())
            except ValueError as error:
                caught.append(error)
                raise

    transport = exchange(application)
    assert str(caught[0]) == "the application's own"
    assert b"503" not in transport.sent
    assert not transport.answer().complete
    assert not transport.connection.encoder.response_done


@pytest.mark.parametrize("exc_info", [(), (None,)], ids=["without", "None"])
def test_a_second_start_response_is_an_error(exc_info: tuple[Any, ...], caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", PLAIN)
        start_response("201 Created", PLAIN, *exc_info)
        return [b"twice"]

    assert exchange(application).answer().status == 500
    assert "a second time without exc_info" in caplog.text


# What is refused


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("OK", PLAIN),
        ("200 OK\r\nX-Injected: 1", PLAIN),
        ("103 Early Hints", PLAIN),
        (200, PLAIN),
        ("200 OK", [("X-Bad", "v\r\nX-Injected: 1")]),
        ("200 OK", [("X Bad", "v")]),
        ("200 OK", [("", "v")]),
        ("200 OK", [("X-Bad", "\u0142")]),
        ("200 OK", [("X-Bad", 42)]),
        ("200 OK", [("Content-Length", "abc")]),
        ("200 OK", [("Transfer-Encoding", "chunked")]),
        ("200 OK", {"Content-Type": "text/plain"}),
        ("200 OK", None),
    ],
    ids=map(str, range(13)),
)
def test_a_head_that_cannot_be_sent_is_refused_at_once(status: Any, fields: Any) -> None:
    reached: list[str] = []

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response(status, fields)
        reached.append("behind start_response")
        return [b"body"]

    transport = exchange(application)
    assert transport.answer().status == 500
    assert b"Injected" not in transport.sent
    assert reached == []


def test_a_refused_head_may_be_given_again() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        with pytest.raises(Exception, match="X-Bad"):
            start_response("200 OK", [("X-Bad", "a\nb")])
        start_response("200 OK", PLAIN)
        return [b"fine"]

    assert exchange(application).answer().body == b"fine"


@cases(
    empty_list=list,
    list=lambda: [b"body"],
    empty_stream=lambda: Closing([]),
    stream=lambda: Closing([b"body"]),
    large=lambda: [b"x" * 100_000],
)
def test_start_response_that_was_never_called(make_result: Any, caplog: pytest.LogCaptureFixture) -> None:
    result = make_result()
    transport = exchange(lambda _environ, _start_response: result)
    assert transport.answer().status == 500
    assert "did not call start_response" in caplog.text
    assert getattr(result, "closed_count", 1) == 1


@pytest.mark.parametrize(
    ("make_result", "complaint"),
    [
        (lambda: ["text"], "a list with str"),
        (lambda: [b"fine", "text"], "a list with str"),
        (lambda: [7], "a list with int"),
        (lambda: Closing(["text"]), "yielded str"),
        (lambda: Closing([7]), "yielded int"),
        (lambda: Closing([None]), "yielded NoneType"),
        (lambda: {"a": 1}, "yielded str"),
        (lambda: "text", "returned str, not an iterable of bytes"),
        (lambda: b"bytes", "returned bytes, not an iterable of bytes"),
        (lambda: bytearray(b"bytes"), "returned bytearray"),
        (lambda: None, "returned NoneType, not an iterable of bytes"),
        (lambda: 7, "returned int, not an iterable of bytes"),
    ],
    ids=map(str, range(12)),
)
def test_what_is_not_bytes_is_refused_before_the_head_leaves(
    make_result: Any, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = exchange(returning(make_result))
    assert transport.answer().status == 500
    assert "TypeError" in caplog.text
    assert complaint in caplog.text
