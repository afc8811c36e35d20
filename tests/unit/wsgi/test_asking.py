"""waitressd.wsgi.asking: what is said to a client that keeps its body back, and when the body is asked for."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import pytest

from tests.support.applications import PLAIN, Start
from tests.support.recording import RecordingTransport
from waitressd.http.events import Request
from waitressd.net.inquiry import Inquiry
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.task import TaskSettings, WsgiHandler

HEAD = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


class Exchange:
    """One request whose body is kept back, through the real handler and the real inquiry."""

    def __init__(self, application: Any, *, log_disconnects: bool = True) -> None:
        self.transport = RecordingTransport()
        self.transport.connection.feed(HEAD)
        request = self.transport.connection.next_event()
        assert isinstance(request, Request)
        settings = TaskSettings(log_disconnects=log_disconnects)
        handler = WsgiHandler(application, EnvironBuilder(EnvironSettings()), settings)
        self.inquiry = Inquiry(lambda body: handler(request, body, self.transport), lambda: None)
        self.inquiry.resume(None)

    def asks(self) -> bool:
        """Tell whether the application waits for its body, with nothing said yet."""
        assert not (self.inquiry.is_waiting and self.transport.sent)
        return self.inquiry.is_waiting


def starting(status: str, result: Callable[[BinaryIO], Iterable[bytes]]) -> Any:
    def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response(status, PLAIN)
        return result(environ["wsgi.input"])

    return application


def in_pieces(_body: BinaryIO) -> Iterator[bytes]:
    yield b"no"
    yield b"thing"


def writing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("403 Forbidden", PLAIN)(b"nothing")
    return []


def reading_late(body: BinaryIO) -> Iterator[bytes]:
    yield b"got "
    yield body.read()


@pytest.mark.parametrize("status", ["403 Forbidden", "303 See Other", "500 Oh"])
@pytest.mark.parametrize(
    "result", [lambda _: [b"nothing"], lambda _: [b"no", b"thing"], lambda _: [], lambda _: Sized()], ids=range(4)
)
def test_a_refusal_known_as_a_whole_does_not_ask(status: str, result: Callable[[BinaryIO], Iterable[bytes]]) -> None:
    exchange = Exchange(starting(status, result))
    assert not exchange.asks()
    assert exchange.transport.answer("POST").status == int(status[:3])
    assert exchange.transport.connection.will_close


class Sized(list[bytes]):
    """One piece."""

    def __init__(self) -> None:
        super().__init__([b"nothing"])


@pytest.mark.parametrize(
    ("application", "answer"),
    [
        (starting("200 OK", lambda _: [b"nothing"]), b"nothing"),
        (starting("204 No Content", lambda _: []), b""),
        (starting("403 Forbidden", in_pieces), b"nothing"),
        (starting("403 Forbidden", reading_late), b"got four"),
        (writing, b"nothing"),
    ],
    ids=["success", "empty", "pieces", "late", "write"],
)
def test_everything_else_asks_before_its_head_leaves(application: Any, answer: bytes) -> None:
    exchange = Exchange(application)
    assert exchange.asks()
    exchange.inquiry.resume(io.BytesIO(b"four"))
    assert not exchange.asks()
    assert exchange.transport.answer("POST").body == answer


@pytest.mark.parametrize("how", ["whole", "hints", "pieces"])
def test_nothing_is_said_when_the_body_is_lost(how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        with pytest.raises(ConnectionAbortedError):
            environ["wsgi.input"].read()
        start_response("403 Forbidden", PLAIN)
        if how == "hints":
            environ["wsgi.early_hints"]([("Link", "</a>")])
        return [b"nothing"] if how == "whole" else iter([b"nothing", b"more"])

    exchange = Exchange(application)
    assert exchange.asks()
    assert exchange.inquiry.give_up()
    exchange.inquiry.abandon()
    assert exchange.transport.sent == b""
    assert not exchange.transport.connection.response_done
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_body_wanted_behind_a_whole_answer_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    class Late(Sized):
        def __init__(self, body: BinaryIO) -> None:
            super().__init__()
            self.body = body

        def close(self) -> None:
            self.body.read()

    exchange = Exchange(starting("403 Forbidden", Late))
    assert exchange.transport.connection.response_done
    assert exchange.inquiry.give_up()
    exchange.inquiry.abandon()
    assert exchange.transport.answer("POST").body == b"nothing"
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("logged", [True, False])
def test_who_reads_behind_the_whole_answer_is_no_failure(*, logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def result(body: BinaryIO) -> Iterator[bytes]:
        yield b"nothing"
        yield body.read()

    def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("403 Forbidden", [*PLAIN, ("Content-Length", "7")])
        return result(environ["wsgi.input"])

    exchange = Exchange(application, log_disconnects=logged)
    assert exchange.transport.connection.response_done
    assert exchange.inquiry.give_up()
    exchange.inquiry.abandon()
    assert exchange.transport.answer("POST").body == b"nothing"
    assert [record.levelname for record in caplog.records] == ["INFO"] * logged
