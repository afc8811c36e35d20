"""What a PROXY header says, as keys of an environ.

Applied before the fields of the request: it names the peer, which may be trusted to send X-Forwarded-For or not.
"""

from typing import Any

from waitressd.http.proxyprotocol import ClientTls, ProxyHeader
from waitressd.wsgi.proxies import DEFAULT_PORTS
from waitressd.wsgi.tlskeys import drop_tls


def apply_proxy_header(environ: dict[str, Any], header: ProxyHeader) -> None:
    """Let the environ describe the client's connection to the balancer instead of the balancer's to us.

    The peer is the header's source already, see `Origin.behind`.
    The whole record is `environ["waitressd.proxy_header"]`. The TLS keys are called as mod_ssl calls them; a request
    cannot set them, for its fields become HTTP_* keys.
    """
    environ["waitressd.proxy_header"] = header
    destination = header.destination
    if header.source is None or destination is None:
        return  # the balancer speaks for itself, as in a health check
    if header.tls is not None:
        environ["wsgi.url_scheme"] = "https"
        # TLS between the balancer and us, if there is any, is not the client's: nor is a certificate that it showed.
        drop_tls(environ)
        _add_tls(environ, header.tls)
    if header.authority:
        environ["SSL_TLS_SNI"] = header.authority
    if destination.port:  # 0 is allowed, and is no port that a URL could have
        environ["SERVER_PORT"] = str(destination.port)
    elif header.tls is not None:
        environ["SERVER_PORT"] = DEFAULT_PORTS["https"]


def _add_tls(environ: dict[str, Any], tls: ClientTls) -> None:
    if tls.version:
        environ["SSL_PROTOCOL"] = tls.version
    if tls.cipher:
        environ["SSL_CIPHER"] = tls.cipher
    if tls.common_name:
        # Texts of an environ are octets in disguise (PEP 3333, "Unicode Issues").
        environ["SSL_CLIENT_S_DN_CN"] = tls.common_name.encode().decode("latin-1")
    if tls.is_verified:
        environ["SSL_CLIENT_VERIFY"] = "SUCCESS"
    else:
        environ["SSL_CLIENT_VERIFY"] = "FAILED" if tls.has_certificate else "NONE"
