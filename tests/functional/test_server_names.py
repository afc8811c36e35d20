"""Several certificates on one listener: the name that a client asks for chooses one, and nothing else."""

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.handshakes import client_context
from tests.support.pki import Pki
from tests.support.servers import RunningServer, running_server
from waitressd.config.x509 import parse_certificate

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def tell(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    keys = ("wsgi.url_scheme", "HTTP_HOST", "SSL_TLS_SNI", "SSL_CLIENT_VERIFY", "SSL_SESSION_RESUMED")
    start_response("200 OK", [])
    return [" ".join(str(environ.get(key, "-")) for key in keys).encode()]


def ask(
    server: RunningServer, context: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None = None
) -> tuple[str, str, ssl.SSLSession | None]:
    """Return the first name of the certificate, what the application was told, and the session."""
    with Client(server.address) as client:
        client.sock = tls = context.wrap_socket(client.sock, server_hostname=name, session=session)
        der = tls.getpeercert(binary_form=True)
        answer = client.get("/")
        assert answer.status == 200
        assert der is not None
        return parse_certificate(der).name, answer.body.decode(), tls.session


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("shop.example", "shop.example"),
        ("WWW.Shop.Example", "*.shop.example"),
        ("blog.example", "blog.example"),
        ("a.b.shop.example", "shop.example"),
        ("nobody.example", "shop.example"),
        (None, "shop.example"),
    ],
)
def test_the_name_chooses(tmp_path: Path, version: ssl.TLSVersion, name: str | None, shown: str) -> None:
    pki = Pki(tmp_path)
    files = [pki.issue(name) for name in ("shop.example", "*.shop.example", "blog.example")]
    context = client_context(None, minimum_version=version, maximum_version=version)
    with running_server(
        tell, tls_certificate=[file.certificate for file in files], tls_key=[file.key for file in files]
    ) as server:
        certificate, told, _ = ask(server, context, name)
    assert certificate == shown
    # What is asked for by name is kept; which site is meant is the request's to say.
    assert told == f"https localhost {name.lower() if name else '-'} - Initial"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verify", ["required", "optional"])
def test_no_name_and_no_session_is_a_way_around_client_certificates(
    tmp_path: Path, version: ssl.TLSVersion, verify: str
) -> None:
    pki, clients = Pki(tmp_path), Pki(tmp_path / "clients")
    clients.folder.mkdir()
    files = [pki.issue(name) for name in ("shop.example", "blog.example")]
    settings: dict[str, Any] = {
        "tls_certificate": [file.certificate for file in files], "tls_key": [file.key for file in files],
        "tls_client_ca": clients.authority(), "tls_client_verify": verify,
    }  # fmt: skip
    nobody = client_context(None, minimum_version=version, maximum_version=version)
    ann = client_context(None, minimum_version=version, maximum_version=version)
    card = clients.issue("ann@example.org")
    ann.load_cert_chain(card.certificate, card.key)
    names = ("shop.example", "blog.example", "other.example", None)
    with running_server(tell, **settings) as server:
        _, told, session = ask(server, ann, "shop.example")
        assert told.endswith(" SUCCESS Initial")
        for name in names:
            # A session belongs to the name that it began with, for a client that keeps to the rules.
            assert " SUCCESS " in ask(server, ann, name, session)[1]
        for name in names:
            if verify == "optional":
                assert " NONE " in ask(server, nobody, name)[1]
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    ask(server, nobody, name)
