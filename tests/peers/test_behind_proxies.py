"""nginx and HAProxy in front, configured as the manual says: who the client is, and that nothing is lost on the way."""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Response
from tests.support.frontends import (
    CLIENT,
    HOST,
    FrontClient,
    Frontend,
    haproxy,
    need_stream_module,
    nginx,
    server_settings,
)
from tests.support.servers import running_server
from tests.support.urls import pattern, telling_application

LARGE_BYTES: Final = 20 << 20
SMALL_BUFFER_BYTES: Final = 16 << 10

pytestmark = pytest.mark.usefixtures("url_builders")


@dataclass(frozen=True)
class Setup:
    """A pair of files of the manual, and what the test changes in them."""

    file: str
    upstream: str = "unix"
    places: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_nginx(self) -> bool:
        return self.file.startswith("nginx")

    @property
    def is_stream(self) -> bool:
        """Whether it passes octets on, and says who sends them by the PROXY protocol."""
        return self.file in ("nginx-stream", "haproxy-proxy-protocol")

    @property
    def schemes(self) -> tuple[str, ...]:
        return ("https",) if self.file == "nginx-stream" else ("http", "https")


_OF_VERSION_2: Final = "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority"
SETUPS: Final = {
    "nginx": Setup("nginx"),
    "nginx-tcp": Setup("nginx", "tcp"),
    "nginx-forwarded": Setup("nginx-forwarded"),
    "nginx-proxy-v1": Setup("nginx-stream"),
    "haproxy": Setup("haproxy", "tcp"),
    "haproxy-unix": Setup("haproxy"),
    "haproxy-forwarded": Setup("haproxy-forwarded"),
    "haproxy-proxy-v2": Setup("haproxy-proxy-protocol"),
    "haproxy-proxy-v2-tcp": Setup("haproxy-proxy-protocol", "tcp"),
    # Its clients speak TLS and plain HTTP, and version 1 cannot say which; what follows is asked of plain ones.
    "haproxy-proxy-v1": Setup(
        "haproxy-proxy-protocol", "tcp", {_OF_VERSION_2: "send-proxy"}, {"proxy_protocol": "v1"}
    ),
}  # fmt: skip


@dataclass
class Site:
    """A frontend and the server behind it."""

    setup: Setup
    frontend: Frontend
    records: list[Any]

    @property
    def schemes(self) -> tuple[str, ...]:
        return ("http",) if self.setup.settings.get("proxy_protocol") == "v1" else self.setup.schemes

    @property
    def scheme(self) -> str:
        return self.schemes[0]

    def connect(self, scheme: str = "", **options: Any) -> FrontClient:
        return self.frontend.connect(scheme or self.scheme, **options)

    def served(self) -> list[Any]:
        """Return the records of what was asked by clients, not by health checks; complete when the site is closed."""
        return [record for record in self.records if record.target != "/health"]


@contextmanager
def site(setup: Setup, folder: Path, certificate: Path, **own: str) -> Iterator[Site]:
    """Run what a setup says."""
    if setup.file == "nginx-stream":
        need_stream_module()
    path = str(folder / "web.sock")
    records: list[Any] = []
    settings = server_settings(setup.file, **setup.settings, **own)
    documented = str(settings["listen"])
    if setup.upstream == "tcp":
        settings |= {"listen": "127.0.0.1:0", "trusted_proxy": "127.0.0.1"}
    else:
        settings |= {"listen": f"unix:{path}", "trusted_proxy": "unix:"}
    with running_server(telling_application, request_log=(records.append,), **settings) as server:
        upstream = f"127.0.0.1:{server.port}" if setup.upstream == "tcp" else f"unix:{path}"
        if not setup.is_nginx:
            documented, upstream = documented.replace("unix:", "unix@"), upstream.replace("unix:", "unix@")
        run = nginx if setup.is_nginx else haproxy
        with run(setup.file, folder, certificate, {**setup.places, documented: upstream}) as frontend:
            yield Site(setup, frontend, records)


@pytest.fixture(params=SETUPS)
def behind(request: pytest.FixtureRequest, tmp_path: Path, certificate: Path) -> Iterator[Site]:
    """Each setup in turn."""
    with site(SETUPS[request.param], tmp_path, certificate) as running:
        yield running


@pytest.fixture(params=SETUPS)
def one_thread(request: pytest.FixtureRequest, tmp_path: Path, certificate: Path) -> Iterator[Site]:
    """Each setup in turn, with one thread for the application."""
    with site(SETUPS[request.param], tmp_path, certificate, threads="1") as running:
        yield running


