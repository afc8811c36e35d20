"""The client of the tests is strict: what a server must not send, it refuses."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.client import BrokenAnswerError, Client


@contextmanager
def answered_with(answer: bytes) -> Iterator[Client]:
    """Connect a client to a server that sends `answer` and closes."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(answer)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with Client(listener.getsockname()) as client:
            yield client
        thread.join()


GOOD = [
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", b"hello"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    ("GET", b"HTTP/1.1 204 \r\nX: \xe9\r\n\r\n", b""),
    ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
]


@pytest.mark.parametrize(("method", "answer", "body"), GOOD)
def test_a_right_answer_is_read_to_its_end(method: str, answer: bytes, body: bytes) -> None:
    with answered_with(answer) as client:
        assert client.receive(method).body == body
        client.expect_closed()


BROKEN = [
    b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\r b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\na body that ends nowhere",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
    b"HTTP/1.1 200 OK\r\nContent-Len",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
]


@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_is_refused(answer: bytes) -> None:
    with answered_with(answer) as client, pytest.raises(BrokenAnswerError):
        client.receive()


def test_bytes_after_the_last_answer_are_noticed() -> None:
    with answered_with(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!") as client:
        client.receive()
        with pytest.raises(BrokenAnswerError, match="bytes after the last answer"):
            client.expect_closed()


def test_silence_is_neither_bytes_nor_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(listener.getsockname()) as client:
        sock, _ = listener.accept()
        with sock:
            assert client.is_silent(0.05)
            sock.sendall(b"x")
            assert not client.is_silent(5)
