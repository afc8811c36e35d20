"""The load notices what goes wrong: a load that misses a loss would prove nothing."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.support.client import Address
from tests.support.load import Books, Load
from tests.support.servers import free_port, running_server
from tests.support.waiting import wait_until

BODY: Final = b"7 4242\n"
WHOLE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + BODY
LAST: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n" + BODY
RESET: Final = b"\x01\0\0\0\0\0\0\0"


@contextlib.contextmanager
def scripted(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """Hand each connection to `serve`, one after the other, and close it afterwards."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                sock, _ = listener.accept()
                sock.settimeout(5)
                with sock, contextlib.suppress(OSError):
                    serve(sock)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        over.set()
        thread.join()
        listener.close()


def books_of(serve: Callable[[socket.socket], None], *, kept: int = 0, single: int = 0) -> Books:
    """Load such a server with few clients until something is in the books."""
    with scripted(serve) as address:
        load = Load(address, kept=kept, single=single)
        load.think_seconds = 0.01
        with load.running():
            books = load.books
            assert wait_until(lambda: books.lost or books.silent or books.wrong or books.announced)
    return books


def test_whole_answers_are_counted() -> None:
    def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
        body = b"3 %d\n" % os.getpid()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with running_server(application) as server:
        load = Load(server.address, kept=3, single=2)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 100)
    books = load.stop()
    assert books.trouble() == []
    assert books.versions().keys() == {3}
    assert {answer.pid for answer in books.answers} == {os.getpid()}
    assert {answer.is_kept for answer in books.answers} == {True, False}
    assert books.last_of(3) == max(answer.sent for answer in books.answers)
    assert sorted(answer.number for answer in books.answers) == list(range(1, len(books.answers) + 1))


def test_a_close_without_a_byte_of_an_answer_is_a_loss() -> None:
    books = books_of(lambda sock: [sock.recv(1000)].clear(), single=1)
    assert {loss.how for loss in books.lost} <= {"EOFError after 0 bytes", "ConnectionResetError after 0 bytes"}


def test_an_answer_that_is_cut_is_a_loss_also_on_a_kept_connection() -> None:
    def cut(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(WHOLE)
        sock.recv(1000)
        sock.sendall(WHOLE[:-1])

    books = books_of(cut, kept=1)
    assert books.lost[0].how == f"EOFError after {len(WHOLE) - 1} bytes"
    assert books.lost[0].pid == 4242


def test_a_reset_is_a_loss() -> None:
    def reset(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    assert books_of(reset, single=1).lost[0].how == "ConnectionResetError after 0 bytes"


def test_a_refused_connection_is_a_loss() -> None:
    load = Load(("127.0.0.1", free_port()), kept=0, single=1)
    with load.running():
        assert wait_until(lambda: load.books.lost)
    assert load.books.lost[0].how == "not connected: ConnectionRefusedError"


def test_a_close_with_an_announcement_is_fine() -> None:
    def close(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(LAST)

    books = books_of(close, kept=1)
    assert books.trouble() == []
    assert books.announced >= 1


def test_a_close_without_an_announcement_is_silent() -> None:
    def close(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(WHOLE)

    books = books_of(close, kept=1)
    assert books.lost == []
    assert books.silent[0].pid == 4242


@pytest.mark.parametrize("answer", [WHOLE.replace(b"200 OK", b"503 No"), WHOLE.replace(BODY, b"1234567"), b"x\r\n\r\n"])
def test_a_wrong_answer_is_told(answer: bytes) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(answer)

    assert books_of(serve, single=1).wrong


def test_a_counter_that_falls_or_goes_is_told() -> None:
    values = iter([5, 6, 4])

    def page(sock: socket.socket) -> None:
        sock.recv(1000)
        value = next(values, None)
        lines = "# TYPE a_total counter\n" + (f'a_total{{b="c"}} {value}\n' if value else "")
        gauges = f"# TYPE g gauge\ng {next(falling)}\n"
        text = (lines + gauges).encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))

    falling = iter(range(100, 0, -1))
    with scripted(page) as address:
        load = Load(address, kept=0, single=0)
        load.metrics = address
        with load.running():
            assert wait_until(lambda: len(load.books.fallen) >= 2)
    assert load.books.fallen[:2] == ['a_total{b="c"} fell from 6.0 to 4.0', 'a_total{b="c"} was 4.0 and is gone']