def ask(client: FrontClient, target: str, host: str, *fields: str) -> dict[str, Any]:
    """Return what the application was told."""
    answer = client.request("\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode("latin-1"))
    return told(answer)


def told(answer: Response) -> dict[str, Any]:
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


def check_client(behind: Site, client: FrontClient, environ: dict[str, str], address: str) -> None:
    assert environ["REMOTE_ADDR"] == environ["REMOTE_HOST"] == address
    assert environ.get("REMOTE_PORT") == (str(client.port) if behind.setup.is_stream else None)


def test_who_the_client_is_and_which_url_it_sees(behind: Site) -> None:
    for scheme in behind.schemes:
        port = behind.frontend.ports[scheme]
        for host, server_port in ((f"{HOST}:{port}", port), (HOST, {"http": 80, "https": 443}[scheme])):
            with behind.connect(scheme) as client:
                found = ask(client, "/some/page?query=1", host)
                environ = found["environ"]
                check_client(behind, client, environ, CLIENT)
                assert set(found["urls"].values()) == {f"{scheme}://{host}/some/page?query=1"}
                assert environ["wsgi.url_scheme"] == scheme
                assert environ["HTTP_HOST"] == host
                # Octets are passed on: the port is that of the connection, whatever the client calls it.
                assert environ["SERVER_PORT"] == str(port if behind.setup.is_stream else server_port)
                assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/some/page")


def test_a_client_that_comes_by_ipv6(behind: Site) -> None:
    with behind.connect(host="::1") as client:
        host = f"[::1]:{behind.frontend.ports[behind.scheme]}"
        found = ask(client, "/page", host)
        check_client(behind, client, found["environ"], "::1")
        assert set(found["urls"].values()) == {f"{behind.scheme}://{host}/page"}


FORGED: Final = [
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Port: 666",
    "X-Forwarded-By: 6.6.6.6",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-User: evil",
    "X-Real-IP: 6.6.6.6",
    'Forwarded: for=6.6.6.6;host="evil.example";proto=gopher',
]


def test_what_the_client_says_of_itself_has_no_effect(behind: Site) -> None:
    for scheme in behind.schemes:
        with behind.connect(scheme) as client:
            plain = ask(client, "/page", HOST)
            forged = ask(client, "/page", HOST, *FORGED, *FORGED)
            assert "evil" not in json.dumps(forged)
            assert "6.6.6.6" not in json.dumps(forged)
            for found in (plain, forged):
                del found["environ"]["waitressd.request_id"], found["environ"]["waitressd.traceparent"]
            assert forged == plain


@pytest.mark.parametrize(
    "host", ['a",for=6.6.6.6;x="b', "a;for=6.6.6.6", "a,for=6.6.6.6", "6.6.6.6, shop.example", "a b"]
)
def test_a_host_cannot_say_more_than_a_host(behind: Site, host: str) -> None:
    """It stands in quotes between what the frontend says: whoever could end them could go on as the frontend."""
    request = f"GET /page?environ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with behind.connect() as client:
        answer = client.request(request)
        if answer.status == 200:
            assert told(answer)["environ"]["REMOTE_ADDR"] == CLIENT
        else:
            assert answer.status == 400


def test_a_prefix_that_nginx_cuts_off(tmp_path: Path, certificate: Path) -> None:
    with site(SETUPS["nginx"], tmp_path, certificate) as behind, behind.connect() as client:
        host = f"{HOST}:{behind.frontend.ports['http']}"
        found = ask(client, "/api/some/page?query=1", host, "X-Forwarded-Prefix: /evil")
        assert (found["environ"]["SCRIPT_NAME"], found["environ"]["PATH_INFO"]) == ("/api", "/some/page")
        assert set(found["urls"].values()) == {f"http://{host}/api/some/page?query=1"}


def test_nginx_names_a_host_where_the_client_does_not(tmp_path: Path, certificate: Path) -> None:
    with site(SETUPS["nginx"], tmp_path, certificate) as behind, behind.connect() as client:
        found = told(client.request(b"GET /page HTTP/1.0\r\n\r\n"))
        assert set(found["urls"].values()) == {f"http://{HOST}/page"}


@pytest.mark.parametrize("name", SETUPS)
def test_a_connection_serves_many_requests(name: str, tmp_path: Path, certificate: Path) -> None:
    with site(SETUPS[name], tmp_path, certificate) as behind, behind.connect() as client:
        for number in range(10):
            assert ask(client, f"/{number}", HOST)["environ"]["PATH_INFO"] == f"/{number}"
    assert len(behind.served()) == 10
    assert len({record.connection for record in behind.served()}) == 1


@pytest.mark.parametrize("name", ["nginx", "nginx-tcp", "nginx-forwarded", "haproxy", "haproxy-unix"])
def test_connections_are_kept_for_other_clients(name: str, tmp_path: Path, certificate: Path) -> None:
    """And each request is told its own client, whoever came before it on the connection."""
    with site(SETUPS[name], tmp_path, certificate) as behind:
        for _ in range(5):
            with behind.connect() as client:
                assert ask(client, "/", HOST)["environ"]["REMOTE_ADDR"] == CLIENT
            with behind.connect(host="::1") as client:
                assert ask(client, "/", HOST)["environ"]["REMOTE_ADDR"] == "::1"
    served = behind.served()
    assert len(served) == 10
    assert len({record.connection for record in served}) <= 3


def test_large_bodies_in_both_directions(behind: Site) -> None:
    body = pattern(LARGE_BYTES)
    digest = [len(body), hashlib.sha256(body).hexdigest()]
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\n"
    with behind.connect() as client:
        client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        client.send(body)
        assert told(client.receive())["body"] == digest
        client.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(body), 1 << 20):
            piece = body[start : start + (1 << 20)]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        assert told(client.receive())["body"] == digest
        assert client.get(f"/?bytes={LARGE_BYTES}").body == body


