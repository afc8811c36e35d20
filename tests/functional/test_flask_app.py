"""A Flask application gets and gives what it should."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser
from tests.support.servers import running_server

pytest.importorskip("flask")
LINES = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture
def browser() -> Iterator[Browser]:
    from tests.apps.flask_app import app

    with running_server(app, threads=2) as server, Browser(server) as browser:
        yield browser


def test_sessions_and_urls(browser: Browser) -> None:
    for visits in (1, 2, 3):
        seen = browser.json("/count?a=%C3%A9")
        assert seen == {"visits": visits, "url": f"{browser.origin}/count?a=é", "root": f"{browser.origin}/"}


def test_a_form_and_an_absolute_redirect(browser: Browser) -> None:
    assert browser.get("/whoami").status == 403
    answer = browser.post("/login", b"name=Zo%C3%AB")
    location = answer.get("Location")
    assert (answer.status, location) == (302, f"{browser.origin}/whoami")
    assert location is not None
    assert browser.get(location).body.decode() == "Zoë"


def test_json(browser: Browser) -> None:
    answer = browser.post("/json", b'{"a": [1, 2, null]}', "application/json")
    assert answer.body.replace(b" ", b"").strip() == b'{"a":[1,2,null]}'


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_an_upload(browser: Browser, size: int) -> None:
    content = bytes(range(250)) * (size // 250 + 1)
    seen = browser.upload("/upload", "file.bin", content, "été")
    assert seen == {"filename": "file.bin", "length": len(content), "sum": sum(content), "note": "été"}


def test_a_stream(browser: Browser) -> None:
    answer = browser.get("/stream")
    assert (answer.body, len(answer.chunks)) == (LINES, 100)


def test_files_ranges_and_conditions(browser: Browser) -> None:
    whole = browser.get("/download")
    assert (whole.status, whole.body) == (200, b"body { color: black; }\n")
    part = browser.get("/download", "Range: bytes=5-9")
    assert (part.status, part.body, part.get("Content-Length")) == (206, b"{ col", "5")
    assert browser.get("/download", f"If-None-Match: {whole.get('ETag')}").status == 304
    assert browser.get("/static/style.css").body == whole.body
    assert browser.get("/static/missing.css").status == 404


def test_errors(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    answer = browser.get("/broken")
    assert (answer.status, b"defect" in answer.body) == (500, False)
    assert "a defect of the application" in caplog.text
    assert browser.get("/count").status == 200
