"""The situation is what is true of the server. What is found in it is in tests/functional/test_insight_findings.py."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import many_clients
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until
from waitressd.insight.findings import Clients, Minute, Situation
from waitressd.insight.history import History
from waitressd.insight.situations import Memory, Situations
from waitressd.insight.slow import SlowRequests
from waitressd.insight.watch import Watch

ASKS = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def look_at(server: RunningServer) -> Situations:
    """Return who looks at a server, with nothing remembered of it."""
    view = server.server
    memory = Memory(Watch(lambda: view.lanes, 1.0), SlowRequests(1.0, 3, 2, shows_query=False), History(1000.0))
    return Situations(view, memory, 2)


@contextmanager
def connections(server: RunningServer, count: int) -> Iterator[None]:
    """Keep so many connections open."""
    with many_clients(server.address, count) as clients:
        for client in clients:
            assert client.get("/").status == 200
        yield


def test_a_quiet_server() -> None:
    with running_server(hello, threads=3, connection_limit=99) as server:
        assert wait_until(lambda: server.server.lanes)
        assert look_at(server).now() == Situation(threads=3, clients=Clients(limit=99))


def test_tasks_and_requests_that_wait() -> None:
    gate = threading.Event()

    def hangs(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert gate.wait(30)
        return hello(environ, start_response)

    with running_server(hangs, threads=2) as server, many_clients(server.address, 3) as clients:
        situations = look_at(server)
        for client in clients:
            client.send(ASKS)

        def are_all_there() -> bool:  # the second may wait while the third is not read yet
            found = situations.now()
            return (len(found.tasks), found.waiting.count) == (2, 1)

        assert wait_until(are_all_there)
        situation = situations.now()
        assert [task.id.split("-")[0] for task in situation.tasks] == ["2", "2"]
        assert {task.client for task in situation.tasks} == {"127.0.0.1"}
        assert situation.tasks[0].age_seconds >= situation.tasks[1].age_seconds > 0
        assert situation.waiting.oldest_seconds > 0
        names = {task.id for task in situation.tasks} | set(situation.waiting.ids)
        assert len(names) == 3
        assert not any(task.is_overdue for task in situation.tasks)
        situations.is_overdue = lambda exchange: exchange.number == 1
        assert all(task.is_overdue for task in situations.now().tasks)
        gate.set()
        assert [client.receive().status for client in clients] == [200] * 3


def test_the_client_with_the_most_connections() -> None:
    with running_server(hello) as server, connections(server, 3):
        situations = look_at(server)
        assert (situations.now().clients.busiest, situations.now().clients.connections) == ("", 3)  # nobody has counted
        situations.count_clients()
        clients = situations.now().clients
        assert (clients.busiest, clients.busiest_connections, clients.connections) == ("127.0.0.1", 3, 3)


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "localhost", "*"])
def test_a_proxy_is_no_client(trusted: str) -> None:
    trusts = {"trusted_proxy": trusted, "trusted_proxy_headers": "x-forwarded-for"}
    with running_server(hello, **trusts) as server, connections(server, 2):
        situations = look_at(server)
        situations.count_clients()
        assert situations.now().clients.busiest == ""


def test_another_proxy_does_not_speak_for_this_client() -> None:
    trusts = {"trusted_proxy": "10.0.0.0/8 ::1", "trusted_proxy_headers": "x-forwarded-for"}
    with running_server(hello, **trusts) as server, connections(server, 2):
        situations = look_at(server)
        situations.count_clients()
        assert situations.now().clients.busiest_connections == 2


def test_clients_of_a_unix_socket_have_no_address(tmp_path: Any) -> None:
    with running_server(hello, listen=f"unix:{tmp_path}/s") as server, connections(server, 2):
        situations = look_at(server)
        situations.count_clients()
        clients = situations.now().clients
        assert (clients.busiest, clients.connections) == ("", 2)


def test_nothing_has_happened_in_the_last_minute() -> None:
    with running_server(hello) as server:
        assert wait_until(lambda: server.server.lanes)
        assert look_at(server).now().minute == Minute()
