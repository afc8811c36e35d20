"""wsgi.early_hints sends 103 before the answer, and never harms it."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.servers import running_server

LINK = ("Link", "</style.css>; rel=preload; as=style")


def hinting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([LINK])
    environ["wsgi.early_hints"]([LINK, ("X-More", "1")])
    start_response("200 OK", [("Content-Type", "text/plain"), LINK])
    return [b"done"]


def test_hints_come_before_the_answer() -> None:
    with running_server(hinting) as server, server.connect() as client:
        for _ in range(2):
            answer = client.get("/")
            assert [interim.status for interim in answer.interim] == [103, 103]
            assert answer.interim[0].fields == (LINK,)
            assert answer.interim[1].get("X-More") == "1"
            assert (answer.status, answer.body) == (200, b"done")


def test_1_0_gets_none() -> None:
    with running_server(hinting) as server, server.connect() as client:
        answer = client.request(b"GET / HTTP/1.0\r\n\r\n")
        assert (answer.interim, answer.body) == ((), b"done")


@pytest.mark.parametrize("field", [("Link", "a\r\nX-Evil: 1"), ("Content-Length", "5"), ("Bad Name", "x")])
def test_a_hint_that_cannot_be_sent_is_the_applications_error(field: tuple[str, str]) -> None:
    def careless(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([field])
        start_response("200 OK", [])
        return [b"never"]

    with running_server(careless) as server, server.connect() as client:
        answer = client.get("/")
        assert (answer.status, answer.interim) == (500, ())
