"""Who the client is, in every combination of what can say so: settings, listener, PROXY header and header fields.

One table. For each row the keys of the environ must agree with each other and with an oracle written from the manual's
sentences, and four frameworks must build the URL that the browser shows. The requests go through the parser and the
builder that serve a socket; the sockets themselves are in test_preface.py and tests/peers.
"""

import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.origins import origin_of
from tests.support.recording import RecordingTransport
from tests.support.servers import running_server
from tests.support.urls import IDENTITY, frameworks, telling_application, urls_of
from waitressd.http.proxyprotocol import ClientTls, Endpoint, ProxyHeader
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import FIELD_KEYS, TrustedProxies

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
PROXY: Final = "10.0.0.1"
OTHER: Final = "192.0.2.1"
SERVER_NAME: Final = "waitress.invalid"
TCP_PORT: Final = 8080
X_FIELDS: Final = frozenset(FIELD_KEYS) - {"forwarded"}

BALANCED: Final = ProxyHeader(Endpoint(PROXY, 4711), Endpoint("198.51.100.2", 8443))
BALANCED_TLS: Final = ProxyHeader(Endpoint(PROXY, 4711), Endpoint("198.51.100.2", 443), tls=ClientTls())
OWN: Final = ProxyHeader()


@dataclass(frozen=True)
class Case:
    """One row: what the operator set, who connects, and what the request says."""

    url_scheme: str
    url_prefix: str
    peer: str
    header: ProxyHeader | None
    host: str | None
    proto: str
    forwarded_host: str
    port: str
    prefix: str
    address: str

    @property
    def is_believed(self) -> bool:
        """Whether what the fields say counts."""
        if self.header is not None:
            return self.header.source is not None
        return not self.peer.startswith(OTHER)

    def x_fields(self) -> list[str]:
        """Say it in X-Forwarded fields."""
        said = {
            "Proto": self.proto,
            "Host": self.forwarded_host,
            "Port": self.port,
            "Prefix": self.prefix,
            "For": self.address,
        }
        return [f"X-Forwarded-{name}: {value}" for name, value in said.items() if value]

    def forwarded(self) -> list[str]:
        """Say it in Forwarded, which knows no port and no prefix."""
        said = {"proto": self.proto, "host": self.forwarded_host, "for": self.address}
        pairs = ";".join(f'{name}="{value}"' for name, value in said.items() if value)
        return [f"Forwarded: {pairs}"] if pairs else []


def expected(case: Case) -> dict[str, str | None]:
    """Say what the manual says: docs/behind-proxies.rst."""
    proto, host, port, prefix, address = (
        (case.proto, case.forwarded_host, case.port, case.prefix, case.address)
        if case.is_believed
        else ("", "", "", "", "")
    )
    ended = case.header is not None and case.header.tls is not None
    scheme = proto or ("https" if ended else case.url_scheme)
    name, found = split(host or case.host or "")
    if proto or host or port:
        server_port = found or port or DEFAULT_PORTS[scheme]
    elif case.header is not None and case.header.destination is not None:
        server_port = str(case.header.destination.port)
    elif case.peer == "unix:":
        server_port = DEFAULT_PORTS[case.url_scheme]
    else:
        server_port = str(TCP_PORT)
    http_host = case.host
    if name and (host or port):
        http_host = name if server_port == DEFAULT_PORTS[scheme] else f"{name}:{server_port}"
    client, client_port = connected(case)
    if address:
        client, _, client_port = address.partition(":") if address.count(":") == 1 else (address.strip("[]"), "", "")
    return {
        "wsgi.url_scheme": scheme,
        "SERVER_NAME": name if host else SERVER_NAME,
        "SERVER_PORT": server_port,
        "HTTP_HOST": http_host,
        "SCRIPT_NAME": prefix + case.url_prefix,
        "PATH_INFO": "/some/page",
        "REMOTE_ADDR": client,
        "REMOTE_HOST": client,
        "REMOTE_PORT": client_port or None,
    }


def connected(case: Case) -> tuple[str, str]:
    """Say who holds the connection."""
    if case.header is not None and case.header.source is not None:
        return case.header.source.address, str(case.header.source.port)
    if case.peer == "unix:":
        return "localhost", ""
    address, _, port = case.peer.rpartition(":")
    return address, port


def split(host: str) -> tuple[str, str]:
    """Split a host of the table."""
    name, _, port = host.rpartition(":")
    return (name, port) if port.isdigit() and name else (host, "")


def environ_of(case: Case, fields: list[str], headers: frozenset[str]) -> dict[str, Any]:
    proxies = TrustedProxies(networks=(ip_network(PROXY),), unix=True, headers=headers)
    settings = EnvironSettings(
        server_name=SERVER_NAME,
        server_port=None if case.peer == "unix:" else TCP_PORT,
        url_scheme=case.url_scheme,
        url_prefix=case.url_prefix,
        proxies=proxies,
    )
    lines = [f"GET {case.url_prefix}/some/page?query=1 HTTP/1.0"]
    lines += [f"Host: {case.host}"] if case.host is not None else []
    request, _ = RecordingTransport().receive("\r\n".join([*lines, *fields, "", ""]).encode())
    return EnvironBuilder(settings).build(request, None, origin_of(case.peer, case.header), RecordingTransport())


