"""What is known of a connection that TLS encrypts, as keys of an environ.

The keys are called as mod_ssl calls them (https://httpd.apache.org/docs/2.4/mod/mod_ssl.html#envvars), which PEP 3333
points at. A request cannot set them, for its fields become HTTP_* keys.
"""

from typing import Any

from waitressd.peer import ClientCertificate, Tls


def add_tls(environ: dict[str, Any], tls: Tls) -> None:
    """Say how the connection is encrypted, and by which certificate its client has proved who it is."""
    environ["SSL_PROTOCOL"] = tls.version
    environ["SSL_CIPHER"] = tls.cipher
    environ["SSL_CIPHER_USEKEYSIZE"] = str(tls.key_bits)
    environ["SSL_SESSION_RESUMED"] = "Resumed" if tls.is_resumed else "Initial"
    if tls.sni:
        environ["SSL_TLS_SNI"] = tls.sni
    if tls.asks_certificate:
        environ["SSL_CLIENT_VERIFY"] = "NONE" if tls.client is None else "SUCCESS"
    if tls.client is not None:
        _add_client(environ, tls.client)


def drop_tls(environ: dict[str, Any]) -> None:
    """Forget everything of it."""
    for key in [key for key in environ if key.startswith("SSL_")]:
        del environ[key]


def _add_client(environ: dict[str, Any], client: ClientCertificate) -> None:
    values = {
        "SSL_CLIENT_S_DN": client.subject,
        "SSL_CLIENT_I_DN": client.issuer,
        "SSL_CLIENT_S_DN_CN": client.common_name,
        "SSL_CLIENT_M_SERIAL": client.serial,
        "SSL_CLIENT_V_START": client.not_before,
        "SSL_CLIENT_V_END": client.not_after,
        **{f"SSL_CLIENT_SAN_DNS_{number}": name for number, name in enumerate(client.dns_names)},
        **{f"SSL_CLIENT_SAN_Email_{number}": name for number, name in enumerate(client.email_addresses)},
        "SSL_CLIENT_CERT": client.pem,
    }
    # Texts of an environ are octets in disguise (PEP 3333, "Unicode Issues").
    environ.update({key: value.encode().decode("latin-1") for key, value in values.items() if value})
