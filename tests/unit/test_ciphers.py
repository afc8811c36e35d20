"""Lists of cipher suites."""

import pytest

from waitressd.ciphers import GOOD_CIPHERS, why_refused


@pytest.mark.parametrize("ciphers", [GOOD_CIPHERS, "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE+AESGCM:!aNULL"])
def test_what_protects_is_taken(ciphers: str) -> None:
    assert why_refused(ciphers) == ""


@pytest.mark.parametrize(
    ("ciphers", "expected"),
    [
        ("NONSENSE, ECDHE+AESGCM", "OpenSSL has no suite of TLS 1.2 for NONSENSE; "),
        ("!aNULL", "no suite is left; "),
        ("aNULL", " protects nothing; write ECDHE+AESGCM:ECDHE+CHACHA20, or leave the value empty"),
    ],
)
def test_what_does_not_is_named(ciphers: str, expected: str) -> None:
    assert expected in why_refused(ciphers)
