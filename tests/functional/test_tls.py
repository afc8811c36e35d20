"""A whole server that speaks TLS: what clients, applications and request logs see of it."""

import hashlib
import http.client
import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.servers import ROOT, RunningServer, running_server
from tests.support.tls import HOST, TlsClient, authority, client_certificate, client_context, tls_files
from tests.support.waiting import wait_until

CANARY: Final = b"in clear never: "
VERSIONS: Final = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
LARGE: Final = CANARY * 200_000
GET: Final = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"

Start = Callable[..., RunningServer]


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer what the path asks for."""
    path = environ["PATH_INFO"]
    if path == "/environ":
        kept = {key: value for key, value in environ.items() if isinstance(value, str)}
        body = json.dumps(kept).encode()
    elif path == "/upload":
        body = hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()
    else:
        return _answer_large(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _answer_large(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    length = [("Content-Length", str(len(LARGE)))] if path in ("/list", "/file", "/cut") else []
    start_response("200 OK", [("Content-Type", "text/plain"), *length])
    if path == "/file":
        return environ["wsgi.file_wrapper"](Path(environ["waitressd.tests.file"]).open("rb"))
    if path == "/list":
        return [LARGE]
    if path == "/cut":
        return _cut()
    step = len(LARGE) // 50
    return (LARGE[start : start + step] for start in range(0, len(LARGE), step))


def _cut() -> Iterator[bytes]:
    yield LARGE[: len(LARGE) // 2]
    raise ValueError("half of it is enough")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers that speak TLS."""
    file = tmp_path / "file"
    file.write_bytes(LARGE)

    def with_file(environ: dict[str, Any], start_response: Any) -> Any:
        environ["waitressd.tests.file"] = str(file)
        return application(environ, start_response)

    with ExitStack() as stack:

        def run(**settings: Any) -> RunningServer:
            return stack.enter_context(running_server(with_file, **{**tls_files(tmp_path), **settings}))

        yield run


def environ_of(client: Client) -> dict[str, str]:
    found: dict[str, str] = json.loads(client.get("/environ").body)
    return found


# What it serves.


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_application_is_told(start: Start, version: ssl.TLSVersion) -> None:
    server = start(url_scheme="http")
    with TlsClient(server.address, client_context(version)) as client:
        environ = environ_of(client)
        assert environ["wsgi.url_scheme"] == "https"
        assert environ["HTTPS"] == "on"
        assert environ["SERVER_PORT"] == str(server.port)
        assert environ["SSL_PROTOCOL"] == version.name.replace("_", ".")
        assert environ["SSL_TLS_SNI"] == HOST
        assert environ["SSL_SESSION_RESUMED"] == "Initial"
        assert environ["SSL_CIPHER"] == client.tls.cipher()[0]  # type: ignore[index]  # it has one
        assert not [key for key in environ if key.startswith("SSL_CLIENT")]
        assert environ_of(client) == environ
        session = client.tls.session
    context = client_context(version)
    with TlsClient(server.address, context) as client:
        client.get("/environ")
        session = client.tls.session
    with TlsClient(server.address, context, session=session) as client:
        assert environ_of(client)["SSL_SESSION_RESUMED"] == "Resumed"


@pytest.mark.parametrize("path", ["/list", "/file", "/generator"])
def test_large_answers_arrive_and_end_with_a_farewell(start: Start, path: str) -> None:
    server = start()
    for version in ("1.1", "1.0"):
        with TlsClient(server.address) as client:
            client.send(f"GET {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert client.receive().body == LARGE
            client.expect_closed()


def test_uploads_arrive(start: Start) -> None:
    server = start(inbuf_overflow=100_000)
    with TlsClient(server.address) as client:
        for _ in range(2):
            client.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE)
            assert client.receive().body == hashlib.sha256(LARGE).hexdigest().encode()


