"""An application may refuse an upload before it is sent; while it waits for one it holds no thread of the pool."""

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pytest

from tests.apps.plain import hello
from tests.support.client import many_clients
from tests.support.servers import running_server
from tests.support.waiting import wait_until

HEAD = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


class Asked:
    """An application that treats the body as the path says, and tells what came of it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.raised: BaseException | None = None
        self.body = b""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/":
            return hello(environ, start_response)
        self.begun.set()
        try:
            return self.treat(path, environ, start_response)
        except BaseException as error:  # border: it is what the test looks at
            self.raised = error
            if path != "/stubborn":
                raise
            start_response("200 OK", [])
            return [b"never mind"]
        finally:
            self.ended.set()

    def treat(self, path: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if path == "/fail":
            raise ValueError("on purpose")
        if path == "/refuse":
            start_response("403 Forbidden", [])
            return [b"not you"]
        if path.startswith("/refuse-"):
            return self.refuse(path, environ["wsgi.input"], start_response)
        if path == "/ignore":
            start_response("200 OK", [])
            return [b"not interested"]
        self.body = environ["wsgi.input"].read()
        start_response("403 Forbidden" if path == "/read-and-refuse" else "200 OK", [])
        return [self.body]

    def refuse(self, path: str, stream: BinaryIO, start_response: Any) -> Iterable[bytes]:
        """Refuse, and read all the same: behind the answer, in its midst, or when it is closed."""
        if path == "/refuse-and-read":
            start_response("403 Forbidden", [("Content-Length", "7")])
            return self.and_read(stream)
        if path == "/refuse-in-pieces":
            start_response("403 Forbidden", [])
            return self.in_pieces(stream)
        start_response("403 Forbidden", [])
        return ReadsWhenClosed(stream)

    def and_read(self, stream: BinaryIO) -> Iterator[bytes]:
        yield b"not you"
        self.body = stream.read()

    def in_pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        yield b"not "
        self.body = stream.read()
        yield b"you"


class ReadsWhenClosed(list[bytes]):
    """An answer that reads the request's body when it is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__([b"not you"])
        self.stream = stream

    def close(self) -> None:
        self.stream.read()


@pytest.fixture
def application() -> Asked:
    return Asked()


def test_a_refusal_by_the_head_alone_comes_without_100(application: Asked) -> None:
    with running_server(application) as server, server.connect() as client:
        client.send(HEAD % b"/refuse")
        answer = client.receive()
        assert (answer.status, answer.body, answer.interim, answer.closes) == (403, b"not you", (), True)
        client.send(b"hello")
        client.expect_closed()


