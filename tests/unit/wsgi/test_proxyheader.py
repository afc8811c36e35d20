"""waitressd.wsgi.proxyheader: what a PROXY header says, as keys of an environ."""

from ipaddress import ip_network
from typing import Any
from wsgiref.util import request_uri

import pytest

from tests.support.recording import RecordingTransport, exchange
from waitressd.http.proxyprotocol import ClientTls, Endpoint, ProxyHeader
from waitressd.wsgi.environ import EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies

SOURCE = Endpoint("203.0.113.7", 4711)
DESTINATION = Endpoint("198.51.100.2", 443)
IDENTITY = ("REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT", "SERVER_PORT", "wsgi.url_scheme", "SSL_TLS_SNI")


def serve(header: ProxyHeader | None, *fields: str, proxies: TrustedProxies | None = None) -> dict[str, Any]:
    """Return the environ of a request behind a balancer at 10.0.0.1."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    transport = RecordingTransport("10.0.0.1:5555")
    if header is not None:
        transport.origin = transport.origin.behind(header)
    settings = EnvironSettings(server_port=8080, proxies=proxies or TrustedProxies())
    data = "\r\n".join(["GET / HTTP/1.1", "Host: example.com", *fields, "", ""]).encode()
    exchange(application, data, transport=transport, environ=settings)
    assert transport.answer().status == 200
    return seen


def identity(environ: dict[str, Any]) -> list[Any]:
    return [environ.get(key) for key in IDENTITY]


@pytest.mark.parametrize("header", [None, ProxyHeader()])
def test_a_balancer_that_speaks_for_itself(header: ProxyHeader | None) -> None:
    environ = serve(header)
    assert identity(environ) == ["10.0.0.1", "10.0.0.1", "5555", "8080", "http", None]
    assert environ.get("waitressd.proxy_header") is header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (ProxyHeader(SOURCE, DESTINATION), ["203.0.113.7", "203.0.113.7", "4711", "443", "http", None]),
        (
            ProxyHeader(SOURCE, DESTINATION, authority="sni.example", tls=ClientTls()),
            ["203.0.113.7", "203.0.113.7", "4711", "443", "https", "sni.example"],
        ),
        (
            ProxyHeader(Endpoint("2001:db8::1", 1), Endpoint("::1", 8443), tls=ClientTls()),
            ["2001:db8::1", "2001:db8::1", "1", "8443", "https", None],
        ),
        (ProxyHeader(Endpoint(""), Endpoint("/run/x")), ["localhost", "localhost", None, "8080", "http", None]),
        (
            ProxyHeader(Endpoint(""), Endpoint("/run/x"), tls=ClientTls()),
            ["localhost", "localhost", None, "443", "https", None],
        ),
    ],
    ids=["plain", "tls", "ipv6", "unix", "unix tls"],
)
def test_the_clients_connection(header: ProxyHeader, expected: list[Any]) -> None:
    environ = serve(header)
    assert identity(environ) == expected
    assert environ["waitressd.proxy_header"] is header
    assert request_uri(environ) == f"{expected[4]}://example.com/"


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (ClientTls(), {"SSL_CLIENT_VERIFY": "NONE"}),
        (ClientTls(has_certificate=True), {"SSL_CLIENT_VERIFY": "FAILED"}),
        (
            ClientTls("TLSv1.3", "AES", "J\xf8rgen", has_certificate=True, is_verified=True),
            {
                "SSL_PROTOCOL": "TLSv1.3",
                "SSL_CIPHER": "AES",
                "SSL_CLIENT_S_DN_CN": "J\xc3\xb8rgen",
                "SSL_CLIENT_VERIFY": "SUCCESS",
            },
        ),
    ],
    ids=["none", "failed", "success"],
)
def test_tls(tls: ClientTls, expected: dict[str, str]) -> None:
    environ = serve(ProxyHeader(SOURCE, DESTINATION, tls=tls), "Ssl-Client-Verify: SUCCESS", "Ssl-Protocol: x")
    assert {key: value for key, value in environ.items() if key.startswith("SSL_")} == expected


@pytest.mark.parametrize(("network", "address"), [("10.0.0.0/8", "203.0.113.7"), ("203.0.113.7/32", "192.0.2.99")])
def test_the_source_is_the_peer_that_may_be_trusted(network: str, address: str) -> None:
    """The balancer passes on what the client wrote: its own address vouches for no field."""
    proxies = TrustedProxies(networks=(ip_network(network),), headers=frozenset({"x-forwarded-for"}))
    environ = serve(ProxyHeader(SOURCE, DESTINATION), "X-Forwarded-For: 192.0.2.99", proxies=proxies)
    assert environ["REMOTE_ADDR"] == address
    assert ("HTTP_X_FORWARDED_FOR" in environ) == (address == "192.0.2.99")


@pytest.mark.parametrize("header", [ProxyHeader(), ProxyHeader(Endpoint("/run/a"), Endpoint("/run/b"))])
@pytest.mark.parametrize("clear", [True, False])
def test_a_source_without_an_address_vouches_for_nothing(header: ProxyHeader, *, clear: bool) -> None:
    """Behind it may be anybody, also where the balancer itself or our own Unix sockets are trusted."""
    proxies = TrustedProxies(
        networks=(ip_network("10.0.0.1"),), unix=True, headers=frozenset({"x-forwarded-for"}), clear_untrusted=clear
    )
    environ = serve(header, "X-Forwarded-For: 192.0.2.99", proxies=proxies)
    assert identity(environ) == identity(serve(header, proxies=proxies))
    assert ("HTTP_X_FORWARDED_FOR" in environ) is not clear
