"""waitressd.wsgi.task: whatever the application raises, the thread lives and no broken answer looks complete."""

import io
import logging
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from tests.support.applications import HEAD, PLAIN, Closing, Start
from tests.support.recording import RecordingTransport, exchange
from waitressd.http.errors import ClientDisconnected, HttpError, ResponseError
from waitressd.http.states import Persistence
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.task import TaskSettings, WsgiHandler

GET = b"GET /path?query HTTP/1.1\r\nHost: example.com\r\n\r\n"

ERRORS: list[BaseException] = [
    RuntimeError("secret"),
    AssertionError("secret"),
    MemoryError(),
    OSError(32, "secret"),
    ConnectionResetError("secret"),
    TimeoutError("secret"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "secret"),
    RecursionError("secret"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    BaseException("secret"),
    StopIteration("secret"),
    HttpError(404, "secret"),  # ours, but not ours to raise
    ResponseError("secret"),
]
kinds_of_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


@kinds_of_error
@pytest.mark.parametrize("started", [False, True])
def test_an_error_before_the_head_is_a_500(
    error: BaseException, *, started: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        if started:
            start_response("200 OK", [*PLAIN, ("X-Secret", "1"), ("Content-Length", "5")])
        raise error

    transport = exchange(application, GET)
    answer = transport.answer()
    assert (answer.status, answer.reason, answer.complete) == (500, "Internal Server Error", True)
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    assert b"secret" not in transport.sent.lower()
    assert len(transport.writes) == 1
    # The request was read in whole, so the connection is in step and stays.
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert errors(caplog) == ["Exception while serving GET /path for 127.0.0.1"]
    assert caplog.records[0].exc_info
    assert caplog.records[0].exc_info[1] is error


@kinds_of_error
def test_an_error_before_the_first_bytes_is_a_500(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def body() -> Iterator[bytes]:
        yield b""
        if isinstance(error, StopIteration):
            pytest.skip("a generator turns it into a RuntimeError")
        raise error

    result = Closing(body())

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN)
        return result

    answer = exchange(application).answer()
    assert (answer.status, answer.complete) == (500, True)
    assert result.closed_count == 1
    assert len(errors(caplog)) == 1


@kinds_of_error
@pytest.mark.parametrize("length", [None, 100])
def test_an_error_behind_the_head_breaks_the_answer_off(
    error: BaseException, length: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    def body() -> Iterator[bytes]:
        yield b"first part"
        if isinstance(error, StopIteration):
            pytest.skip("a generator turns it into a RuntimeError")
        raise error

    result = Closing(body())

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN if length is None else [("Content-Length", str(length))])
        return result

    transport = exchange(application)
    answer = transport.answer()
    assert (answer.status, answer.body, answer.complete) == (200, b"first part", False)
    assert not transport.connection.encoder.response_done
    assert result.closed_count == 1
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("written", [False, True])
def test_an_error_behind_the_last_byte_changes_nothing(*, written: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The client has all that was promised; breaking the connection off could only take it away again."""

    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        if written:
            write(b"hello")
        else:
            yield b"hello"
        raise RuntimeError

    transport = exchange(application)
    answer = transport.answer()
    assert (answer.body, answer.complete) == (b"hello", True)
    assert transport.connection.encoder.response_done
    assert len(errors(caplog)) == 1


def test_an_error_after_write_breaks_the_answer_off() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", PLAIN)(b"written")
        raise RuntimeError

    transport = exchange(application)
    assert not transport.answer().complete
    assert not transport.connection.encoder.response_done


def test_a_failed_head_request_has_no_body() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError

    transport = exchange(application, HEAD)
    assert transport.answer("HEAD").status == 500
    assert transport.sent.endswith(b"\r\n\r\n")


def test_a_failure_is_signed() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError

    answer = exchange(application, settings=TaskSettings(signature="mine")).answer()
    assert answer.body.startswith(b"Internal Server Error\r\n\r\n")
    assert answer.body.endswith(b"\r\n\r\n(generated by mine)\r\n")


@pytest.mark.parametrize("text", ["caf\xe9", "\u0142\U0001f600", "lone \udc80 surrogate"], ids=ascii)
def test_tracebacks_are_shown_where_that_is_wanted(text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "waitressd")  # a report with a lone surrogate cannot go from process to process

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError(text)

    answer = exchange(application, settings=TaskSettings(expose_tracebacks=True)).answer()
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    body = answer.body.decode("utf-8")
    assert "Traceback (most recent call last):" in body
    assert f"RuntimeError: {text}".encode("utf-8", "backslashreplace").decode() in body


# Closing the iterable


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_an_error_in_close_changes_nothing(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    result = Closing(iter([b"ok"]), error)

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", [("Content-Length", "2")])
        return result

    transport = exchange(application, GET)
    answer = transport.answer()
    assert (answer.status, answer.body, answer.complete) == (200, b"ok", True)
    assert transport.connection.encoder.response_done
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert result.closed_count == 1
    assert errors(caplog) == ["close() of the response to GET /path failed"]


def test_an_error_in_close_does_not_hide_the_first_one(caplog: pytest.LogCaptureFixture) -> None:
    def body() -> Iterator[bytes]:
        yield b""
        raise RuntimeError("the first")

    result = Closing(body(), RuntimeError("the second"))

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN)
        return result

    assert exchange(application).answer().status == 500
    assert result.closed_count == 1
    assert "the first" in caplog.text
    assert "the second" in caplog.text


@pytest.mark.parametrize("data", [GET, HEAD], ids=["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
def test_close_is_called_when_the_answer_is_complete(data: bytes, status: str) -> None:
    result = Closing(iter([b"a", b"b"]))

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, [])
        return result

    transport = exchange(application, data)
    assert transport.connection.encoder.response_done
    assert result.closed_count == 1


def test_close_comes_after_the_last_byte() -> None:
    transport = RecordingTransport()
    sent_at_close: list[bytes] = []

    class Result:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"body"])

        def close(self) -> None:
            sent_at_close.append(transport.sent)

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN)
        return Result()

    exchange(application, transport=transport)
    assert sent_at_close == [transport.sent]


# A client that leaves


@pytest.mark.parametrize("leaves_after_bytes", [0, 1000])
@pytest.mark.parametrize("length", [None, 100_000])
def test_a_client_that_left_stops_the_answer(
    leaves_after_bytes: int, length: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked: list[int] = []

    def body() -> Iterator[bytes]:
        for index in range(1000):
            asked.append(index)
            yield b"x" * 100

    result = Closing(body())

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN if length is None else [("Content-Length", str(length))])
        return result

    transport = RecordingTransport(leaves_after_bytes=leaves_after_bytes)
    exchange(application, GET, transport=transport)
    assert len(asked) <= 1 + leaves_after_bytes // 100
    assert result.closed_count == 1
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "The client 127.0.0.1 left before the response to GET /path was complete")
    ]


def test_who_left_may_stay_unlogged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    transport = RecordingTransport(leaves_after_bytes=0)
    exchange(
        lambda _environ, start: [start("200 OK", []), [b"x"]][1],
        transport=transport,
        settings=TaskSettings(log_disconnects=False),
    )
    assert caplog.records == []


def test_the_application_learns_of_it_when_it_writes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    caught: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", PLAIN)
        try:
            write(b"x")
        except ClientDisconnected as error:
            caught.append(error)
        assert environ["waitressd.client_disconnected"]()
        return [b"goes on regardless"]

    transport = exchange(application, transport=RecordingTransport(leaves_after_bytes=0))
    assert len(caught) == 1
    assert transport.writes == []
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_client_that_left_before_its_500(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError

    exchange(application, transport=RecordingTransport(leaves_after_bytes=0))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_the_application_can_ask_whether_the_client_left() -> None:
    transport = RecordingTransport()

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        for key in ("waitressd.client_disconnected", "waitress.client_disconnected"):
            assert environ[key]() is False
            transport.gone = True
            assert environ[key]() is True
            transport.gone = False
        start_response("200 OK", PLAIN)
        return [b"asked"]

    assert exchange(application, transport=transport).answer().body == b"asked"


# The border


def test_a_failure_that_cannot_be_answered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RecordingTransport):
        def write(self, data: bytes) -> None:
            raise RuntimeError("the transport is broken")

    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError

    exchange(application, GET, transport=Broken())
    assert errors(caplog)[1:] == ["The failure of GET /path for 127.0.0.1 could not be answered"]


def test_what_a_proxy_cannot_mean_is_a_400() -> None:
    proxies = TrustedProxies(everyone=True, headers=frozenset({"forwarded"}))
    settings = EnvironSettings(proxies=proxies)
    data = b'GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=":80"\r\n\r\n'
    called: list[bool] = []
    transport = exchange(lambda _environ, _start: called.append(True), data, environ=settings)
    answer = transport.answer()
    assert (answer.status, answer.get("Connection"), called) == (400, "close", [])
    assert transport.connection.encoder.response_done


def test_requests_of_one_connection_know_nothing_of_each_other() -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        number = environ["QUERY_STRING"]
        start_response("200 OK", [("X-Number", number)])
        return [number.encode()]

    handler = WsgiHandler(application, EnvironBuilder(EnvironSettings()), TaskSettings())
    transport = RecordingTransport()
    for number in range(3):
        transport.writes.clear()
        request, body = transport.receive(b"GET /?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        handler(request, body, transport)
        answer = transport.answer()
        assert (answer.body, answer.get("X-Number")) == (str(number).encode(), str(number))


def test_the_client_of_a_log_line_is_whom_the_environ_names(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise RuntimeError

    exchange(application, transport=RecordingTransport("[2001:db8::1]:80"))
    assert errors(caplog) == ["Exception while serving GET / for 2001:db8::1"]


# The request body


def post(content: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


@pytest.mark.parametrize("fails", [False, True])
def test_the_body_is_closed_after_the_answer(*, fails: bool) -> None:
    inputs: list[Any] = []

    def application(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        inputs.append(environ["wsgi.input"])
        start_response("200 OK", PLAIN)
        yield environ["wsgi.input"].read()
        assert not fails

    transport = exchange(application, post(b"content"))
    assert b"content" in transport.sent
    assert inputs[0].closed


def test_a_body_that_cannot_be_closed_is_only_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(io.BytesIO):
        refused = False

        def close(self) -> None:
            if not self.refused:
                self.refused = True
                raise OSError(28, "No space left on device")
            super().close()

    transport = RecordingTransport()
    request, _ = transport.receive(post(b""))
    handler = WsgiHandler(
        lambda _environ, start: [start("200 OK", []), []][1], EnvironBuilder(EnvironSettings()), TaskSettings()
    )
    handler(request, Stubborn(), transport)
    assert transport.answer().status == 200
    assert "temporary file could not be closed" in caplog.text


# A judge of its own


@pytest.mark.parametrize(
    "data",
    [GET, HEAD, post(b"content"), b"OPTIONS /x HTTP/1.0\r\n\r\n", b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ids=["GET", "HEAD", "POST", "1.0", "absolute"],
)
@pytest.mark.parametrize("peer", ["127.0.0.1:1", "unix:", "[::1]:1"])
def test_the_validator_of_the_standard_library_agrees(data: bytes, peer: str, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(10)
        environ["wsgi.input"].readline()
        list(environ["wsgi.input"])
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].flush()
        body = b"valid"
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    transport = exchange(validator(application), data, transport=RecordingTransport(peer))
    assert caplog.records == []
    assert transport.sent.startswith(b"HTTP/1.1 200 OK\r\n")
