"""Applications that do what they should not: it costs them their own answer, never another one, nor the server."""

import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import BrokenAnswerError
from tests.support.servers import running_server


class Keeper:
    """Keeps what belongs to one request and uses it in the next."""

    def __init__(self, misuse: Callable[[Any, Callable[[bytes], None], dict[str, Any]], object]) -> None:
        self.misuse = misuse
        self.kept: tuple[Any, Callable[[bytes], None], dict[str, Any]] | None = None
        self.raised: BaseException | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.kept is not None:
            try:
                self.misuse(*self.kept)
            except BaseException as error:  # border: whatever it is, it must not harm this answer
                self.raised = error
        write = start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
        self.kept = start_response, write, environ
        return [environ["PATH_INFO"].encode()]


def write_again(_start: Any, write: Callable[[bytes], None], _environ: dict[str, Any]) -> None:
    write(b"stray")


def start_again(start: Any, _write: Callable[[bytes], None], _environ: dict[str, Any]) -> None:
    start("200 OK", [("X-Stray", "1")])


def start_with_exc_info(start: Any, _write: Callable[[bytes], None], _environ: dict[str, Any]) -> None:
    try:
        raise ValueError
    except ValueError:
        start("500 Stray", [], sys.exc_info())


def hint_again(_start: Any, _write: Callable[[bytes], None], environ: dict[str, Any]) -> None:
    environ["wsgi.early_hints"]([("Link", "</stray>")])


def read_again(_start: Any, _write: Callable[[bytes], None], environ: dict[str, Any]) -> None:
    environ["wsgi.input"].read()


@pytest.mark.parametrize(
    "misuse", [write_again, start_again, start_with_exc_info, hint_again, read_again], ids=lambda each: each.__name__
)
def test_what_belongs_to_one_request_does_nothing_to_the_next(misuse: Callable[..., object]) -> None:
    with running_server(Keeper(misuse)) as server, server.connect() as client:
        for number in range(4):
            request = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % number
            answer = client.request(request)
            assert (answer.status, answer.get("X-Path"), answer.body) == (200, f"/{number}", b"/%d" % number)
            assert (answer.interim, answer.get("X-Stray")) == ((), None)
        assert client.is_silent(0.05)


def test_what_close_writes_goes_nowhere() -> None:
    class Writing:
        def __init__(self, write: Callable[[bytes], None]) -> None:
            self.write = write

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"body"])

        def close(self) -> None:
            self.write(b"stray")

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return Writing(start_response("200 OK", [("Content-Length", "4")]))

    with running_server(application) as server, server.connect() as client:
        for _ in range(3):
            assert client.get("/").body == b"body"
        assert client.is_silent(0.05)


