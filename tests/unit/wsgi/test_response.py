"""waitressd.wsgi.response: what an application's answer becomes on the wire (PEP 3333)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.applications import OLD, PLAIN, Closing, Start, cases, request_line, returning
from tests.support.recording import RecordingTransport, exchange
from waitressd.http.errors import ProtocolMisuse
from waitressd.http.response import build_head
from waitressd.http.states import Persistence
from waitressd.wsgi.blocks import JOIN_BYTES
from waitressd.wsgi.response import TRANSITIONS, Response, ResponseEvent, ResponseState


class Words(list[bytes]):
    """A list by another name."""


class Octets(bytes):
    """Bytes by another name."""


# States


def make_answer(state: ResponseState) -> Response:
    transport = RecordingTransport()
    request, _ = transport.receive(request_line("GET / HTTP/1.1"))
    answer = Response(request, transport)
    answer.state = state
    return answer


@pytest.mark.parametrize("state", ResponseState)
@pytest.mark.parametrize("event", ResponseEvent)
def test_a_move_is_in_the_table_or_an_error(state: ResponseState, event: ResponseEvent) -> None:
    answer = make_answer(state)
    if (state, event) in TRANSITIONS:
        answer._move(event)
        assert answer.state is TRANSITIONS[state, event]
    else:
        with pytest.raises(ProtocolMisuse, match=f"{event.name} when it is {state.name}"):
            answer._move(event)


# Known lengths


@cases(
    one=lambda: [b"Hello, world!"],
    one_in_a_tuple=lambda: (b"Hello, world!",),
    two=lambda: [b"Hello, ", b"world!"],
    with_empty_ones=lambda: [b"", b"Hello, ", b"", b"world!"],
    other_bytes=lambda: [bytearray(b"Hello, "), memoryview(b"world!")],
    one_bytearray=lambda: [bytearray(b"Hello, world!")],
    words=lambda: Words([b"Hello, ", b"world!"]),
    octets=lambda: [Octets(b"Hello, world!")],
)
@pytest.mark.parametrize("length", [None, 13])
def test_a_known_answer_is_one_write_with_its_length(make_result: Any, length: int | None) -> None:
    transport = exchange(returning(make_result, length=length))
    assert len(transport.writes) == 1
    answer = transport.answer()
    assert answer.body == b"Hello, world!"
    assert answer.get("Content-Length") == "13"
    assert answer.get("Transfer-Encoding") is None
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST


@cases(
    list=list,
    tuple=tuple,
    one=lambda: [b""],
    two=lambda: [b"", b""],
    stream=lambda: Closing([]),
    empty_stream=lambda: Closing([b"", b""]),
)
@pytest.mark.parametrize("length", [None, 0])
def test_an_empty_answer_keeps_the_connection(make_result: Any, length: int | None) -> None:
    transport = exchange(returning(make_result, length=length))
    answer = transport.answer()
    assert (answer.body, answer.get("Content-Length"), answer.complete) == (b"", "0", True)
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert len(transport.writes) == 1


def test_many_megabytes_are_not_joined() -> None:
    big = b"x" * (5 * JOIN_BYTES)
    small = [b"abc"] * 1000
    transport = exchange(returning([b"first", big, *small, b"", big]))
    assert transport.answer().body == b"first" + big + b"abc" * 1000 + big
    assert transport.answer().get("Content-Length") == str(5 + 2 * len(big) + 3000)
    assert len(transport.writes) == 4


class Sized:
    """An iterable with a length of one, and no list."""

    def __init__(self, *items: bytes) -> None:
        self._items = items

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._items)


def test_an_iterable_of_length_one_has_a_content_length() -> None:
    answer = exchange(returning(Sized(b"only"))).answer()
    assert (answer.body, answer.get("Content-Length")) == (b"only", "4")


class Unsized(Sized):
    """A wrapper that has a length only if what it wraps has one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"on", b"ly")
        self._error = error

    def __len__(self) -> int:
        raise self._error


@pytest.mark.parametrize("error", [TypeError("no"), AttributeError("no"), NotImplementedError()], ids=repr)
def test_an_iterable_that_cannot_say_its_length_is_streamed(error: Exception) -> None:
    answer = exchange(returning(Unsized(error))).answer()
    assert (answer.status, answer.body, answer.get("Transfer-Encoding")) == (200, b"only", "chunked")


def test_an_iterable_that_lies_about_its_length_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    answer = exchange(returning(Sized(b"only", b"more"))).answer()
    assert (answer.body, answer.complete) == (b"only", True)
    assert "longer than its Content-Length" in caplog.text


# Streams


def test_a_stream_is_chunked_and_keeps_the_connection() -> None:
    transport = exchange(returning(Closing([b"one", b"", b"two"])))
    answer = transport.answer()
    assert (answer.body, answer.get("Transfer-Encoding"), answer.complete) == (b"onetwo", "chunked", True)
    assert transport.connection.encoder.persistence is not Persistence.LAST
    # The head leaves with the first bytes, not alone and not before.
    assert [write.count(b"one") for write in transport.writes] == [1, 0, 0]


