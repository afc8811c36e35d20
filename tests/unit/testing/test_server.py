"""A server for tests: it is there at once, says what the application raised, and leaves nothing behind."""

import http.client
import logging
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from waitressd.config.errors import ConfigError
from waitressd.testing import TestServer, serve


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]


def failing(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    if environ["PATH_INFO"] == "/late":
        start_response("200 OK", [])
        yield b"begun"
    raise LookupError(environ["PATH_INFO"])


def get(url: str, **options: Any) -> bytes:
    with urllib.request.urlopen(url, timeout=20, **options) as response:
        body: bytes = response.read()
    return body


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    threads, handlers = set(threading.enumerate()), list(logging.getLogger("waitressd").handlers)
    yield
    assert set(threading.enumerate()) <= threads
    assert logging.getLogger("waitressd").handlers == handlers


def test_it_serves_while_the_block_runs() -> None:
    with serve(hello, threads=2) as server:
        assert (server.host, server.url) == ("127.0.0.1", f"http://127.0.0.1:{server.port}")
        assert server.application_url == f"{server.url}/"
        assert get(f"{server.url}/a") == b"http  /a"
        assert server.server.adjustments.threads == 2
        assert server.errors == []
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.1", server.server.adjustments.port or 1, timeout=5).connect()


def test_a_prefix_is_a_part_of_the_url() -> None:
    with serve(hello, url_prefix="/shop", host="127.0.0.1", port=0) as server:
        assert get(f"{server.url}/a") == b"http /shop /a"


def test_a_host_alone_leaves_the_port_and_a_port_alone_the_host() -> None:
    with serve(hello, host="localhost") as first, serve(hello, host="localhost") as second:
        assert first.port != second.port
    with serve(hello, port=0) as server:
        assert server.host == "127.0.0.1"


def test_tls_with_a_certificate_that_clients_can_check() -> None:
    pytest.importorskip("trustme")
    with serve(hello, tls=True) as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        assert server.url.startswith("https://")
        assert get(f"{server.url}/a", context=context) == b"https  /a"
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=server.ca_file)


def test_what_the_application_raises_is_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with serve(failing) as server, serve(failing) as other:
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{server.url}/a")
        with caught.value as answer:
            assert "LookupError" in answer.read().decode()
        assert [str(error) for error in server.errors] == ["/a"]
        assert other.errors == []
    assert "Exception while serving" in caplog.text


def test_it_can_be_raised_in_the_test() -> None:
    with pytest.raises(ExceptionGroup) as caught, serve(failing, raise_errors=True) as server:
        for path in ("/a", "/late"):
            with pytest.raises((urllib.error.HTTPError, http.client.HTTPException)) as refused:
                get(f"{server.url}{path}")
            if isinstance(refused.value, urllib.error.HTTPError):
                refused.value.close()
    assert [type(error) for error in caught.value.exceptions] == [LookupError, LookupError]
    with pytest.raises(ZeroDivisionError), serve(failing, raise_errors=True) as server:
        with pytest.raises(urllib.error.HTTPError) as answered:
            get(server.url)
        answered.value.close()
        raise ZeroDivisionError


def test_the_names_of_webtest() -> None:
    server = TestServer.create(hello)
    try:
        assert server.wait()
        assert get(f"{server.application_url}a") == b"http  /a"
    finally:
        assert server.shutdown()
        server.close()


def test_a_unix_socket_has_no_url(tmp_path: Any) -> None:
    with serve(hello, unix_socket=str(tmp_path / "s")) as server:
        assert server.host == "unix"
        with pytest.raises(TypeError, match="a Unix socket has no port"):
            _ = server.url


def test_what_cannot_start_raises_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="threads = x"):
        TestServer(hello, threads="x", tls=True)
    monkeypatch.setitem(sys.modules, "trustme", None)  # as if it were not installed
    with pytest.raises(RuntimeError, match="pip install trustme"):
        TestServer(hello, tls=True)


def test_what_ends_the_server_is_raised_at_the_end() -> None:
    server = TestServer(hello)
    server._failure = OSError("no thread could be started")
    with pytest.raises(OSError, match="no thread could be started"):
        server.close()
