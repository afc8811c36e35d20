"""A Pyramid application gets and gives what it should."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser
from tests.support.servers import running_server

pytest.importorskip("pyramid")
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated")  # of WebOb, on Python 3.11 and 3.12
LINES = b"".join(b"line %d\n" % number for number in range(100))


@pytest.fixture
def browser() -> Iterator[Browser]:
    from tests.apps.pyramid_app import main

    with running_server(main(), threads=2) as server, Browser(server) as browser:
        yield browser


def test_pages_urls_and_sessions(browser: Browser) -> None:
    for visits in (1, 2, 3):
        page = browser.json("/wiki/front")
        assert page == {"name": "front", "text": "Welcome", "visits": visits, "url": f"{browser.origin}/wiki/front"}
    assert browser.get("/wiki/missing").status == 404


def test_a_form_is_saved_and_the_redirect_is_absolute(browser: Browser) -> None:
    answer = browser.post("/wiki/caf%C3%A9", b"text=caf%C3%A9+au+lait")
    assert answer.status == 302
    location = answer.get("Location")
    assert location == f"{browser.origin}/wiki/caf%C3%A9"
    assert browser.json(location)["text"] == "café au lait"


# WebOb copies a large body to a temporary file and leaves its closing to the collector of garbage.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored (in|while finalizing file).*FileIO:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("size", [10, 2_000_000])
def test_an_upload(browser: Browser, size: int) -> None:
    content = bytes(range(250)) * (size // 250 + 1)
    seen = browser.upload("/upload", "a file.bin", content, "été")
    assert seen == {"filename": "a file.bin", "length": len(content), "sum": sum(content), "note": "été"}


def test_a_stream(browser: Browser) -> None:
    answer = browser.get("/stream")
    assert (answer.body, len(answer.chunks)) == (LINES, 100)


def test_files(browser: Browser) -> None:
    for target in ("/download", "/static/style.css"):
        answer = browser.get(target)
        assert answer.body == b"body { color: black; }\n"
        assert (answer.get("Content-Type") or "").startswith("text/css")
    modified = browser.get("/static/style.css").get("Last-Modified")
    assert browser.get("/static/style.css", f"If-Modified-Since: {modified}").status == 304
    assert browser.get("/static/../pyramid_app.py").status == 404


def test_errors(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    assert browser.get("/forbidden").status == 403
    assert browser.get("/broken").status == 500
    assert "a defect of the application" in caplog.text
    assert browser.get("/wiki/front").status == 200
