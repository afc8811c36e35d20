"""Settings of TLS that cannot go together."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.tlsrules import tls_conflicts

ON = {"tls_certificate": "/a.pem"}
TWO = {"tls_certificate": "/a.pem /b.pem"}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (ON, []),
        (ON | {"tls_key": "/a.key"}, []),
        (TWO | {"tls_key": "/one.key /one.key"}, []),
        (TWO | {"tls_key": "/a.key"}, ["tls_key"]),
        (ON | {"tls_key": "/a.key /b.key"}, ["tls_key"]),
        ({"tls_min_version": "1.3", "tls_handshake_limit": "7"}, ["tls_min_version", "tls_handshake_limit"]),
        ({"redirect_listen": "*:80"}, ["redirect_listen"]),
        ({"tls_certificate": "", "tls_key": "", "redirect_listen": "", "tls_client_ca": ""}, []),
        (ON | {"redirect_listen": "*:80", "acme_challenge_folder": "/acme"}, []),
        (ON | {"acme_challenge_folder": "/acme"}, ["acme_challenge_folder"]),
        (ON | {"tls_client_ca": "/ca.pem", "tls_client_verify": "optional"}, []),
        (ON | {"tls_client_verify": "optional"}, ["tls_client_verify"]),
        (ON | {"listen": "*:443 *:81", "tls_listen": "*:443"}, []),
        (ON | {"listen": "*:443", "tls_listen": "*:444"}, ["tls_listen"]),
        (ON | {"listen": "*:443 *:80"}, ["listen"]),
        (ON | {"listen": "*:443 *:80", "tls_listen": "*:80"}, []),
        (ON | {"listen": "unix:/a"}, ["tls_certificate"]),
        (ON | {"unix_socket": "/a"}, ["tls_certificate"]),
        (ON | {"listen": "unix:/a", "tls_listen": "unix:/a"}, []),
        (ON | {"listen": "unix:/a *:443"}, []),
        (ON | {"listen": "fd:web"}, []),
        (ON | {"listen": "*:443", "redirect_listen": "*:443"}, ["redirect_listen"]),
        (ON | {"listen": "*:0", "redirect_listen": "*:0"}, []),
        (ON | {"redirect_listen": "[::1]:80", "ipv6": "off"}, ["redirect_listen"]),
    ],
)
def test_conflicts(settings: dict[str, str], wrong: list[str]) -> None:
    if not wrong:
        assert list(tls_conflicts(Adjustments.from_keywords(**settings))) == []
        return
    with pytest.raises(ValueError, match=r"^\w+ =") as caught:
        Adjustments.from_keywords(**settings)
    assert [line.partition(" =")[0] for line in str(caught.value).split("\n")] == wrong
