"""waitressd.wsgi.response: files through wsgi.file_wrapper."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.support.applications import HEAD, OLD, PLAIN, Start, request_line
from tests.support.recording import RecordingTransport, exchange
from waitressd.http.states import Persistence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


class CountingFile(io.FileIO):
    """Not one of the standard library's own, so it is read and not handed over."""

    closed_count = 0

    def close(self) -> None:
        self.closed_count += not self.closed
        super().close()


def from_file(file: Any, *, length: int | None = None, status: str = "200 OK", block_size: int = 4) -> Any:
    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, PLAIN if length is None else [("Content-Length", str(length))])
        return environ["wsgi.file_wrapper"](file, block_size)

    return application


def opened(path: Path, kind: str) -> Any:
    if kind == "real":
        return path.open("rb")
    return CountingFile(path, "rb") if kind == "read" else io.BytesIO(path.read_bytes())


@pytest.mark.parametrize("kind", ["real", "read", "memory"])
@pytest.mark.parametrize(
    ("offset", "length", "body"),
    [
        (0, None, b"0123456789"),
        (4, None, b"456789"),
        (10, None, b""),
        (0, 10, b"0123456789"),
        (2, 3, b"234"),
        (0, 8, b"01234567"),
    ],
)
def test_a_file_is_sent_from_its_position_on(
    path: Path, kind: str, offset: int, length: int | None, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = opened(path, kind)
    file.seek(offset)
    transport = exchange(from_file(file, length=length))
    answer = transport.answer()
    assert (answer.body, answer.get("Content-Length"), answer.complete) == (body, str(len(body)), True)
    assert transport.files == ([body] if kind == "real" and body else [])
    assert file.closed
    assert transport.connection.encoder.persistence is not Persistence.LAST
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["real", "read", "memory"])
@pytest.mark.parametrize("offset", [0, 10])
def test_a_file_shorter_than_promised_breaks_the_connection_off(path: Path, kind: str, offset: int) -> None:
    file = opened(path, kind)
    file.seek(offset)
    transport = exchange(from_file(file, length=50))
    assert not transport.answer().complete
    assert not transport.connection.encoder.response_done
    assert file.closed


@pytest.mark.parametrize("kind", ["real", "read", "memory"])
@pytest.mark.parametrize(
    ("data", "status"),
    [(HEAD, "200 OK"), (request_line("GET / HTTP/1.1"), "204 No Content"), (OLD, "304 Not Modified")],
)
def test_a_file_is_not_sent_where_no_content_goes(path: Path, kind: str, data: bytes, status: str) -> None:
    file = opened(path, kind)
    transport = exchange(from_file(file, status=status), data)
    assert transport.sent.endswith(b"\r\n\r\n")
    assert transport.files == []
    assert file.closed
    assert transport.connection.encoder.response_done
    if data is HEAD:
        assert transport.answer("HEAD").get("Content-Length") == "10"


def test_an_object_that_has_only_read_is_chunked() -> None:
    class Bare:
        def __init__(self) -> None:
            self._file = io.BytesIO(b"0123456789")

        def read(self, size: int) -> bytes:
            return self._file.read(size)

    answer = exchange(from_file(Bare())).answer()
    assert (answer.body, answer.get("Transfer-Encoding")) == (b"0123456789", "chunked")


def test_a_file_that_gives_text_is_refused(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = path.open("r", encoding="ascii")
    assert exchange(from_file(file)).answer().status == 500
    assert "the file of wsgi.file_wrapper gave str" in caplog.text
    assert file.closed


def test_a_file_may_follow_what_was_written(path: Path) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN)(b"first ")
        return environ["wsgi.file_wrapper"](path.open("rb"))

    assert exchange(application).answer().body == b"first 0123456789"


def test_a_file_without_start_response_is_closed(path: Path) -> None:
    file = path.open("rb")
    transport = exchange(lambda environ, _start_response: environ["wsgi.file_wrapper"](file))
    assert transport.answer().status == 500
    assert file.closed


@pytest.mark.parametrize("leaves_after_bytes", [0, 200])
def test_a_file_is_closed_once_when_the_client_leaves(path: Path, leaves_after_bytes: int) -> None:
    path.write_bytes(b"x" * 1000)
    file = path.open("rb")
    transport = RecordingTransport(leaves_after_bytes=leaves_after_bytes)
    exchange(from_file(file), transport=transport)
    assert file.closed


def test_a_file_after_a_written_head_is_not_sent(path: Path) -> None:
    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", PLAIN)(b"hidden")
        return environ["wsgi.file_wrapper"](path.open("rb"))

    transport = exchange(application, HEAD)
    assert transport.answer("HEAD").complete
    assert transport.files == []
    assert transport.connection.encoder.response_done
