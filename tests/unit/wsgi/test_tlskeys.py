"""What the application is told of an encrypted connection."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.origins import read_peer
from tests.support.recording import RecordingTransport
from waitressd.http.events import Request
from waitressd.http.proxyprotocol import ClientTls, Endpoint, ProxyHeader
from waitressd.peer import ClientCertificate, Origin, Tls
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.tlskeys import add_tls, drop_tls

PEER: Final = read_peer("10.0.0.1:5555")
ALICE: Final = ClientCertificate(
    subject="CN=Alice Müller,O=x",
    issuer="CN=CA",
    common_name="Alice Müller",
    serial="0A",
    not_before="Nov  6 08:49:37 2026 GMT",
    not_after="Nov  6 08:49:37 2027 GMT",
    dns_names=("a.example", "b.example"),
    email_addresses=("alice@example.org",),
    pem="-----BEGIN CERTIFICATE-----\n",
)
TLS: Final = Tls("TLSv1.3", "TLS_AES_128_GCM_SHA256", 128, "shop.example")


def said(tls: Tls) -> dict[str, Any]:
    environ: dict[str, Any] = {}
    add_tls(environ, tls)
    return environ


def test_how_it_is_encrypted() -> None:
    assert said(TLS) == {
        "SSL_PROTOCOL": "TLSv1.3",
        "SSL_CIPHER": "TLS_AES_128_GCM_SHA256",
        "SSL_CIPHER_USEKEYSIZE": "128",
        "SSL_SESSION_RESUMED": "Initial",
        "SSL_TLS_SNI": "shop.example",
    }
    assert said(replace(TLS, is_resumed=True))["SSL_SESSION_RESUMED"] == "Resumed"
    assert "SSL_TLS_SNI" not in said(replace(TLS, sni=""))


def test_whether_the_client_has_proved_who_it_is() -> None:
    assert "SSL_CLIENT_VERIFY" not in said(TLS)
    assert said(replace(TLS, asks_certificate=True))["SSL_CLIENT_VERIFY"] == "NONE"
    keys = said(replace(TLS, asks_certificate=True, client=ALICE))
    assert {key: value for key, value in keys.items() if key.startswith("SSL_CLIENT_")} == {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": "CN=Alice M\xc3\xbcller,O=x",
        "SSL_CLIENT_S_DN_CN": "Alice M\xc3\xbcller",
        "SSL_CLIENT_I_DN": "CN=CA",
        "SSL_CLIENT_M_SERIAL": "0A",
        "SSL_CLIENT_V_START": "Nov  6 08:49:37 2026 GMT",
        "SSL_CLIENT_V_END": "Nov  6 08:49:37 2027 GMT",
        "SSL_CLIENT_SAN_DNS_0": "a.example",
        "SSL_CLIENT_SAN_DNS_1": "b.example",
        "SSL_CLIENT_SAN_Email_0": "alice@example.org",
        "SSL_CLIENT_CERT": "-----BEGIN CERTIFICATE-----\n",
    }


def test_everything_can_be_forgotten() -> None:
    environ = {"HTTPS": "on", **said(replace(TLS, asks_certificate=True, client=ALICE))}
    drop_tls(environ)
    assert environ == {"HTTPS": "on"}


def environ_of(origin: Origin, *, fields: dict[str, str] | None = None, is_secure: bool = True, **settings: Any) -> Any:
    builder = EnvironBuilder(EnvironSettings(is_secure=is_secure, server_port=8443, **settings))
    request = Request("GET", "/", "/", "", "HTTP/1.1", fields or {})
    return builder.build(request, None, origin, RecordingTransport())


def test_a_listener_that_speaks_tls_says_https_whatever_url_scheme_says() -> None:
    environ = environ_of(Origin(PEER, tls=TLS), url_scheme="http")
    assert (environ["wsgi.url_scheme"], environ["HTTPS"], environ["SERVER_PORT"]) == ("https", "on", "8443")
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    plain = environ_of(Origin(PEER), is_secure=False)
    assert not {key for key in plain if key == "HTTPS" or key.startswith("SSL_")}
    assert plain["wsgi.url_scheme"] == "http"


def test_a_request_cannot_say_how_it_came() -> None:
    environ = environ_of(Origin(PEER, tls=TLS), fields={"HTTP_SSL_CLIENT_VERIFY": "SUCCESS", "HTTP_HTTPS": "off"})
    assert "SSL_CLIENT_VERIFY" not in environ
    assert environ["HTTPS"] == "on"


def test_a_trusted_proxy_that_speaks_tls_to_us_may_say_that_its_client_did_not() -> None:
    proxies = TrustedProxies(everyone=True, headers=frozenset({"x-forwarded-proto"}))
    environ = environ_of(Origin(PEER, tls=TLS), fields={"HTTP_X_FORWARDED_PROTO": "http"}, proxies=proxies)
    assert environ["wsgi.url_scheme"] == "http"
    assert "HTTPS" not in environ


@pytest.mark.parametrize("ends_at_balancer", [True, False])
def test_a_certificate_of_the_balancer_is_not_taken_for_the_clients(*, ends_at_balancer: bool) -> None:
    """Where the balancer ends the client's TLS, ours is its own; where it passes TLS on, ours is the client's."""
    found = ClientTls(version="TLSv1.2", cipher="", common_name="", has_certificate=False, is_verified=False)
    header = ProxyHeader(
        source=Endpoint("203.0.113.7", 1), destination=Endpoint("1.2.3.4", 443), tls=found if ends_at_balancer else None
    )
    origin = Origin(PEER, proxied=header, tls=replace(TLS, asks_certificate=True, client=ALICE))
    environ = environ_of(origin)
    assert ("SSL_CLIENT_S_DN" in environ) is not ends_at_balancer
    assert environ["SSL_CLIENT_VERIFY"] == ("NONE" if ends_at_balancer else "SUCCESS")
    assert environ["SSL_PROTOCOL"] == ("TLSv1.2" if ends_at_balancer else "TLSv1.3")
