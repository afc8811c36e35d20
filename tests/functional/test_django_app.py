"""A Django application gets and gives what it should."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser
from tests.support.servers import running_server

pytest.importorskip("django")
LINES = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture
def browser() -> Iterator[Browser]:
    from tests.apps.django_app import application

    with running_server(application, threads=2) as server, Browser(server) as browser:
        yield browser


def test_sessions_and_urls(browser: Browser) -> None:
    for visits in (1, 2, 3):
        assert browser.json("/count?a=b") == {"visits": visits, "url": f"{browser.origin}/count?a=b"}


def test_a_form_and_an_absolute_redirect(browser: Browser) -> None:
    assert browser.get("/whoami").body == b"nobody"
    answer = browser.post("/login", b"name=Zo%C3%AB")
    location = answer.get("Location")
    assert (answer.status, location) == (302, f"{browser.origin}/whoami")
    assert location is not None
    assert browser.get(location).body.decode() == "Zoë"


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_an_upload(browser: Browser, size: int) -> None:
    content = bytes(range(250)) * (size // 250 + 1)
    seen = browser.upload("/upload", "file.bin", content, "été")
    assert seen == {"filename": "file.bin", "length": len(content), "sum": sum(content), "note": "été"}


def test_a_stream(browser: Browser) -> None:
    answer = browser.get("/stream")
    assert (answer.body, len(answer.chunks)) == (LINES, 100)


def test_files(browser: Browser) -> None:
    for target in ("/download", "/static/style.css"):
        answer = browser.get(target)
        assert (answer.status, answer.body) == (200, b"body { color: black; }\n")
    modified = browser.get("/static/style.css").get("Last-Modified")
    assert browser.get("/static/style.css", f"If-Modified-Since: {modified}").status == 304
    assert browser.ask("HEAD", "/download", b"").get("Content-Length") == "23"


def test_errors(browser: Browser) -> None:
    answer = browser.get("/broken")
    assert (answer.status, b"defect" in answer.body) == (500, False)
    assert browser.get("/missing").status == 404


def test_a_host_that_is_not_allowed_is_djangos_affair() -> None:
    from tests.apps.django_app import application

    with running_server(application) as server, server.connect() as client:
        answer = client.request(b"GET /count HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert (answer.status, answer.closes) == (400, False)
