"""waitressd.wsgi.proxies: the URLs that frameworks build are those that the client's browser shows."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any
from wsgiref.util import request_uri

import pytest

from tests.support.recording import RecordingTransport
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import FIELD_KEYS, TrustedProxies

X = TrustedProxies(networks=(ip_network("10.0.0.1"),), headers=frozenset(FIELD_KEYS) - {"forwarded"})
FORWARDED = TrustedProxies(networks=(ip_network("10.0.0.1"),), headers=frozenset({"forwarded"}))

ROWS: list[tuple[str, TrustedProxies, list[str], EnvironSettings, str]] = [
    ("plain", X, ["Host: example.com:8080"], EnvironSettings(), "http://example.com:8080/page"),
    ("https by setting", X, ["Host: example.com"], EnvironSettings(url_scheme="https"), "https://example.com/page"),
    ("proto", X, ["Host: example.com", "X-Forwarded-Proto: https"], EnvironSettings(), "https://example.com/page"),
    (
        "proto and a port in Host",
        X,
        ["Host: example.com:8443", "X-Forwarded-Proto: https"],
        EnvironSettings(),
        "https://example.com:8443/page",
    ),
    (
        "proto and port",
        X,
        ["Host: example.com", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443"],
        EnvironSettings(),
        "https://example.com:8443/page",
    ),
    (
        "everything",
        X,
        [
            "Host: internal:8080",
            "X-Forwarded-Host: public.example",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 443",
            "X-Forwarded-Prefix: /app",
        ],
        EnvironSettings(),
        "https://public.example/app/page",
    ),
    (
        "a prefix by setting",
        X,
        ["Host: example.com"],
        EnvironSettings(url_prefix="/app"),
        "http://example.com/app/page",
    ),
    (
        "IPv6",
        X,
        ["Host: internal", "X-Forwarded-Host: [2001:db8::1]:8443", "X-Forwarded-Proto: https"],
        EnvironSettings(),
        "https://[2001:db8::1]:8443/page",
    ),
    (
        "Forwarded",
        FORWARDED,
        ["Host: internal", 'Forwarded: for=203.0.113.7;host="public.example:8443";proto=https'],
        EnvironSettings(),
        "https://public.example:8443/page",
    ),
]


def environ_of(proxies: TrustedProxies, fields: list[str], settings: EnvironSettings) -> dict[str, Any]:
    transport = RecordingTransport("10.0.0.1:5555")
    request, _ = transport.receive("\r\n".join(["GET /page HTTP/1.1", *fields, "", ""]).encode())
    settings = EnvironSettings(
        server_port=8080, url_scheme=settings.url_scheme, url_prefix=settings.url_prefix, proxies=proxies
    )
    return EnvironBuilder(settings).build(request, None, transport.origin, transport)


rows = pytest.mark.parametrize(
    ("proxies", "fields", "settings", "url"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)


@rows
def test_the_standard_library(proxies: TrustedProxies, fields: list[str], settings: EnvironSettings, url: str) -> None:
    assert request_uri(environ_of(proxies, fields, settings)) == url


@rows
def test_pyramid(proxies: TrustedProxies, fields: list[str], settings: EnvironSettings, url: str) -> None:
    request = pytest.importorskip("pyramid.request").Request(environ_of(proxies, fields, settings))
    assert request.url == url
    assert request.path_url == url
    assert request.application_url + "/page" == url


@rows
def test_flask(proxies: TrustedProxies, fields: list[str], settings: EnvironSettings, url: str) -> None:
    flask = pytest.importorskip("flask")
    application = flask.Flask(__name__)
    application.add_url_rule("/page", "page", lambda: flask.url_for("page", _external=True))
    body = application(environ_of(proxies, fields, settings), lambda _status, _fields, _exc_info=None: print)
    assert b"".join(body).decode() == url


@pytest.fixture
def django_settings() -> Iterator[None]:
    """Settings for this test only: other tests may have configured Django, or want to."""
    conf = pytest.importorskip("django.conf")
    holder = conf.UserSettingsHolder(conf.global_settings)
    holder.ALLOWED_HOSTS = ["*"]
    before = conf.settings._wrapped
    conf.settings._wrapped = holder
    yield
    conf.settings._wrapped = before


@rows
@pytest.mark.usefixtures("django_settings")
def test_django(proxies: TrustedProxies, fields: list[str], settings: EnvironSettings, url: str) -> None:
    wsgi = pytest.importorskip("django.core.handlers.wsgi")
    request = wsgi.WSGIRequest(environ_of(proxies, fields, settings))
    assert request.build_absolute_uri() == url
    assert request.is_secure() == url.startswith("https:")