@pytest.mark.parametrize("path", [b"/refuse-and-read", b"/refuse-and-close"])
@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("late", [True, False])
def test_a_refusal_is_whole_although_more_is_wanted(
    application: Asked, path: bytes, fields: bytes, *, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The body may come while the answer goes out, and the application reads when everything is said."""
    body = bytes(200_000)
    head = HEAD.replace(b"Length: 5", b"Length: 200000").replace(b"Expect", fields + b"Expect") % path
    with running_server(application) as server, server.connect() as client:
        client.send(head if late else head + body)
        if late:
            assert application.ended.wait(10)
            client.send(body)
        answer = client.receive()
        assert (answer.status, answer.body, answer.interim, answer.closes) == (403, b"not you", (), True)
        client.expect_closed()
    assert application.body == b""
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_an_answer_in_pieces_asks_first_whatever_it_says(application: Asked) -> None:
    with running_server(application) as server, server.connect() as client:
        for _ in range(2):
            client.send(HEAD % b"/refuse-in-pieces")
            assert client.receive_head().status == 100
            client.send(b"hello")
            answer = client.receive()
            assert (answer.status, answer.body, answer.closes) == (403, b"not you", False)
    assert application.body == b"hello"


@pytest.mark.parametrize("settings", [{"early_refusals": False}, {"threads": 3}])
def test_where_it_is_off_the_body_comes_first(application: Asked, settings: dict[str, Any]) -> None:
    with running_server(application, **settings) as server, server.connect() as client:
        client.send(HEAD % b"/refuse")
        assert client.receive_head().status == 100
        assert not application.begun.is_set()
        client.send(b"hello")
        answer = client.receive()
        assert (answer.status, answer.closes) == (403, False)


def test_a_failure_before_the_body_is_read_comes_without_100(application: Asked) -> None:
    with running_server(application) as server, server.connect() as client:
        client.send(HEAD % b"/fail")
        answer = client.receive()
        assert (answer.status, answer.interim, answer.closes) == (500, (), True)
        client.expect_closed()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (b"/read", 200, b"hello"),
        (b"/read-and-refuse", 403, b"hello"),
        (b"/ignore", 200, b"not interested"),
    ],
)
def test_a_body_that_is_wanted_is_asked_for_once(application: Asked, path: bytes, status: int, body: bytes) -> None:
    with running_server(application) as server, server.connect() as client:
        for _ in range(3):
            client.send(HEAD % path)
            assert client.receive_head().status == 100
            client.send(b"hel")
            client.send(b"lo")
            answer = client.receive()
            assert (answer.status, answer.body, answer.interim, answer.closes) == (status, body, (), False)
        assert client.get("/").body == b"Hello, world!"


@pytest.mark.parametrize("leave", ["close", "reset", "finish_sending"])
def test_a_client_that_leaves_is_an_error_of_the_read(application: Asked, leave: str) -> None:
    with running_server(application, threads=4) as server:
        with server.connect() as client:
            client.send(HEAD % b"/read")
            assert client.receive_head().status == 100
            client.send(b"hel")
            getattr(client, leave)()
            assert application.ended.wait(10)
        with server.connect() as other:
            assert other.get("/").status == 200
    assert application.raised is not None
    assert application.body == b""


def test_a_body_that_does_not_come_is_408_and_an_error_of_the_read(application: Asked) -> None:
    with running_server(application, channel_timeout=1, threads=4) as server, server.connect() as client:
        client.send(HEAD % b"/read")
        assert client.receive_head().status == 100
        assert client.receive().status == 408
        client.expect_closed()
        assert application.ended.wait(10)
        with server.connect() as other:
            assert other.get("/").status == 200
    assert application.raised is not None


def test_what_an_application_says_after_that_goes_nowhere(application: Asked) -> None:
    with running_server(application, channel_timeout=1, threads=4) as server, server.connect() as client:
        client.send(HEAD % b"/stubborn")
        assert client.receive_head().status == 100
        assert client.receive().status == 408
        assert application.ended.wait(10)
        client.expect_closed()


def test_only_so_many_are_asked_first_and_none_of_them_holds_a_thread() -> None:
    called = []
    everybody = threading.Event()

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            called.append(1)
            body = environ["wsgi.input"].read()
            everybody.wait(10)
            start_response("200 OK", [])
            return [body]
        return hello(environ, start_response)

    with running_server(counting, threads=4) as server, many_clients(server.address, 10) as clients:
        for client in clients:
            client.send(HEAD % b"/upload")
            assert client.receive_head().status == 100
        assert len(called) == 1
        with server.connect() as other:
            assert other.get("/").status == 200
        everybody.set()
        for client in clients:
            client.send(b"hello")
        assert [client.receive().body for client in clients] == [b"hello"] * 10


def test_a_stop_does_not_wait_longer_than_it_should(application: Asked) -> None:
    with running_server(application, shutdown_timeout=1) as server, server.connect() as client:
        client.send(HEAD % b"/read")
        assert client.receive_head().status == 100
        server.stop()
        assert application.ended.wait(10)
    assert application.raised is not None


def test_a_stop_lets_the_body_come(application: Asked) -> None:
    with running_server(application) as server, server.connect() as client:
        client.send(HEAD % b"/read")
        assert client.receive_head().status == 100
        stopper = threading.Thread(target=server.server.close)
        stopper.start()
        client.send(b"hello")
        answer = client.receive()
        assert (answer.status, answer.body, answer.closes) == (200, b"hello", True)
        client.close()
        stopper.join(10)
        assert not stopper.is_alive()


def test_the_stack_of_one_that_hangs_is_the_application_s(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    def hang_on_purpose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        go_on.wait(10)
        start_response("403 Forbidden", [])
        return []

    with running_server(hang_on_purpose, task_log_timeout=1) as server, server.connect() as client:
        client.send(HEAD % b"/")
        assert wait_until(lambda: "POST / of " in caplog.text)
        go_on.set()
        assert client.receive().status == 403
    assert "in hang_on_purpose" in caplog.text


@pytest.mark.parametrize("path", [b"/read", b"/refuse", b"/ignore"])
def test_a_request_log_has_one_record_of_it(application: Asked, path: bytes) -> None:
    records: list[Any] = []
    with running_server(application, request_log=records.append) as server, server.connect() as client:
        client.send(HEAD % path)
        if path != b"/refuse":
            assert client.receive_head().status == 100
            client.send(b"hello")
        status = client.receive().status
    (record,) = records
    assert record.status == status
    assert record.body_bytes_received == (0 if path == b"/refuse" else 5)


def test_nothing_is_reported_as_a_defect(application: Asked, caplog: pytest.LogCaptureFixture) -> None:
    with running_server(application, threads=4) as server:
        for number in range(40):
            with server.connect() as client:
                client.send(HEAD % [b"/read", b"/ignore", b"/stubborn", b"/refuse"][number % 4])
                if number % 3:
                    client.sock.recv(100)
                client.send(b"hello"[: number % 6])
                if number % 5:
                    client.reset()
    assert not [record for record in caplog.records if record.levelno >= logging.CRITICAL]
