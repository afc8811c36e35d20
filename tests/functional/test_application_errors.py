"""What an application raises becomes a 500 and a log entry; the thread and the server live on."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.servers import running_server


def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fine":
        return hello(environ, start_response)
    raise RuntimeError("a secret detail")


def test_the_client_learns_nothing_and_the_log_everything(caplog: pytest.LogCaptureFixture) -> None:
    with running_server(failing) as server, server.connect() as client:
        answer = client.get("/broken")
    assert (answer.status, b"secret" in answer.body) == (500, False)
    assert "a secret detail" in caplog.text
    assert "GET /broken" in caplog.text


def test_the_traceback_is_shown_where_that_is_wanted() -> None:
    with running_server(failing, expose_tracebacks=True) as server, server.connect() as client:
        answer = client.get("/")
    assert answer.status == 500
    assert b"RuntimeError: a secret detail" in answer.body


def test_more_failures_than_threads_do_not_wear_the_server_out() -> None:
    with running_server(failing, threads=2) as server, server.connect() as client:
        for _ in range(20):
            assert client.get("/").status == 500
            assert client.get("/fine").status == 200


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), OSError(32, "x"), MemoryError()]
)
def test_even_what_would_end_a_program_does_not_end_the_server(error: BaseException) -> None:
    def ending(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise error

    with running_server(ending, threads=1) as server, server.connect() as client:
        for _ in range(5):
            assert client.get("/").status == 500
