"""A handler with an observer tells what its application raised, and nothing else is different."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.recording import RecordingTransport
from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.task import Application, TaskSettings, WsgiHandler

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Listening:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.watched = 0

    def watch(self, application: Application, /) -> Application:
        def watched(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            self.watched += 1
            return application(environ, start_response)

        return watched

    def fail(self, error: BaseException, /) -> None:
        self.errors.append(error)


def run(application: Application, transport: RecordingTransport, data: bytes = REQUEST + b"\r\n") -> Listening:
    listening = Listening()
    proxies = TrustedProxies(everyone=True, headers=frozenset({"x-forwarded-for"}))
    handler = WsgiHandler(application, EnvironBuilder(EnvironSettings(proxies=proxies)), TaskSettings(), listening)
    request, body = transport.receive(data)
    handler(request, body, transport)
    return listening


def hello(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def failing(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    raise ValueError("on purpose")


def test_an_answer_is_as_without_an_observer() -> None:
    transport = RecordingTransport()
    listening = run(hello, transport)
    assert (listening.watched, listening.errors) == (1, [])
    assert transport.answer().body == b"hello"


def test_a_failure_is_told_and_answered() -> None:
    transport = RecordingTransport()
    listening = run(failing, transport)
    assert [type(error) for error in listening.errors] == [ValueError]
    assert transport.answer().status == 500


def test_a_client_that_left_is_told() -> None:
    listening = run(hello, RecordingTransport(leaves_after_bytes=0))
    assert [type(error) for error in listening.errors] == [ClientDisconnected]


def test_a_refused_environ_is_told(caplog: pytest.LogCaptureFixture) -> None:
    transport = RecordingTransport()
    listening = run(hello, transport, REQUEST + b"X-Forwarded-For: <nonsense>\r\n\r\n")
    assert [type(error) for error in listening.errors] == [HttpError]
    assert listening.watched == 0
    assert transport.answer().status == 400
