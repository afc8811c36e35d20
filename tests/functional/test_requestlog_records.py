"""Each request gives exactly one record, whatever becomes of it, and the record says what happened."""

import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.records import Records
from tests.support.servers import RunningServer, running_server

OK = "200 OK"
PLAIN = [("Content-Type", "text/plain")]


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(OK, PLAIN)
    return [b"hello"]


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response(OK, [("Content-Length", str(len(body)))])
    return [body]


def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise RuntimeError("on purpose")


def failing_late(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(OK, PLAIN)
    yield b"first"
    raise RuntimeError("on purpose")


def too_short(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(OK, [("Content-Length", "10")])
    return [b"12345"]


def endless(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(OK, PLAIN)
    while True:
        yield b"x" * 65536


def large(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response(OK, PLAIN)
    return [b"x" * 8_000_000]


class Gate:
    """An application whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.entered.release()
        assert self.leave.wait(30)
        start_response(OK, PLAIN)
        return [b"late"]


@contextmanager
def recorded(application: Any, **settings: Any) -> Iterator[tuple[RunningServer, Records]]:
    """Run a server with a log; the first thing that a test sees wrong is a second record."""
    records = Records()
    with running_server(application, request_log=records, **settings) as server:
        yield server, records
    before = len(records.all)
    assert records.closed == 1
    assert len({(record.connection, record.number) for record in records.all}) == before


def test_an_answered_request() -> None:
    with recorded(hello) as (server, records), server.connect() as client:
        before = time.time()
        client.request(b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n")
        (record,) = records.wait()
        local = client.sock.getsockname()
        assert record.peer == f"127.0.0.1:{local[1]}"
        assert record.listener == f"127.0.0.1:{server.port}"
    assert (record.method, record.target, record.version) == ("GET", "/a%20b?c=d", "HTTP/1.1")
    assert (record.status, record.body_bytes_sent, record.body_bytes_received) == (200, 5, 0)
    assert (record.client, record.number, record.ended_by) == ("127.0.0.1", 1, "")
    assert record.request_field("user-agent") == "test"
    assert record.response_field("CONTENT-TYPE") == "text/plain"
    assert abs(record.time - before) < 5
    times = (record.receive_time, record.queue_time, record.application_time, record.first_byte_time, record.flush_time)
    assert all(seconds is not None and 0 <= seconds <= record.duration for seconds in times)
    assert record.environ is not None
    assert record.environ["waitressd.request_id"] == record.request_id
    assert record.environ["waitressd.traceparent"] == record.traceparent
    assert (record.exception, record.refusal, record.detail) == (None, None, "")


def test_requests_of_a_connection_are_numbered() -> None:
    with recorded(hello) as (server, records):
        with server.connect() as client:
            for _ in range(3):
                client.get()
        with server.connect() as client:
            client.get()
        found = records.wait(4)
    assert [record.number for record in found] == [1, 2, 3, 1]
    assert len({record.connection for record in found}) == 2
    assert len({record.request_id for record in found}) == 4


def test_pipelined_requests_give_a_record_each() -> None:
    with recorded(hello) as (server, records), server.connect() as client:
        client.send(
            b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        for _ in range(3):
            client.receive()
        assert [record.target for record in records.wait(3)] == ["/1", "/2", "/3"]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_request_body_is_counted(framing: str) -> None:
    with recorded(echo) as (server, records), server.connect() as client:
        if framing == "length":
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
            client.send(b"56789")
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
            client.send(b"5;x=y\r\n56789\r\n0\r\n\r\n")
        assert client.receive().body == b"0123456789"
        (record,) = records.wait()
    assert (record.body_bytes_received, record.body_bytes_sent) == (10, 10)
    assert record.environ is not None


def test_the_time_of_a_slow_upload_is_its_own() -> None:
    with recorded(echo) as (server, records), server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert client.is_silent(0.5)
        client.send(b"0123")
        client.receive()
        (record,) = records.wait()
    # The clock of the server starts when it sees the head, which may be a little later than the client's.
    assert record.receive_time is not None
    assert record.application_time is not None
    assert record.duration >= record.receive_time > 0.25
    assert record.duration >= record.receive_time + record.application_time


@pytest.mark.parametrize(
    ("method", "path", "expected"), [("HEAD", "/", 0), ("GET", "/", 5)],
)  # fmt: skip
def test_a_body_that_is_hidden_is_not_counted(method: str, path: str, expected: int) -> None:
    with recorded(hello) as (server, records), server.connect() as client:
        client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.receive(method)
        (record,) = records.wait()
    assert (record.status, record.body_bytes_sent) == (200, expected)


def test_a_large_answer_is_recorded_when_it_is_with_the_kernel() -> None:
    with recorded(large) as (server, records), server.connect(receive_buffer_bytes=8192) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        assert records.all == []
        client.receive()
        (record,) = records.wait()
    assert (record.ended_by, record.body_bytes_sent) == ("", 8_000_000)
    assert record.flush_time is not None
    assert record.flush_time > 0.2
    assert record.application_time is not None
    assert record.application_time < record.duration - 0.2


def test_an_application_that_raises() -> None:
    with recorded(failing) as (server, records), server.connect() as client:
        assert client.get().status == 500
        (record,) = records.wait()
    assert (record.status, record.ended_by) == (500, "error")
    assert isinstance(record.exception, RuntimeError)
    assert record.body_bytes_sent > 0


@pytest.mark.parametrize("application", [failing_late, too_short])
def test_an_answer_that_breaks_off(application: Any) -> None:
    with recorded(application) as (server, records), server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.receive_rest()
        (record,) = records.wait()
    assert (record.status, record.ended_by, record.body_bytes_sent) == (200, "error", 5)


@pytest.mark.parametrize(
    ("data", "status", "line"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "GET / HTTP/1.1"),
        (b"NONSENSE\r\n\r\n", 400, "NONSENSE"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400, "\x16\x03\x01\x02\x00\x01\x00\x01"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70000 + b"\r\n\r\n", 431, "GET / HTTP/1.1"),
        (b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", 413, "POST /up HTTP/1.1"),
        (b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400, "POST /up HTTP/1.1"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "GET / HTTP/3.0"),
    ],
)  # fmt: skip
def test_a_refused_request(data: bytes, status: int, line: str) -> None:
    with recorded(hello, max_request_body_size=1000) as (server, records), server.connect() as client:
        client.send(data)
        assert client.receive().status == status
        (record,) = records.wait()
    assert (record.status, record.ended_by, record.request_line) == (status, "refused", line)
    assert record.environ is None
    assert record.client == "127.0.0.1"
    assert record.request_id
    assert record.detail
    assert record.application_time is None
    assert record.body_bytes_sent > 0


def test_a_head_that_does_not_arrive_in_time() -> None:
    with recorded(hello, request_header_timeout=0.2) as (server, records), server.connect() as client:
        client.send(b"GET /slow HTTP/1.1\r\nHos")
        assert client.receive().status == 408
        (record,) = records.wait()
    assert (record.status, record.ended_by, record.target) == (408, "deadline", "/slow")
    assert record.duration >= 0.15


def test_a_client_that_leaves_in_the_middle_of_a_head() -> None:
    with recorded(hello) as (server, records):
        with server.connect() as client:
            client.send(b"GET /gone HTTP/1.1\r\nHos")
            assert client.is_silent(0.1)
        (record,) = records.wait()
    assert (record.status, record.ended_by) == (0, "client")


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_leaves_in_the_middle_of_a_body(how: str) -> None:
    with recorded(hello) as (server, records):
        client = server.connect()
        client.send(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
        assert client.is_silent(0.1)
        getattr(client, how)()
        (record,) = records.wait()
    assert record.target == "/up"
    assert record.body_bytes_received == 5
    assert (record.status, record.ended_by) in {(0, "client"), (400, "client")}


def test_a_connection_without_a_request_gives_no_record() -> None:
    with recorded(hello) as (server, records):
        server.connect().close()
        with server.connect() as client:
            client.send(b"\r\n")
            assert client.is_silent(0.1)
        with server.connect() as client:
            client.get()
        records.wait(1)


def test_a_client_that_leaves_during_the_answer() -> None:
    with recorded(endless) as (server, records):
        client = server.connect(receive_buffer_bytes=8192)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.receive_head()
        client.reset()
        (record,) = records.wait()
    assert (record.status, record.ended_by) == (200, "client")
    assert record.body_bytes_sent > 0


def test_a_client_that_takes_nothing() -> None:
    settings = {"send_timeout": 0.3, "min_rate_grace": 0.1}
    with recorded(large, **settings) as (server, records), server.connect(receive_buffer_bytes=8192) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        (record,) = records.wait()
    assert (record.status, record.ended_by) == (200, "deadline")
    assert 0 < record.body_bytes_sent < 8_000_000


def test_a_request_that_waits_for_a_thread() -> None:
    gate = Gate()
    with recorded(gate, threads=1) as (server, records), server.connect() as first, server.connect() as second:
        first.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.entered.acquire(timeout=10)
        second.send(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert second.is_silent(0.3)
        gate.leave.set()
        first.receive()
        second.receive()
        found = {record.target: record for record in records.wait(2)}
    queued = found["/2"].queue_time
    assert queued is not None
    assert queued >= 0.2
    assert found["/2"].duration >= queued
    assert (found["/1"].queue_time or 0.0) < queued / 2


@pytest.mark.parametrize(
    ("settings", "ended_by"), [({"queue_timeout": 0.2}, "deadline"), ({"queue_limit": 1}, "refused")]
)
def test_a_request_that_no_thread_takes(settings: dict[str, Any], ended_by: str) -> None:
    gate = Gate()
    with recorded(gate, threads=1, **settings) as (server, records):
        clients = [server.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if not number:
                assert gate.entered.acquire(timeout=10)
            assert client.is_silent(0.05) or number == 2
        records.wait_until(lambda found: any(record.status == 503 for record in found))
        gate.leave.set()
        for client in clients:
            client.receive()
            client.close()
        found = records.wait(3)
    refused = [record for record in found if record.status == 503]
    assert refused
    assert {record.ended_by for record in refused} == {ended_by}
    assert all(record.application_time is None and record.target for record in refused)


def test_a_client_that_leaves_while_it_waits_for_a_thread() -> None:
    gate = Gate()
    with recorded(gate, threads=1) as (server, records):
        with server.connect() as first:
            first.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert gate.entered.acquire(timeout=10)
            second = server.connect()
            second.send(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert second.is_silent(0.1)
            second.reset()
            (record,) = records.wait(1)
            assert (record.target, record.status, record.ended_by) == ("/2", 0, "client")
            gate.leave.set()
            first.receive()
        records.wait(2)


def test_a_request_that_still_runs_at_a_forced_stop(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    records = Records()
    with running_server(gate, request_log=records, shutdown_timeout=0.2) as server, server.connect() as client:
        client.send(b"GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.entered.acquire(timeout=10)
        server.stop()
        (record,) = records.wait()
        assert (record.target, record.ended_by, record.status) == ("/hangs", "stop", 0)
        gate.leave.set()
    for thread in threading.enumerate():
        if thread.name.startswith("waitressd-"):
            thread.join(10)
    assert len(records.all) == 1


def test_a_stop_cuts_an_upload() -> None:
    records = Records()
    with running_server(hello, request_log=records, shutdown_timeout=0.2) as server, server.connect() as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
        assert client.is_silent(0.1)
        server.stop()
        (record,) = records.wait()
    assert (record.target, record.ended_by, record.status) == ("/up", "stop", 0)


def test_records_of_a_unix_socket(tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    with recorded(hello, unix_socket=path) as (server, records), server.connect() as client:
        client.get()
        (record,) = records.wait()
    assert (record.peer, record.client, record.listener) == ("unix:", "localhost", f"unix:{path}")


def test_a_hook_that_blocks_delays_nobody() -> None:
    leave = threading.Event()
    entered = threading.Event()

    def slow(record: Any) -> None:
        if record.target == "/first":
            entered.set()
            assert leave.wait(30)

    with (
        running_server(hello, request_log=slow, threads=2) as server,
        server.connect() as client,
        server.connect() as other,
    ):
        assert client.get("/first").status == 200  # the answer does not wait for the hook
        assert entered.wait(10)
        for _ in range(20):
            assert other.get("/").status == 200
        leave.set()


def test_a_hook_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    records = Records()

    def broken(record: Any) -> None:
        raise ZeroDivisionError("the plugin's mistake")

    with running_server(hello, request_log=[broken, records]) as server, server.connect() as client:
        for _ in range(50):
            assert client.get().status == 200
        records.wait(50)
        assert len([line for line in caplog.records if line.name == "waitressd.request_log"]) == 1
    lines = [line for line in caplog.records if line.name == "waitressd.request_log"]
    assert len(lines) == 2
    assert lines[1].getMessage().endswith(" failed for 49 more records before the end")
    assert lines[0].levelno == logging.ERROR
    assert lines[0].exc_info is not None
    assert lines[0].exc_info[0] is ZeroDivisionError


def test_lines_of_the_server_and_of_the_application_carry_the_request(caplog: pytest.LogCaptureFixture) -> None:
    from waitressd.requestlog import RequestFilter

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        logging.getLogger("shop").warning("sold out")
        raise RuntimeError("on purpose")

    records = Records()
    caplog.handler.addFilter(RequestFilter())
    with running_server(application, request_log=records) as server, server.connect() as client:
        client.get("/buy?x=1")
        (record,) = records.wait()
    lines = {line.name: line for line in caplog.records if line.name == "shop" or line.exc_info}
    assert set(lines) == {"shop", "waitressd"}
    for line in lines.values():
        assert vars(line)["request_id"] == record.request_id
        assert vars(line)["client"] == "127.0.0.1"
        assert vars(line)["request"] == "GET /buy?x=1"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("trusted", "sent", "kept"),
    [("127.0.0.1", "abc-123", "yes"), ("10.0.0.1", "abc-123", ""), ("127.0.0.1", 'a"b', ""), ("", "abc", "")],
)
def test_a_request_id_is_taken_from_trusted_peers(trusted: str, sent: str, kept: str) -> None:
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(dict(environ))
        return hello(environ, start_response)

    settings: dict[str, Any] = {"trusted_proxy": trusted, "trusted_proxy_headers": "x-forwarded-for"} if trusted else {}
    with recorded(application, **settings) as (server, records), server.connect() as client:
        client.get("/", f"X-Request-ID: {sent}", f"traceparent: {TRACE}")
        (record,) = records.wait()
    assert (record.request_id == sent) is bool(kept)
    assert seen[0]["waitressd.request_id"] == seen[0]["HTTP_X_REQUEST_ID"] == record.request_id
    assert seen[0]["waitressd.traceparent"] == seen[0]["HTTP_TRACEPARENT"] == record.traceparent == TRACE
    assert record.trace_id == TRACE[3:35]


def test_the_client_of_a_refused_request_is_the_one_that_the_proxy_names() -> None:
    gate = Gate()
    settings = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": "x-forwarded-for"}
    with (
        recorded(gate, threads=1, queue_timeout=0.2, **settings) as (server, records),
        server.connect() as first,
        server.connect() as second,
    ):
        first.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert gate.entered.acquire(timeout=10)
        second.send(b"GET /2 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nX-Request-ID: r-2\r\n\r\n")
        assert second.receive().status == 503
        (record,) = records.wait(1)
        assert (record.client, record.request_id) == ("203.0.113.9", "r-2")
        gate.leave.set()
        first.receive()


def test_a_proxy_that_talks_nonsense_is_refused_and_recorded_once() -> None:
    settings = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": "x-forwarded-for"}
    with recorded(hello, **settings) as (server, records), server.connect() as client:
        assert client.get("/", "X-Forwarded-For: <nonsense>").status == 400
        (record,) = records.wait()
    assert (record.status, record.ended_by, record.environ) == (400, "refused", None)


def test_nothing_is_watched_without_a_log() -> None:
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(dict(environ))
        return hello(environ, start_response)

    with running_server(application) as server, server.connect() as client:
        client.get()
    assert not [key for key in seen[0] if key in {"waitressd.request_id", "waitressd.traceparent"}]


def test_storm() -> None:
    """Whatever many clients do at once, each request has one record: answered ones and cut ones together."""
    answered = 0
    lock = threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            time.sleep(0.002)
        start_response(OK, PLAIN)
        return [b"x" * 200_000] if environ["PATH_INFO"] == "/large" else [b"x"]

    def client(server: RunningServer, number: int) -> None:
        nonlocal answered
        count = 0
        for turn in range(30):
            with server.connect() as connection:
                for path in ("/", "/slow", "/large"):
                    connection.get(path)
                    count += 1
                if (turn + number) % 3 == 0:
                    connection.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with lock:
            answered += count

    with recorded(application, threads=4) as (server, records):
        threads = [threading.Thread(target=client, args=(server, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    complete = [record for record in records.all if not record.ended_by]
    assert len(complete) >= answered == 8 * 30 * 3
    assert all(record.ended_by in {"", "client"} for record in records.all)