def test_a_cut_answer_is_an_error_for_every_client(start: Start) -> None:
    """Also where only the end of the connection ends the body: without a farewell it was cut."""
    server = start()
    for version in ("1.1", "1.0"):
        with TlsClient(server.address) as client:
            client.send(f"GET /cut HTTP/{version}\r\nHost: x\r\n\r\n".encode())
            with pytest.raises((AssertionError, OSError)):
                client.receive()


def test_http_client_of_python(start: Start) -> None:
    server = start()
    connection = http.client.HTTPSConnection("localhost", server.port, context=client_context(), timeout=20)
    for path in ("/environ", "/list", "/generator"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        assert path == "/environ" or answer.read() == LARGE
        answer.read()
    connection.close()


@pytest.mark.parametrize("arguments", [(), ("--http1.0",), ("-H", "Connection: close"), ("--tls-max", "1.2")])
def test_curl_finds_nothing_to_complain_of(start: Start, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    server = start()
    command = [curl, "-sS", "--cacert", str(tmp_path / "ca.pem"), "--max-time", "20", "--noproxy", "*", *arguments]
    for path in ("/environ", "/generator", "/file"):
        url = f"https://localhost:{server.port}{path}"
        done = subprocess.run([*command, url], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert path == "/environ" or done.stdout == LARGE
    done = subprocess.run([*command, f"https://localhost:{server.port}/cut"], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_openssl_finds_nothing_to_complain_of(start: Start, tmp_path: Path, option: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    server = start()
    command = [
        openssl, "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", HOST, "-CAfile",
        str(tmp_path / "ca.pem"), "-verify_return_error", "-alpn", "h2,http/1.1", "-ign_eof", option,
    ]  # fmt: skip
    request = b"GET /environ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, check=False, timeout=20)
    assert done.returncode == 0
    assert b"HTTP/1.1 200 OK" in done.stdout
    assert b"ALPN protocol: http/1.1" in done.stdout
    assert b"unexpected eof" not in done.stderr
    old = subprocess.run([*command[:-1], "-tls1_1"], input=b"", capture_output=True, check=False, timeout=20)
    assert old.returncode != 0


# Nothing in clear.


class Relay:
    """Stands between a client and a server, and keeps every octet that the server sends."""

    def __init__(self, address: Any) -> None:
        self._target = address
        self.octets = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(self._target) as server:
                    forth = threading.Thread(target=self._pass, args=(client, server), name="relay, forth")
                    forth.start()
                    self._record(server, client)
                    for each in (client, server):
                        with suppress(OSError):
                            each.shutdown(socket.SHUT_RDWR)
                    forth.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _record(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.octets += data
                with suppress(OSError):
                    target.sendall(data)

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextmanager
def relayed(server: RunningServer) -> Iterator[Relay]:
    relay = Relay(server.address)
    try:
        yield relay
    finally:
        relay.close()


@pytest.mark.parametrize("path", ["/list", "/file", "/generator", "/cut"])
@pytest.mark.parametrize("end", ["reads all", "leaves", "resets", "is too slow", "is stopped"])
def test_no_octet_of_an_answer_goes_out_in_clear(start: Start, path: str, end: str) -> None:
    server = start(send_timeout=1, shutdown_timeout=1, min_rate_grace=1, linger_timeout=0.2)
    with relayed(server) as relay:
        with TlsClient(relay.address, timeout=20) as client, suppress(OSError, AssertionError):
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if end == "reads all":
                client.receive()
            else:
                client.receive_head()
            if end == "resets":
                client.reset()
            elif end == "is too slow":
                assert wait_until(lambda: server.server.snapshot().connections["running"] == 0)
            elif end == "is stopped":
                server.stop()
        server.stop()
    assert relay.octets
    assert CANARY[:8] not in relay.octets


# Who the client is.


def test_clients_that_must_show_a_certificate(start: Start, tmp_path: Path) -> None:
    records: list[Any] = []
    server = start(tls_client_ca=str(tls_ca(tmp_path)), request_log=(records.append,))
    for version in VERSIONS:
        with TlsClient(server.address, client_context(version, client_certificate())) as client:
            environ = environ_of(client)
            assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
            assert environ["SSL_CLIENT_S_DN"].startswith("CN=Alice,")
            assert environ["SSL_CLIENT_SAN_Email_0"] == "alice@example.org"
        with pytest.raises(OSError, match=r".*"), TlsClient(server.address, client_context(version)) as client:
            client.get("/environ")
    assert wait_until(lambda: len(records) == 2)
    assert [record.tls.client.common_name for record in records] == ["Alice", "Alice"]
    assert server.server.snapshot().handshakes["client_certificate"] == 2


def test_a_session_never_proves_more_than_the_certificate_that_it_began_with(start: Start, tmp_path: Path) -> None:
    """Neither under another name, nor at another listener: what a listener asks for is asked of every client."""
    ca = str(tls_ca(tmp_path))
    asks, optional = start(tls_client_ca=ca), start(tls_client_ca=ca, tls_client_verify="optional")
    for version in VERSIONS:
        anonymous, known = client_context(version), client_context(version, client_certificate())
        with TlsClient(optional.address, anonymous) as client:
            assert environ_of(client)["SSL_CLIENT_VERIFY"] == "NONE"
            session = client.tls.session
        with pytest.raises(OSError, match=r".*"), TlsClient(asks.address, anonymous, session=session) as client:
            client.get("/environ")
        with TlsClient(asks.address, known) as client:
            environ_of(client)
            session = client.tls.session
        with TlsClient(asks.address, known, name="localhost", session=session) as client:
            environ = environ_of(client)
        assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert environ["SSL_CLIENT_S_DN"].startswith("CN=Alice,")


def tls_ca(folder: Path) -> Path:
    path = folder / "clients.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


# What costs nobody else.


def test_silent_clients_do_not_keep_the_others_out(start: Start) -> None:
    """However few connections there may be: those in their handshake are half of them at most, and the oldest goes."""
    server = start(connection_limit=6)
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(server.connect())
        for _ in range(4):
            with TlsClient(server.address) as client:
                assert environ_of(client)["HTTPS"] == "on"
        assert wait_until(lambda: server.server.snapshot().handshakes["evicted"] >= 9)


def test_what_two_listeners_speak(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = start(listen=f"127.0.0.1:{port} 127.0.0.1:0", tls_listen=f"127.0.0.1:{port}")
    secure, plain = (listener.address for listener in server.server._listeners)
    with TlsClient(secure) as client:
        assert environ_of(client)["wsgi.url_scheme"] == "https"
    with Client(plain) as other:
        environ = environ_of(other)
    assert environ["wsgi.url_scheme"] == "http"
    assert not {key for key in environ if key == "HTTPS" or key.startswith("SSL_")}


# What the operator sees.


def test_records_lines_and_metrics_know_of_it(start: Start) -> None:
    records: list[Any] = []
    server = start(request_log=(records.append,))
    with TlsClient(server.address) as client:
        client.get("/environ")
    assert wait_until(lambda: records)
    tls = records[0].tls
    assert (tls.version, tls.sni, tls.is_resumed, tls.client) == ("TLSv1.3", HOST, False, None)
    found = server.server.snapshot()
    assert found.handshakes["full"] == 1
    assert found.open_handshakes == 0


def test_tls_on_a_plain_listener_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running_server(application) as server:
        port = server.port
        for _ in range(3):
            with pytest.raises(ssl.SSLError), TlsClient(server.address):
                pass
        assert wait_until(lambda: "speaks TLS" in caplog.text)
    lines = [line for line in caplog.messages if "speaks TLS" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"to the plain listener 127.0.0.1:{port}; set tls_certificate, or use http://")


def test_a_plain_server_does_not_pay_for_it() -> None:
    """Not even the import, which takes 15 ms and 2 MiB."""
    code = (
        "import sys, threading, waitressd\n"
        "server = waitressd.create_server(lambda environ, start: [], listen='127.0.0.1:0')\n"
        "thread = threading.Thread(target=server.run); thread.start(); server.close(); thread.join()\n"
        "import waitressd.cli\n"
        "print(sorted({'ssl', '_ssl', 'waitressd.net.tls'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
