"""wsgi.file_wrapper: real files by the kernel, others by reading; from where they stand, and closed once."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.support.client import BrokenAnswerError
from tests.support.servers import running_server

CONTENT = bytes(range(256)) * 4096  # one megabyte


class Counting:
    """Remembers what was opened."""

    def __init__(self) -> None:
        self.files: list[BinaryIO] = []

    def serve(self, opener: Callable[[], BinaryIO], *fields: tuple[str, str], status: str = "200 OK") -> Any:
        """Return an application that answers with a file."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            self.files.append(opener())
            start_response(status, list(fields))
            wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](self.files[-1])
            return wrapped

        return application


class NoDescriptor(io.BytesIO):
    """Something that can be read and closed, and nothing more."""

    seek = tell = fileno = property()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def opened() -> Counting:
    return Counting()


def at(path: Path, offset: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(offset)
    return file


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_file(path: Path, opened: Counting, version: bytes) -> None:
    with running_server(opened.serve(lambda: at(path, 0))) as server, server.connect() as client:
        answer = client.request(b"GET / %b\r\nHost: a\r\n\r\n" % version)
        assert answer.body == CONTENT
        assert answer.get("Content-Length") == str(len(CONTENT))
    assert [file.closed for file in opened.files] == [True]


def test_a_file_begins_where_it_stands(path: Path, opened: Counting) -> None:
    with running_server(opened.serve(lambda: at(path, 1000))) as server, server.connect() as client:
        assert client.get("/").body == CONTENT[1000:]
        assert client.get("/").body == CONTENT[1000:]


def test_a_range_by_offset_and_length(path: Path, opened: Counting) -> None:
    fields = ("Content-Length", "5000"), ("Content-Range", "bytes 300-5299/1048576")
    application = opened.serve(lambda: at(path, 300), *fields, status="206 Partial Content")
    with running_server(application) as server, server.connect() as client:
        for _ in range(3):
            answer = client.get("/")
            assert (answer.status, answer.body) == (206, CONTENT[300:5300])
    assert all(file.closed for file in opened.files)


def test_a_file_shorter_than_its_length_breaks_the_answer_off(path: Path, opened: Counting) -> None:
    application = opened.serve(lambda: at(path, 0), ("Content-Length", str(len(CONTENT) + 1)))
    with (
        running_server(application) as server,
        server.connect() as client,
        pytest.raises((BrokenAnswerError, ConnectionResetError)),
    ):
        client.get("/")
    assert [file.closed for file in opened.files] == [True]


def test_a_file_that_is_cut_while_it_is_sent_breaks_the_answer_off(tmp_path: Path, opened: Counting) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 30_000_000)
    with (
        running_server(opened.serve(lambda: at(path, 0))) as server,
        server.connect(receive_buffer_bytes=4096) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.receive_head()
        assert head.get("Content-Length") == "30000000"
        path.write_bytes(b"")
        received = len(client.buffer)
        try:
            while data := client.sock.recv(1 << 20):
                received += len(data)
        except ConnectionResetError:
            pass
        assert received < 30_000_000
    assert [file.closed for file in opened.files] == [True]


def test_head_gets_the_length_and_nothing_else(path: Path, opened: Counting) -> None:
    with running_server(opened.serve(lambda: at(path, 0))) as server, server.connect() as client:
        answer = client.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (answer.get("Content-Length"), answer.body) == (str(len(CONTENT)), b"")
        assert client.get("/").body == CONTENT
    assert [file.closed for file in opened.files] == [True, True]


@pytest.mark.parametrize("kind", [io.BytesIO, NoDescriptor])
def test_something_that_is_no_real_file(opened: Counting, kind: Callable[[bytes], BinaryIO]) -> None:
    with running_server(opened.serve(lambda: kind(CONTENT))) as server, server.connect() as client:
        assert client.get("/").body == CONTENT
    assert [file.closed for file in opened.files] == [True]


def test_an_empty_file(tmp_path: Path, opened: Counting) -> None:
    path = tmp_path / "empty"
    path.touch()
    with running_server(opened.serve(lambda: at(path, 0))) as server, server.connect() as client:
        assert client.get("/").body == b""
        assert client.get("/").body == b""
    assert all(file.closed for file in opened.files)


def test_a_slow_client_of_a_file_holds_no_thread(tmp_path: Path, opened: Counting) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 30_000_000)
    application = opened.serve(lambda: at(path, 0))
    with running_server(application, threads=1) as server, server.connect(receive_buffer_bytes=4096) as slow:
        slow.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert slow.sock.recv(100)
        with server.connect() as client:
            assert len(client.get("/").body) == 30_000_000
    assert all(file.closed for file in opened.files)


def test_a_file_is_closed_when_its_client_leaves(tmp_path: Path, opened: Counting) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 30_000_000)
    with (
        running_server(opened.serve(lambda: at(path, 0))) as server,
        server.connect(receive_buffer_bytes=4096) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.sock.recv(100)
        client.reset()
    assert [file.closed for file in opened.files] == [True]
