"""The servers that tests talk to start, answer, and leave nothing behind; the fixture for leaks is the witness."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client, many_clients
from tests.support.servers import free_port, running_server, server_process, start_process


def greet(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["PATH_INFO"].encode("latin-1")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_a_server_in_a_thread_answers_and_stops() -> None:
    with running_server(greet) as running, running.connect() as client:
        assert client.get("/hello").body == b"/hello"
        assert client.get("/again").body == b"/again"


def test_a_server_in_a_thread_may_listen_on_a_unix_socket(tmp_path: Path) -> None:
    with running_server(greet, unix_socket=str(tmp_path / "socket")) as running, running.connect() as client:
        assert running.address == str(tmp_path / "socket")
        assert client.get("/hello").body == b"/hello"


def test_many_clients_are_closed_together() -> None:
    with running_server(greet) as running, many_clients(running.address, 50) as clients:
        assert [client.get(f"/{number}").body for number, client in enumerate(clients)] == [
            b"/%d" % number for number in range(50)
        ]


def test_a_server_in_a_process_answers_and_its_exit_status_is_known() -> None:
    with server_process(["--listen=127.0.0.1:0", "tests.test_servers:greet"]) as server:
        with server.connect() as client:
            assert client.get("/hello").body == b"/hello"
        assert server.terminate() == 0


def test_a_server_in_a_process_is_taken_away_when_the_test_fails() -> None:
    with (
        pytest.raises(RuntimeError, match="the test failed"),
        server_process([f"--listen=127.0.0.1:{free_port()}", "tests.test_servers:greet"]) as server,
    ):
        raise RuntimeError("the test failed")
    assert server.process.returncode == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        Client(server.address)


def test_a_process_that_does_not_start_shows_what_it_said() -> None:
    server = start_process(["--no-such-option"])
    try:
        with pytest.raises(AssertionError, match="no-such-option"):
            server.wait_for_output("Serving on")
        assert server.wait() == 2
    finally:
        server.kill()
