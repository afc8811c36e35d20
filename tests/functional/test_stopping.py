"""SIGTERM, SIGINT and close(): what has begun is finished, what has not is not accepted, the exit status is 0."""

import contextlib
import io
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client, many_clients
from tests.support.servers import ServerProcess, running_server, server_process, start_process
from tests.support.waiting import wait_until

APPLICATION = "tests.functional.test_stopping:slow"


def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Take as many seconds as the query says."""
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return hello(environ, start_response)


def unending(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer without an end."""
    start_response("200 OK", [])
    try:
        while True:
            yield b"x" * 1000
            time.sleep(0.01)
    finally:
        CLOSED.set()


def forking(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Leave a child behind that lives on for a while."""
    if os.fork() == 0:
        os.closerange(0, 3)
        time.sleep(3)
        os._exit(0)
    return hello(environ, start_response)


CLOSED = threading.Event()


def ask(client: Client, seconds: float) -> None:
    client.send(b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n" % str(seconds).encode())


def wait_until_begun(server: ServerProcess, client: Client) -> None:
    """Answer one request, so that the process is known to serve, and leave time for the one just sent to be read."""
    with server.connect() as other:
        assert other.get("/").status == 200
    assert client.is_silent(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_request_end_and_the_status_is_0(number: signal.Signals) -> None:
    with (
        server_process(["--listen=127.0.0.1:0", "--threads=2", APPLICATION]) as server,
        server.connect() as client,
    ):
        ask(client, 1)
        wait_until_begun(server, client)
        server.signal(number)
        answer = client.receive()
        assert (answer.status, answer.closes) == (200, True)
        client.expect_closed()
        client.close()
        assert server.wait(10) == 0


def test_requests_that_wait_for_a_thread_are_served_too() -> None:
    with server_process(["--listen=127.0.0.1:0", "--threads=1", APPLICATION]) as server:
        clients = [server.connect() for _ in range(5)]
        try:
            for client in clients:
                ask(client, 0.2)
            assert clients[-1].is_silent(0.1)
            server.signal(signal.SIGTERM)
            assert [client.receive().status for client in clients] == [200] * 5
        finally:
            for client in clients:
                client.close()
        assert server.wait(10) == 0


def test_nothing_is_accepted_any_more() -> None:
    with (
        server_process(["--listen=127.0.0.1:0", "--threads=2", APPLICATION]) as server,
        server.connect() as client,
    ):
        ask(client, 1)
        wait_until_begun(server, client)
        server.signal(signal.SIGTERM)
        server.wait_for_output("stopping")
        deadline = time.monotonic() + 5
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
            while time.monotonic() < deadline:
                with server.connect() as late:
                    late.get("/")
        assert client.receive().status == 200


def test_a_second_signal_ends_at_once() -> None:
    with (
        server_process(["--listen=127.0.0.1:0", "--threads=2", APPLICATION]) as server,
        server.connect() as client,
    ):
        ask(client, 20)
        wait_until_begun(server, client)
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_for_output("stopping")
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert time.monotonic() - begun < 8


def test_the_deadline_ends_what_does_not_end() -> None:
    with (
        server_process(["--listen=127.0.0.1:0", "--shutdown-timeout=1", APPLICATION]) as server,
        server.connect() as client,
    ):
        ask(client, 20)
        wait_until_begun(server, client)
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(15) == 0
        assert 0.9 < time.monotonic() - begun < 8


def test_idle_connections_do_not_hold_the_stop_up() -> None:
    with server_process(["--listen=127.0.0.1:0", APPLICATION]) as server:
        clients = [server.connect() for _ in range(5)]
        try:
            for client in clients:
                assert client.get("/").status == 200
            begun = time.monotonic()
            assert server.terminate() == 0
            assert time.monotonic() - begun < 5
        finally:
            for client in clients:
                client.close()


def test_close_from_another_thread_lets_a_running_request_end() -> None:
    with running_server(slow) as running, running.connect() as client:
        ask(client, 0.5)
        assert client.is_silent(0.1)
        closers = [threading.Thread(target=running.server.close) for _ in range(3)]
        for closer in closers:
            closer.start()
        answer = client.receive()
        assert (answer.status, answer.closes) == (200, True)
        client.close()
        for closer in closers:
            closer.join(10)
        running.thread.join(10)
        assert not running.thread.is_alive()
        running.server.close()  # again, afterwards


def test_the_application_itself_may_stop_the_server() -> None:
    servers: list[Any] = []

    def stopping(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        servers[0].close()
        return hello(environ, start_response)

    with running_server(stopping) as running, running.connect() as client:
        servers.append(running.server)
        answer = client.get("/")
        assert (answer.status, answer.body) == (200, b"Hello, world!")
        running.thread.join(10)
        assert not running.thread.is_alive()


def test_close_before_run_gives_the_address_back() -> None:
    import waitressd

    server = waitressd.create_server(hello, listen="127.0.0.1:0")
    address = server.getsockname()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        Client((address[0], address[1]))


def test_a_stop_that_comes_before_the_start_is_obeyed() -> None:
    for _ in range(50):
        with running_server(hello):
            pass  # closed while its thread may not even have begun


def test_a_request_on_a_kept_connection_that_races_the_stop_is_answered() -> None:
    """Whatever the server has begun to read is answered; a connection that just ends had no request."""
    for _ in range(10):
        with running_server(hello) as running, many_clients(running.address, 5) as clients:
            assert [client.get("/").status for client in clients] == [200] * 5
            stopper = threading.Thread(target=running.server.close)
            stopper.start()
            for client in clients:
                with client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    if data := client.sock.recv(65536):
                        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
                        assert data.endswith(b"Hello, world!")
            stopper.join(20)
            assert not stopper.is_alive()


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,) * 3, (signal.SIGTERM, signal.SIGHUP), (signal.SIGINT,) * 3])
def test_further_signals_do_not_end_a_stop_halfway(numbers: tuple[signal.Signals, ...], tmp_path: Path) -> None:
    """A thread that hangs makes the last part of the stop long; lines of the log are written out behind it."""
    path = tmp_path / "a.ini"
    log = tmp_path / "access.log"
    path.write_text(
        "[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\nrequest_log = access\nshutdown_timeout = 0\n"
        f"[request_log:access]\nuse = common\npath = {log}\n"
        "[app:main]\nuse = call:tests.functional.test_stopping:make\n",
        encoding="utf-8",
    )
    with server_process([str(path)]) as server, server.connect() as client:
        for _ in range(20):
            assert client.get("/").status == 200
        ask(client, 5)
        wait_until_begun(server, client)
        for number in numbers:
            server.signal(number)
            time.sleep(0.15)
        assert server.wait(10) == 0
    assert log.read_text(encoding="utf-8").count("\n") == 22


def make(_global_conf: Mapping[str, str]) -> Any:
    """Make `slow` from an ini file."""
    return slow


def test_a_forced_stop_cuts_an_answer_that_only_its_end_would_end() -> None:
    CLOSED.clear()
    with running_server(unending, shutdown_timeout=0.2) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.receive_head()
        server.server.close()
        assert CLOSED.wait(5)
        with pytest.raises(ConnectionResetError):
            client.receive_rest()


def test_a_stop_ends_with_the_last_callback(tmp_path: Path) -> None:
    """The client left in the middle of a file, and closing that takes its time; nothing else is left to do."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    closing, leave = threading.Event(), threading.Event()

    class SlowToClose(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                closing.set()
                leave.wait(10)
            super().close()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](SlowToClose(path))
        return wrapped

    with running_server(application, shutdown_timeout=60) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.receive_head()
            client.reset()
        assert closing.wait(10)
        stopping = threading.Thread(target=server.server.close)
        stopping.start()
        stopping.join(0.5)
        leave.set()
        stopping.join(10)
        assert not stopping.is_alive()


def test_who_waits_in_a_full_backlog_is_served_before_the_end() -> None:
    with running_server(slow, connection_limit=2) as server, many_clients(server.address, 5) as clients:
        for client in clients:
            ask(client, 0.3)
        time.sleep(0.1)
        closing = threading.Thread(target=server.server.close)
        closing.start()
        assert [client.receive().status for client in clients] == [200] * 5
        closing.join(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_was_only_forked_holds_nothing() -> None:
    with server_process(["--listen=127.0.0.1:0", "tests.functional.test_stopping:forking"]) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            assert client.receive().status == 200
            client.expect_closed()
        (address,) = server.addresses
        server.signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)
            again.listen()


@pytest.mark.parametrize(("number", "serves"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGHUP, True)])
def test_signals_while_the_application_is_loaded(number: signal.Signals, tmp_path: Path, *, serves: bool) -> None:
    (tmp_path / "slowly.py").write_text(
        "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(1)\n"
        "from tests.apps.plain import hello as application\n",
        encoding="utf-8",
    )
    path = tmp_path / "a.sock"
    server = start_process([f"--listen=unix:{path}", "--fast-listen", "slowly:application"], cwd=tmp_path)
    try:
        assert wait_until((tmp_path / "begun").exists)
        server.signal(number)
        if serves:
            server.wait_for_output("Serving on")
            assert server.terminate() == 0
        else:
            assert server.wait(10) == 0
        assert not path.exists()
    finally:
        server.kill()