def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    transport = exchange(returning(Closing([b"one", b"two"])), OLD)
    answer = transport.answer()
    assert (answer.body, answer.get("Transfer-Encoding")) == (b"onetwo", None)
    assert transport.connection.encoder.persistence is Persistence.LAST
    assert transport.connection.encoder.response_done


def test_a_stream_with_a_declared_length_is_not_chunked() -> None:
    transport = exchange(returning(Closing([b"one", b"two"]), length=6))
    answer = transport.answer()
    assert (answer.body, answer.get("Content-Length"), answer.get("Transfer-Encoding")) == (b"onetwo", "6", None)
    assert len(transport.writes) == 2


def test_each_item_leaves_before_the_next_is_asked_for() -> None:
    transport = RecordingTransport()
    seen: list[bytes] = []

    def body() -> Iterator[bytes]:
        for word in (b"alpha", b"beta", b"gamma"):
            yield word
            seen.append(transport.sent)

    exchange(returning(body), transport=transport)
    assert [b"alpha" in seen[0], b"beta" in seen[1], b"gamma" in seen[2]] == [True, True, True]


SIZES = [1, 1023, 16384, 16385, 4 * JOIN_BYTES]  # copied into one piece with their framing up to 16 KiB


@pytest.mark.parametrize("size", SIZES)
def test_each_block_is_one_write_whatever_came_before_it(size: int) -> None:
    blocks: list[Any] = [
        b"first",
        b"x" * size,
        b"x" * size,
        bytearray(b"y" * size),
        b"z" * (size + 1),
        b"z" * 5,
        b"z" * size,
    ]
    transport = exchange(returning(Closing([item for block in blocks for item in (block, b"")])))
    assert transport.answer().body == b"".join(blocks)
    assert transport.writes[1:] == [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks[1:]] + [b"0\r\n\r\n"]
    transport = exchange(returning(Closing(blocks), length=sum(map(len, blocks))))
    assert (transport.answer().complete, transport.writes[1:]) == (True, blocks[1:])


@pytest.mark.parametrize("size", SIZES)
def test_what_follows_is_cut_at_its_length_and_nothing_more_is_asked_for(size: int) -> None:
    blocks = iter([b"first", b"x" * size, b"y" * (size + 1), b"never", b"asked for"])
    transport = exchange(returning(Closing(blocks), length=5 + size + size))
    assert (transport.answer().body, transport.answer().complete) == (b"first" + b"x" * size + b"y" * size, True)
    assert list(blocks) == [b"never", b"asked for"]


def test_start_response_may_come_with_the_first_item() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        yield b""
        start_response("404 Not Found", PLAIN)
        yield b"late"

    answer = exchange(application).answer()
    assert (answer.status, answer.body) == (404, b"late")


@pytest.mark.parametrize("chunk", [bytearray(b"data"), memoryview(b"data"), Octets(b"data")], ids=["a", "m", "o"])
def test_bytes_by_another_name_are_taken(chunk: Any) -> None:
    assert exchange(returning(Closing([chunk]))).answer().body == b"data"


# Early hints


def test_early_hints_leave_before_the_answer() -> None:
    transport = RecordingTransport()

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload"), ("Link", "</app.js>; rel=preload")])
        assert transport.sent.startswith(b"HTTP/1.1 103 Early Hints\r\n")
        start_response("200 OK", PLAIN)
        environ["wsgi.early_hints"]([("Link", "</more.css>; rel=preload")])
        return [b"body"]

    exchange(application, transport=transport)
    answer = transport.answer()
    assert [status for status, _ in answer.interim] == [103, 103]
    assert answer.interim[0][1] == (("Link", "</style.css>; rel=preload"), ("Link", "</app.js>; rel=preload"))
    assert (answer.status, answer.body) == (200, b"body")


def test_early_hints_are_nothing_to_an_old_client() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</style.css>")])
        start_response("200 OK", PLAIN)
        return [b"body"]

    assert b"103" not in exchange(application, OLD).sent


def test_early_hints_after_the_head_are_dropped() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"body"
        environ["wsgi.early_hints"]([("Link", "</style.css>")])

    transport = exchange(application)
    assert b"103" not in transport.sent
    assert transport.answer().complete


@pytest.mark.parametrize("hint", [("Link", "a\r\nX-Injected: 1"), ("Content-Length", "5"), ("", "x")])
def test_bad_hints_are_the_applications_error(hint: tuple[str, str]) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.early_hints"]([hint])
        return [b"never"]

    transport = exchange(application)
    assert transport.answer().status == 500
    assert b"103" not in transport.sent


# Words for the log


def test_a_request_is_described_by_its_target_as_it_came() -> None:
    transport = RecordingTransport()
    request, _ = transport.receive(request_line("GET /a%0Ab HTTP/1.1"))
    assert Response(request, transport).describe() == "GET /a%0Ab"
    request.target = "/login?password=secret"
    assert Response(request, transport).describe() == "GET /login"
    request.target = "/" + "x" * 5000
    assert Response(request, transport).describe() == "GET /" + "x" * 199 + "..."


def test_a_whole_answer_is_one_write() -> None:
    answer = make_answer(ResponseState.NEW)
    answer.send_failure(build_head("500 Internal Server Error", PLAIN), b"sorry")
    assert answer.state is ResponseState.FINISHED