def endless(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return itertools.repeat(b"more")


def test_an_endless_answer_ends_with_its_content_length() -> None:
    with running_server(endless, threads=1) as server, server.connect() as client:
        for _ in range(3):
            assert client.get("/").body == b"moremoremo"
            assert client.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200


@pytest.mark.parametrize(
    "result", [None, 7, "text", b"bytes", object(), len, {1: 2}, [1], [None], ["text"], [b"a", "b"]]
)
def test_results_that_are_no_answers(result: object, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return result

    with running_server(application) as server, server.connect() as client:
        for _ in range(2):
            assert client.get("/").status == 500
    assert [record for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize(
    "fields",
    [
        None,
        "X: a",
        {"X": "a"},
        [("X",)],
        [("X", "a", "b")],
        [("X", None)],
        [("X", 1)],
        [("X", b"a")],
        [(b"X", "a")],
        ["X"],
        [None],
    ],
)
def test_fields_that_are_none(fields: object) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", fields)
        return [b"never"]

    with running_server(application) as server, server.connect() as client:
        for _ in range(2):
            answer = client.get("/")
            assert (answer.status, b"never" in answer.body) == (500, False)


def test_a_field_of_a_megabyte() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("X-Large", "x" * 1_000_000)])
        return [b"body"]

    with running_server(application) as server, server.connect() as client:
        answer = client.get("/")
        assert (answer.get("X-Large"), answer.body) == ("x" * 1_000_000, b"body")


def wrapped(opener: Callable[[], Any], *fields: tuple[str, str], before: bytes = b"") -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", list(fields))
        if before:
            write(before)
        return environ["wsgi.file_wrapper"](opener())

    return application


def test_a_file_longer_than_the_declared_length_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with (
        running_server(wrapped(lambda: path.open("rb"), ("Content-Length", "4"))) as server,
        server.connect() as client,
    ):
        assert [client.get("/").body for _ in range(3)] == [b"0123"] * 3


def test_a_file_after_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    application = wrapped(lambda: path.open("rb"), before=b"first ")
    with running_server(application) as server, server.connect() as client:
        assert [client.get("/").body for _ in range(3)] == [b"first 0123456789"] * 3


def test_a_file_that_is_closed_already(tmp_path: Path) -> None:
    def closed() -> Any:
        file = (tmp_path / "file").open("wb")
        file.close()
        return file

    with running_server(wrapped(closed)) as server, server.connect() as client:
        assert [client.get("/").status for _ in range(2)] == [500, 500]


def test_a_file_of_text_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    with running_server(wrapped(lambda: path.open(encoding="utf-8"))) as server, server.connect() as client:
        assert [client.get("/").status for _ in range(2)] == [500, 500]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_a_file_that_hides_its_size_is_sent_all_the_same() -> None:
    path = Path("/proc/self/status")
    with running_server(wrapped(lambda: path.open("rb"))) as server, server.connect() as client:
        for _ in range(2):
            assert client.get("/").body.startswith(b"Name:")


def test_a_compressed_file_is_read_and_not_sent_as_it_is_on_disk(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"clear text"))
    with running_server(wrapped(lambda: gzip.open(path))) as server, server.connect() as client:
        assert [client.get("/").body for _ in range(2)] == [b"clear text"] * 2


def test_an_environ_may_be_ruined() -> None:
    def ruining(environ: dict[str, Any], start_response: Any) -> Any:
        environ.clear()
        return hello(environ, start_response)

    def ruining_and_failing(environ: dict[str, Any], start_response: Any) -> Any:
        environ.clear()
        raise ValueError("on purpose")

    for application, status in ((ruining, 200), (ruining_and_failing, 500)):
        with running_server(application) as server, server.connect() as client:
            assert [client.get("/").status for _ in range(3)] == [status] * 3


def test_another_thread_may_do_the_answering() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        def answer() -> None:
            start_response("200 OK", [])(b"from another thread")

        thread = threading.Thread(target=answer)
        thread.start()
        thread.join()
        return []

    with running_server(application) as server, server.connect() as client:
        assert [client.get("/").body for _ in range(3)] == [b"from another thread"] * 3


class UnspeakableError(Exception):
    """An error that cannot even be described."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("exposed", ["true", "false"])
def test_an_error_that_cannot_be_described(exposed: str) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        raise UnspeakableError

    with running_server(application, expose_tracebacks=exposed == "true") as server, server.connect() as client:
        assert [client.get("/").status for _ in range(3)] == [500] * 3


def test_a_generator_that_does_not_want_to_end() -> None:
    def stubborn(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        while True:
            try:
                yield b"abc"
            except GeneratorExit:
                yield b"never"

    with running_server(stubborn) as server, server.connect() as client:
        assert [client.get("/").body for _ in range(3)] == [b"abc"] * 3


def test_recursion_without_end() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Any:
        return application(environ, start_response)

    with running_server(application) as server, server.connect() as client:
        assert [client.get("/").status for _ in range(3)] == [500] * 3


def test_an_iterator_that_fails_to_begin() -> None:
    class Failing:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("on purpose")

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return Failing()

    with running_server(application) as server, server.connect() as client:
        assert [client.get("/").status for _ in range(3)] == [500] * 3


def test_a_failure_after_the_last_byte_of_the_content_length_harms_nobody() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        yield b"abc"
        raise ValueError("on purpose")

    with running_server(application) as server:
        for _ in range(3):
            with server.connect() as client:
                assert client.get("/").body == b"abc"


def test_a_stream_that_fails_looks_incomplete_in_every_framing() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"abc" * 1000
        raise ValueError("on purpose")

    with running_server(application) as server:
        for version in (b"HTTP/1.1", b"HTTP/1.0"):
            for _ in range(10):
                with server.connect() as client, pytest.raises((BrokenAnswerError, ConnectionResetError)):
                    client.request(b"GET / %b\r\nHost: a\r\n\r\n" % version)
