"""start_response, write() and exc_info as PEP 3333 has them."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.support.client import BrokenAnswerError
from tests.support.servers import running_server

Start = Callable[..., Callable[[bytes], None]]
PLAIN = [("Content-Type", "text/plain")]


def writes(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    write(b"written, ")
    write(b"")
    write(b"then ")
    return [b"returned"]


def starts_late(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    start_response("404 Not Found", [*PLAIN, ("X-Late", "yes")])
    yield b"late"


def replaces(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("X-Old", "1")])
    try:
        raise ValueError
    except ValueError:
        start_response("503 Replaced", [("X-New", "1")], sys.exc_info())
    return [b"replaced"]


def replaces_too_late(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"first"
    try:
        raise ValueError
    except ValueError:
        start_response("503 Replaced", [], sys.exc_info())
    yield b"never"


def starts_twice(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    start_response("201 Created", PLAIN)
    return [b"never"]


def never_starts(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    return [b"never"]


def returns_bytes(environ: dict[str, Any], start_response: Start) -> bytes:
    start_response("200 OK", PLAIN)
    return b"never"


def returns_none(environ: dict[str, Any], start_response: Start) -> None:
    start_response("200 OK", PLAIN)


def yields_text(environ: dict[str, Any], start_response: Start) -> Iterator[str]:
    start_response("200 OK", PLAIN)
    yield "never"


def test_write_comes_before_what_is_returned() -> None:
    with running_server(writes) as server, server.connect() as client:
        assert client.get("/").chunks == (b"written, ", b"then ", b"returned")


def test_start_response_may_be_called_at_the_first_iteration() -> None:
    with running_server(starts_late) as server, server.connect() as client:
        answer = client.get("/")
        assert (answer.status, answer.get("X-Late"), answer.body) == (404, "yes", b"late")


def test_exc_info_replaces_a_head_that_has_not_left() -> None:
    with running_server(replaces) as server, server.connect() as client:
        answer = client.get("/")
        assert (answer.status, answer.reason, answer.body) == (503, "Replaced", b"replaced")
        assert (answer.get("X-Old"), answer.get("X-New")) == (None, "1")


def test_exc_info_after_the_head_raises_and_breaks_the_answer_off() -> None:
    with running_server(replaces_too_late) as server, server.connect() as client:
        with pytest.raises(BrokenAnswerError):
            client.get("/")
        with server.connect() as other, pytest.raises(BrokenAnswerError):
            other.get("/")


@pytest.mark.parametrize(
    "application",
    [starts_twice, never_starts, returns_bytes, returns_none, yields_text],
    ids=lambda each: each.__name__,
)
def test_an_application_that_breaks_the_contract_gets_500_and_a_line_in_the_log(
    application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server(application) as server, server.connect() as client:
        answer = client.get("/")
        assert (answer.status, b"never" in answer.body) == (500, False)
        assert client.get("/").status == 500
    assert [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_head_that_cannot_be_sent_can_be_corrected_by_the_application() -> None:
    def corrects(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        try:
            start_response("200 OK", [("X-Bad", "a\r\nb")])
        except Exception:  # border: whatever class the server uses for it
            start_response("200 OK", PLAIN)
        return [b"corrected"]

    with running_server(corrects) as server, server.connect() as client:
        assert client.get("/").body == b"corrected"
