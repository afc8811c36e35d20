"""Each request has a context of its own: what it sets is seen by it alone, from the call to its last close."""

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar, Token, copy_context
from typing import Any, Final

import pytest

import waitressd
from tests.support.client import Client, many_clients
from tests.support.servers import running_server, wait_until_accepting
from tests.support.waiting import wait_until

NOBODY: Final = "nobody"
user: Final[ContextVar[str]] = ContextVar("user", default=NOBODY)
LARGE_BYTES: Final = 20_000_000


class Told:
    """An iterable that tells who the user is, while it is read and when it is closed."""

    def __init__(self, closed: list[str]) -> None:
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        yield user.get().encode()
        user.set(user.get() + "+")
        yield user.get().encode()

    def close(self) -> None:
        self._closed.append(user.get())


def telling_file(token: Token[str], closed: list[str]) -> Any:
    """Make a real file that forgets the user when it is closed, as a middleware does that has set one."""
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the server closes it
    file.truncate(LARGE_BYTES)
    close = file.close

    def close_and_forget() -> None:
        close()
        closed.append(user.get())
        user.reset(token)  # only in the context in which it was set
        closed.append(user.get())

    file.close = close_and_forget  # type: ignore[method-assign]  # the application's own
    return file


@pytest.mark.parametrize("threads", [1, 4])
def test_no_request_sees_what_another_has_set(threads: int) -> None:
    seen: list[str] = []
    closed: list[str] = []
    meeting = threading.Barrier(threads)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(user.get())
        user.set(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/raises":
            raise RuntimeError("a mistake")
        if environ["PATH_INFO"] == "/together":
            meeting.wait(10)  # beside each other, in every thread
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Told(closed)

    with running_server(application, threads=threads) as server, many_clients(server.address, threads) as clients:
        for path in ("/one", "/two", "/raises", "/three"):
            assert [client.get(path).status for client in clients] == [500 if path == "/raises" else 200] * threads
        for client in clients:
            client.send(b"GET /together HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.receive().body for client in clients] == [b"/together/together+"] * threads
    assert set(seen) == {NOBODY}
    assert closed == ["/one+"] * threads + ["/two+"] * threads + ["/three+"] * threads + ["/together+"] * threads


@pytest.mark.parametrize("leaves", [False, True])
def test_a_file_is_closed_in_the_context_of_its_request(*, leaves: bool) -> None:
    """Also when that is long after its task, and other requests have run in the thread."""
    closed: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = user.set(environ["PATH_INFO"])
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/file":
            return [b"x"]
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](telling_file(token, closed))
        return wrapped

    with running_server(application, threads=1) as server, server.connect(receive_buffer_bytes=4096) as client:
        client.send(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        client.receive_head()
        with server.connect() as other:
            assert other.get("/other").body == b"x"
        assert closed == []
        if leaves:
            client.reset()
        else:
            received = len(client.buffer)
            while received < LARGE_BYTES:
                received += len(client.sock.recv(1 << 20))
        assert wait_until(lambda: closed == ["/file", NOBODY])


def test_a_file_that_goes_out_at_once_is_closed_in_the_context_of_its_request() -> None:
    closed: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        file = telling_file(user.set("someone"), closed)
        file.truncate(5)
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped

    with running_server(application) as server, server.connect() as client:
        assert client.get("/").body == bytes(5)
    assert closed == ["someone", NOBODY]


def test_every_request_sees_what_was_set_before_the_server_ran() -> None:
    seen: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(user.get())
        user.set("another")
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = waitressd.create_server(application, listen="127.0.0.1:0", threads=2)

    def run() -> None:
        user.set("the owner")
        server.run()
        assert user.get() == "the owner"

    thread = threading.Thread(target=copy_context().run, args=(run,))
    thread.start()
    address = server.getsockname()
    wait_until_accepting(address)
    with Client(address) as client:
        assert [client.get("/").status for _ in range(3)] == [200] * 3
    server.close()
    thread.join(10)
    assert seen == ["the owner"] * 3


def test_what_a_request_log_sets_is_not_seen_by_the_next_request() -> None:
    seen: list[str] = []
    logged: list[str] = []

    def hook(record: Any) -> None:
        logged.append(user.get())
        user.set(record.target)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(user.get())
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    with running_server(application, threads=1, request_log=hook) as server, server.connect() as client:
        for _ in range(5):
            assert client.get("/logged").status == 200
    assert seen == logged == [NOBODY] * 5