def test_a_slow_upload_keeps_no_thread(one_thread: Site) -> None:
    body = pattern(200_000)
    with one_thread.connect() as slow:
        slow.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        slow.send(body[:100_000])
        with one_thread.connect() as other:
            assert ask(other, "/other", HOST)["environ"]["PATH_INFO"] == "/other"
        slow.send_bytewise(body[100_000:100_050])
        slow.send(body[100_050:])
        assert told(slow.receive())["body"] == [len(body), hashlib.sha256(body).hexdigest()]


def test_a_slow_reader_keeps_no_thread(one_thread: Site) -> None:
    with one_thread.connect(receive_buffer_bytes=SMALL_BUFFER_BYTES) as slow:
        slow.send(f"GET /?bytes={LARGE_BYTES} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        slow.buffer = slow.sock.recv(100)
        with one_thread.connect() as other:
            assert ask(other, "/other", HOST)["environ"]["PATH_INFO"] == "/other"
        assert slow.receive().body == pattern(LARGE_BYTES)


@pytest.mark.parametrize("name", ["haproxy-proxy-v2", "haproxy-proxy-v2-tcp"])
def test_what_haproxy_knows_of_tls(name: str, tmp_path: Path, certificate: Path) -> None:
    with site(SETUPS[name], tmp_path, certificate) as behind:
        with behind.connect("https") as client:
            environ = ask(client, "/", HOST, "SSL-Protocol: none")["environ"]
            cipher = client.cipher()
        found = {key: value for key, value in environ.items() if key.startswith("SSL_")}
        assert found == {
            "SSL_PROTOCOL": cipher[1],
            "SSL_CIPHER": cipher[0],
            "SSL_TLS_SNI": HOST,
            "SSL_CLIENT_VERIFY": "NONE",
        }
        with behind.connect("http") as client:
            environ = ask(client, "/", HOST)["environ"]
        assert not [key for key in environ if key.startswith("SSL_")]


@pytest.mark.parametrize("name", [name for name in SETUPS if name.startswith("haproxy")])
def test_health_checks_disturb_nobody(
    name: str, tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setup = SETUPS[name]
    places = {**setup.places, " check\n": " check inter 50ms\n    timeout check 10s\n"}
    often = Setup(setup.file, setup.upstream, places, setup.settings)
    with site(often, tmp_path, certificate) as behind, ExitStack() as stack:
        client = stack.enter_context(behind.connect())
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert ask(client, "/page", HOST)["environ"]["REMOTE_ADDR"] == CLIENT
    checked = [record for record in behind.records if record.target == "/health"]
    assert bool(checked) is (setup.file == "haproxy")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_header_of_a_proxy_that_is_not_trusted(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server answers nobody behind it, and says why once."""
    setup = SETUPS["haproxy-proxy-v2-tcp"]
    settings = server_settings(setup.file, listen="127.0.0.1:0", trusted_proxy="10.0.0.0/8")
    with running_server(telling_application, **settings) as server:
        places = {"unix@/run/shop/web.sock": f"127.0.0.1:{server.port}"}
        with haproxy(setup.file, tmp_path, certificate, places) as frontend, frontend.connect() as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert client.receive_rest() == b""
    assert "it is not in trusted_proxy" in caplog.text
