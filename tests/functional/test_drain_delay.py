"""Leaving: first nobody should send requests here any more, then none is accepted, and no request is lost."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.admin import ask
from tests.support.client import Address, Client
from tests.support.servers import ServerProcess, running_server, server_process
from tests.support.waiting import wait_until
from waitressd.life import Life

APP: Final = "tests.functional.test_drain_delay:sleeping"


def sleeping(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Take a moment, as an application does."""
    time.sleep(float(environ["QUERY_STRING"] or 0.05))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slept"]


@contextmanager
def leaving_server(folder: Path, *arguments: str, **options: Any) -> Iterator[tuple[ServerProcess, str]]:
    path = f"{folder}/admin.sock"
    command = ["-v", "--listen=127.0.0.1:0", "--threads=4", f"--admin-listen=unix:{path}", *arguments, APP]
    with server_process(command, **options) as server:
        server.wait_for_output("Serving on http")  # the admin address is named before it, and may be for some time
        assert wait_until(lambda: state(path)[0] == 200)
        yield server, path


def state(path: Address) -> tuple[int, dict[str, Any]]:
    with Client(path) as client:
        answer = ask(client, "/ready", host="localhost")
        return answer.status, json.loads(answer.body)


class Crowd:
    """Clients that ask again and again, each time on a new connection, until they are refused."""

    def __init__(self, address: Address, count: int) -> None:
        self.statuses: list[int] = []
        self.lost: list[BaseException] = []
        self.refused = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self._ask, args=(address,)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self, address: Address) -> None:
        while True:
            try:
                with Client(address) as client:
                    self.statuses.append(client.get("/").status)
            except ConnectionRefusedError:
                self.refused.release()
                return
            except (OSError, AssertionError) as error:
                self.lost.append(error)
                return

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self.threads)


def test_a_server_leaves_before_it_stops_accepting(tmp_path: Path) -> None:
    with leaving_server(tmp_path, "--drain-delay=1.5") as (server, path):
        crowd = Crowd(server.address, 8)
        assert wait_until(lambda: len(crowd.statuses) >= 8)
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: state(path)[0] == 503)
        status, document = state(path)
        assert (status, document["reason"]) == (503, "leaving")
        answered = len(crowd.statuses)
        assert wait_until(lambda: len(crowd.statuses) >= answered + 16), "it serves on"
        with Client(path) as probe:
            states = []
            with contextlib.suppress(ConnectionError):  # it has ended before the crowd has noticed
                while not crowd.refused.acquire(timeout=0.01):
                    answer = ask(probe, "/live", host="localhost")
                    assert answer.status == 200, "a stop is no reason to be killed"
                    states.append(json.loads(ask(probe, "/ready", host="localhost").body)["reason"])
        assert "leaving" in states
        crowd.join()
        assert server.wait() == 0
        assert (crowd.lost, set(crowd.statuses)) == ([], {200})
        assert "SIGTERM: not ready from now on, stopping in 1.5 s; a second signal ends at once" in server.output
    assert not Path(path).exists()


def test_the_admin_address_is_the_last_to_close(tmp_path: Path) -> None:
    with leaving_server(tmp_path) as (server, path), server.connect() as client, Client(path) as probe:
        client.send(b"GET /?0.7 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.is_silent(0.1)
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: state(path)[1].get("reason") == "draining")
        with pytest.raises(ConnectionRefusedError):
            while True:
                server.connect().close()
        assert ask(probe, "/live", host="localhost").status == 200
        assert client.receive().status == 200
        assert server.wait() == 0


def test_a_second_signal_while_it_leaves_ends_at_once(tmp_path: Path) -> None:
    with leaving_server(tmp_path, "--drain-delay=600") as (server, path):
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: state(path)[0] == 503)
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_a_drain_by_post_is_that_of_sigterm_and_no_signal(tmp_path: Path) -> None:
    with leaving_server(tmp_path, "--drain-delay=600", "--admin-control=drain") as (server, path):
        with Client(path) as client:
            for _ in range(2):  # asked again it changes nothing
                answer = ask(client, "/control/drain", "X-Waitressd-Control: 1", method="POST", host="localhost")
                assert answer.status == 202
                assert wait_until(lambda: state(path)[1].get("reason") == "leaving")
        with server.connect() as client:
            assert client.get("/").status == 200
        server.signal(signal.SIGTERM)  # the first one: an orchestrator sends it after its hook has asked
        assert client_is_served(server)
        assert state(path)[1]["reason"] == "leaving"
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert server.output.count("admin: POST /control/drain by pid ") == 2


def client_is_served(server: ServerProcess) -> bool:
    with server.connect() as client:
        return client.get("/").status == 200


def test_the_service_manager_is_told_and_asked_for_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{tmp_path}/notify")
        manager.settimeout(15)
        environment = {"NOTIFY_SOCKET": f"{tmp_path}/notify"}
        arguments = ("--drain-delay=0.3", "--shutdown-timeout=7")
        with leaving_server(tmp_path, *arguments, environment=environment) as (server, _):
            server.signal(signal.SIGTERM)
            messages: list[str] = []
            while not messages or not messages[-1].startswith("EXTEND_TIMEOUT_USEC="):
                messages.append(manager.recv(4096).decode())
            assert "STOPPING=1\nSTATUS=Leaving: not ready, and still serving" in messages
            assert messages[-1] == "EXTEND_TIMEOUT_USEC=7300000"
            assert server.wait() == 0


def test_a_program_that_closes_its_server_does_not_wait() -> None:
    with running_server(sleeping, drain_delay=600) as server:
        assert wait_until(lambda: server.server.pulse is not None)
        server.stop()
        assert server.server.life is Life.STOPPED
