"""serve() works in any thread of a program, and the threads of the server do what the settings say."""

import threading
import time
from collections.abc import Iterable
from typing import Any

import waitressd
from tests.apps.plain import hello
from tests.support.client import many_clients
from tests.support.servers import free_port, running_server, wait_until_accepting


def test_serve_outside_of_the_main_thread() -> None:
    port = free_port()
    servers: list[Any] = []

    def stoppable(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        servers.append(threading.current_thread())
        return hello(environ, start_response)

    server = waitressd.create_server(stoppable, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until_accepting(("127.0.0.1", port))
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def test_two_servers_in_one_process_do_not_know_each_other() -> None:
    with running_server(hello) as first, running_server(hello) as second:
        with first.connect() as one, second.connect() as other:
            assert (one.get("/").status, other.get("/").status) == (200, 200)
        first.stop()
        with second.connect() as other:
            assert other.get("/").status == 200


def test_as_many_requests_run_at_once_as_there_are_threads() -> None:
    meeting = threading.Barrier(3)
    most = threading.Semaphore(3)

    def meets(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert most.acquire(blocking=False), "more requests run than there are threads"
        meeting.wait(10)
        time.sleep(0.002)
        most.release()
        return hello(environ, start_response)

    with running_server(meets, threads=3) as server, many_clients(server.address, 9) as clients:
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.receive().status for client in clients] == [200] * 9


def test_requests_of_one_client_never_run_at_the_same_time() -> None:
    alone = threading.Lock()

    def lonely(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert alone.acquire(blocking=False), "two requests of one connection at the same time"
        time.sleep(0.002)
        alone.release()
        return hello(environ, start_response)

    with running_server(lonely, threads=4) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        assert [client.receive().status for _ in range(50)] == [200] * 50
