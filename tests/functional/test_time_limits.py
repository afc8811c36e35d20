"""Time limits through a whole server: what clients, logs and operators see of requests that take too long."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import waitressd
from tests.support.client import BrokenAnswerError
from tests.support.races import WHOLE, Races
from tests.support.records import Records
from tests.support.servers import running_server
from tests.support.tls import TlsClient, tls_files
from tests.support.waiting import wait_until
from waitressd.config.errors import ConfigError
from waitressd.net import interrupt

LIMIT: dict[str, Any] = {"request_timeout": 0.2, "threads": 2}


class Application:
    """Hangs where it is asked to, until the test ends."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.saw: list[object] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/hang":
            self.gate.wait(30)
            self.saw.append(environ["waitressd.client_disconnected"]())
        elif path == "/compute":
            try:
                while not self.gate.is_set():
                    pass
            except BaseException as error:  # border: what is tested
                self.saw.append(type(error))
                raise
        elif path == "/named":
            environ["waitressd.route"] = "/users/{id}"
            self.gate.wait(30)
        elif path == "/stream":
            return self._stream(start_response)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def _stream(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            yield b"first"
            self.gate.wait(30)
            yield b"second"
        finally:
            self.saw.append("closed")


@pytest.fixture
def application() -> Any:
    application = Application()
    yield application
    application.gate.set()


def test_a_hung_request_is_answered_504_and_the_others_go_on(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "waitressd")
    records = Records()
    with running_server(application, **LIMIT, request_log=(records,)) as server, server.connect() as client:
        begun = time.monotonic()
        response = client.get("/hang")
        assert (response.status, response.closes) == (504, True)
        assert time.monotonic() - begun >= 0.2
        client.expect_closed()
        with server.connect() as other:
            assert other.get("/").status == 200
        assert server.server.snapshot().overdue_threads == 1
        assert wait_until(lambda: len(records.all) == 2)
        hung = next(record for record in records.all if record.target == "/hang")
        assert (hung.status, hung.ended_by) == (504, "timeout")
        assert "did not answer request 1-" in hung.detail
        application.gate.set()
        assert wait_until(lambda: server.server.snapshot().overdue_threads == 0)
        assert application.saw == [True]
        assert len(records.all) == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("is over its time limit of 0.2 s" in text for text in warnings) == 1
    assert "application.py" not in warnings[0]
    assert "self.gate.wait(30)" in warnings[0]
    said = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    assert sum("which was over its time, has returned after" in text for text in said) == 1
    assert not any("left before the response" in text for text in said)  # it has not


def test_a_response_that_has_begun_is_cut_where_the_client_sees_it(application: Application) -> None:
    records = Records()
    with running_server(application, **LIMIT, request_log=(records,)) as server:
        with server.connect() as client, pytest.raises(BrokenAnswerError):
            client.get("/stream")
        with server.connect() as client:
            client.send(b"GET /stream HTTP/1.0\r\n\r\n")
            client.receive_head()
            with pytest.raises(ConnectionResetError):
                client.receive_rest()
        assert wait_until(lambda: len(records.all) == 2)
        assert [(record.status, record.ended_by) for record in records.all] == [(200, "timeout")] * 2
        application.gate.set()
        assert wait_until(lambda: application.saw == ["closed"] * 2)


def test_over_tls_a_504_is_whole_and_a_cut_is_not(application: Application, tmp_path: Path) -> None:
    with running_server(application, **LIMIT, **tls_files(tmp_path)) as server:
        with TlsClient(server.address) as client:
            assert client.get("/hang").status == 504
            client.expect_closed()  # which a client of TLS can only with the farewell
        with TlsClient(server.address) as client, pytest.raises((BrokenAnswerError, OSError)):
            client.get("/stream")
            client.receive_rest()


def test_each_route_has_its_own_limit(application: Application) -> None:
    routes = "GET /hang 60\n/users/{id} 0.2\n/* 90"
    running = running_server(application, threads=2, request_timeout_routes=routes)
    with running as server, server.connect() as hung, server.connect() as named:
        hung.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        assert named.get("/named").status == 504
        assert hung.is_silent(0.3)
        application.gate.set()
        assert hung.receive().status == 200


def test_spares_serve_in_place_of_hung_threads(application: Application) -> None:
    with running_server(application, **LIMIT, request_timeout_spares=2) as server:
        for _ in range(2):
            with server.connect() as client:
                assert client.get("/hang").status == 504
        with server.connect() as client:
            assert client.get("/").status == 200
        application.gate.set()
        assert wait_until(lambda: server.server.snapshot().busy_threads == 0)  # the spares are idle already
        assert wait_until(lambda: server.server.snapshot().idle_threads == 2)


def test_a_thread_without_a_spare_comes_back(application: Application) -> None:
    with running_server(application, request_timeout=0.2, threads=1) as server:
        with server.connect() as client:
            assert client.get("/hang").status == 504
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.is_silent(0.2)  # nobody pretends that the thread is free
            application.gate.set()
            assert client.receive().status == 200


@pytest.mark.skipif(bool(interrupt.TROUBLE), reason="only CPython interrupts")
def test_python_code_is_interrupted(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    with running_server(application, request_timeout=0.2, threads=1, request_timeout_interrupt=True) as server:
        for _ in range(3):
            with server.connect() as client:
                assert client.get("/compute").status == 504
            with server.connect() as client:
                assert client.get("/").status == 200
    assert set(application.saw) <= {waitressd.RequestTimeout}  # it may come where no `except` is asked, see the manual
    assert sum("RequestTimeout was raised in its thread" in record.getMessage() for record in caplog.records) == 3
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_an_interpreter_that_cannot_interrupt_says_so_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "TROUBLE", "only CPython can do that")
    with pytest.raises(ConfigError, match="request_timeout_interrupt = true: only CPython can do that; leave it off"):
        waitressd.create_server(Application(), listen="127.0.0.1:0", request_timeout_interrupt=True)


@pytest.mark.parametrize("interrupts", ["false", "true"])
def test_at_the_limit_a_client_gets_one_whole_answer(interrupts: str, caplog: pytest.LogCaptureFixture) -> None:
    seen = Races(8, interrupt=interrupts == "true" and not interrupt.TROUBLE).run(250)
    assert seen.keys() <= {WHOLE + "200", WHOLE + "504"}
    assert sum(seen.values()) == 250
    assert not [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_a_stop_cuts_off_what_is_late(application: Application) -> None:
    with running_server(application, **LIMIT, shutdown_timeout=0.5) as server, server.connect() as client:
        assert client.get("/hang").status == 504
        begun = time.monotonic()
        server.server.stop(0.5)
        assert wait_until(lambda: server.server.drain_end < time.monotonic(), 10)
        assert time.monotonic() - begun < 5
        application.gate.set()
