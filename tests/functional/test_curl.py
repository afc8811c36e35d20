"""curl, the client that everybody tries first."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.apps.plain import echo, mirror, streamed
from tests.support.servers import running_server

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


def curl(*arguments: str) -> bytes:
    """Run curl and return what it printed."""
    assert CURL is not None
    command = [CURL, "--http1.1", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", *arguments]
    result = subprocess.run(command, capture_output=True, check=True)
    return result.stdout


def test_get() -> None:
    with running_server(echo) as server:
        seen = json.loads(curl("-H", "X-A: b", f"http://127.0.0.1:{server.port}/a%20b?c=d"))
    environ = seen["environ"]
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X_A"]) == ("/a b", "c=d", "b")


def test_several_on_one_connection() -> None:
    with running_server(echo) as server:
        url = f"http://127.0.0.1:{server.port}/[1-5]"
        written = curl("--write-out", "%{num_connects} %{http_code}\\n", "--output", "/dev/null", url)
    assert written.split() == [b"1", b"200", *[b"0", b"200"] * 4]


def test_head() -> None:
    with running_server(echo) as server:
        assert curl("--head", f"http://127.0.0.1:{server.port}/").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_upload_that_expects_100(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "upload").write_bytes(content)
    with running_server(mirror) as server:
        url = f"http://127.0.0.1:{server.port}/"
        arguments = ["--data-binary", f"@{tmp_path}/upload", "-H", "Expect: 100-continue"]
        assert curl(*arguments, url) == content
        assert curl(*arguments, "-H", "Transfer-Encoding: chunked", url) == content
        assert curl("--upload-file", f"{tmp_path}/upload", url) == content


def test_a_stream() -> None:
    with running_server(streamed) as server:
        assert curl("--raw", f"http://127.0.0.1:{server.port}/") == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
        assert curl("--http1.0", f"http://127.0.0.1:{server.port}/") == b"one two three"


def test_a_refused_upload_shows_its_answer(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"x" * 3_000_000)
    with running_server(mirror, max_request_body_size=1000) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for fields in (("-H", "Expect:"), ("-H", "Expect: 100-continue")):
            arguments = ("--data-binary", f"@{tmp_path}/upload", *fields, "--output", "/dev/null")
            assert curl(*arguments, "--write-out", "%{http_code}", url) == b"413"