def url_of(environ: dict[str, Any]) -> str:
    """Return the URL that the keys stand for (PEP 3333, "URL Reconstruction")."""
    scheme, port = environ["wsgi.url_scheme"], environ["SERVER_PORT"]
    host = environ.get("HTTP_HOST")
    if not host:
        host = environ["SERVER_NAME"] + ("" if port == DEFAULT_PORTS[scheme] else f":{port}")
    return f"{scheme}://{host}{environ['SCRIPT_NAME']}{environ['PATH_INFO']}?{environ['QUERY_STRING']}"


CONNECTIONS: Final[dict[str, tuple[str, ProxyHeader | None]]] = {
    "a stranger": (f"{OTHER}:5555", None),
    "a proxy": (f"{PROXY}:5555", None),
    "a proxy through a Unix socket": ("unix:", None),
    "a balancer": ("10.9.9.9:5555", BALANCED),
    "a balancer with TLS, through a Unix socket": ("unix:", BALANCED_TLS),
    "a balancer for itself": (f"{PROXY}:5555", OWN),
}


def cases(connection: str) -> Iterator[Case]:
    """Yield every combination for one kind of connection."""
    peer, header = CONNECTIONS[connection]
    for values in itertools.product(
        ("http", "https"),
        ("", "/base"),
        (None, "internal", "internal:8000", "[::1]:8000"),
        ("", "http", "https"),
        ("", "shop.example", "shop.example:8443", "[2001:db8::1]"),
        ("", "443", "8444"),
        ("", "/app"),
        ("", "203.0.113.7", "203.0.113.7:4711", "2001:db8::7"),
    ):
        scheme, prefix, host, proto, forwarded_host, port, forwarded_prefix, address = values
        yield Case(
            scheme, prefix, peer, header, host,
            proto=proto, forwarded_host=forwarded_host, port=port, prefix=forwarded_prefix, address=address,
        )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def url_builders() -> Iterator[None]:
    """The frameworks are loaded, and take any host."""
    with frameworks():
        yield


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_the_keys_are_those_of_the_manual(connection: str) -> None:
    for case in cases(connection):
        environ = environ_of(case, case.x_fields(), X_FIELDS)
        assert {key: environ.get(key) for key in IDENTITY} == expected(case), case


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_forwarded_says_the_same(connection: str) -> None:
    """It has no port and no prefix, and writes IPv6 in brackets."""
    for case in cases(connection):
        if case.port or case.prefix:
            continue
        address = f"[{case.address}]" if case.address.count(":") > 1 else case.address
        said = Case(**{**vars(case), "address": address})
        environ = environ_of(said, said.forwarded(), frozenset({"forwarded"}))
        assert {key: environ.get(key) for key in IDENTITY} == expected(case), case


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_every_framework_builds_the_same_url(connection: str) -> None:
    """One environ of each identity: what two rows have in common is built once."""
    seen = set()
    for case in cases(connection):
        environ = environ_of(case, case.x_fields(), X_FIELDS)
        identity = tuple(environ.get(key) for key in IDENTITY[:6])
        if identity in seen:
            continue
        seen.add(identity)
        assert set(urls_of(environ).values()) == {url_of(environ)}, case
    assert len(seen) > 10


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_what_a_proxy_says_agrees_with_itself(connection: str) -> None:
    """Laws that hold whatever the manual says."""
    for case in cases(connection):
        environ = environ_of(case, case.x_fields(), X_FIELDS)
        assert environ["REMOTE_HOST"] == environ["REMOTE_ADDR"]
        assert environ.get("REMOTE_PORT", "1").isdigit()
        if not (case.is_believed and (case.proto or case.forwarded_host or case.port)):
            continue
        name, port = split(environ.get("HTTP_HOST", ""))
        assert environ["SERVER_PORT"] == (port or DEFAULT_PORTS[environ["wsgi.url_scheme"]]) or not name
        if case.forwarded_host:
            assert environ["SERVER_NAME"] == name


def test_a_client_of_a_unix_socket_cannot_choose_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may bind its own end to any path, also to one that looks like an address."""
    monkeypatch.chdir(tmp_path)
    records: list[Any] = []
    request = b"GET /?environ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
    settings: dict[str, Any] = {"unix_socket": "web.sock", "trusted_proxy": "10.0.0.1"}
    with (
        running_server(telling_application, request_log=(records.append,), **settings),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(10)
        client.bind("10.0.0.1:5555")
        client.connect("web.sock")
        client.sendall(request)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b'"REMOTE_ADDR": "localhost"' in answer
    assert b"REMOTE_PORT" not in answer
    assert b"6.6.6.6" not in answer
    assert [(record.peer, record.client) for record in records] == [("unix:", "localhost")]
