"""What is unwise about certificates that work, and what is said of it."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise
from waitressd.config.advicerules import Facts
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.config.x509 import Certificate, parse_certificate

NOW = datetime.now(UTC)
ROOT = trustme.CA()
INTERMEDIATE = ROOT.create_child_ca()
LOWER = INTERMEDIATE.create_child_ca()


def parsed(blob: Any) -> Certificate:
    return parse_certificate(ssl.PEM_cert_to_DER_cert(blob.bytes().decode()))


def served(*chain: Certificate, key_mode: int = 0o600, known: bool = False) -> ServedCertificate:
    return ServedCertificate("/tls/chain.pem", chain, "/tls/own.key", key_mode, known)


def issue(*names: str, by: trustme.CA = INTERMEDIATE, **options: Any) -> Certificate:
    return parsed(by.issue_cert(*names, **options).cert_chain_pems[0])


def days(count: float) -> datetime:
    return NOW + timedelta(days=count)


def advice(*certificates: ServedCertificate, **settings: str) -> list[tuple[str, str]]:
    given = {"tls_certificate": "/tls/chain.pem", "listen": "*:443"} | settings
    facts = Facts(Adjustments.from_strings(given), certificates=certificates, now=NOW)
    return [(each.code, each.text) for each in advise(facts, only_of_files="url_scheme" not in settings)]


def codes(*certificates: ServedCertificate, **settings: str) -> list[str]:
    return [code for code, _ in advice(*certificates, **settings)]


OWN = issue("shop.example")
MIDDLE, LOW, TOP = parsed(INTERMEDIATE.cert_pem), parsed(LOWER.cert_pem), parsed(ROOT.cert_pem)
GOOD = served(OWN, MIDDLE)


def test_nothing_is_said_of_good_ones() -> None:
    assert advice(GOOD) == []
    deep = issue("a.example", by=LOWER)
    assert advice(served(deep, LOW, MIDDLE), GOOD) == []
    assert advice(served(issue("a.example", by=ROOT), known=True)) == []
    assert advice(GOOD, server_name="Shop.Example.") == []


@pytest.mark.parametrize(
    ("not_before", "not_after", "expected"),
    [
        (-90, 15, []),
        (-90, 13.5, ["W121"]),
        (-90, 0.5, ["W121"]),
        (-90, -1, ["W120"]),
        (1, 90, ["W122"]),
    ],
)
def test_time(not_before: float, not_after: float, expected: list[str]) -> None:
    own = issue("shop.example", not_before=days(not_before), not_after=days(not_after))
    found = advice(served(own, MIDDLE))
    assert [code for code, _ in found] == expected
    for _, text in found:
        assert text.startswith("the certificate of shop.example in /tls/chain.pem ")


def test_words_for_the_last_days() -> None:
    def text(left: float) -> str:
        return advice(served(issue("a.example", not_before=days(-9), not_after=days(left)), MIDDLE))[0][1]

    assert f" expires on {days(3.5):%Y-%m-%d}, in 3 days; " in text(3.5)
    assert " expires within a day; " in text(0.5)
    assert f" has expired on {days(-1):%Y-%m-%d}; " in text(-1)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([OWN], ["W123"]),
        ([OWN, LOW], ["W123"]),
        ([OWN, TOP, MIDDLE], ["W124", "W125"]),
        ([issue("a.example", by=LOWER), MIDDLE, LOW], ["W124"]),
        ([OWN, MIDDLE, LOW], ["W124"]),
        ([OWN, MIDDLE, TOP], ["W125"]),
        ([TOP], ["W127", "W129"]),
    ],
)
def test_chains(chain: list[Certificate], expected: list[str]) -> None:
    assert codes(served(*chain)) == expected


def test_self_signed_ones_are_for_this_machine() -> None:
    assert codes(served(TOP), listen="127.0.0.1:443 *:81", tls_listen="127.0.0.1:443") == ["W129"]
    assert "*:443 can be reached from other machines" in advice(served(TOP))[0][1]


def test_keys() -> None:
    assert codes(served(OWN, MIDDLE, key_mode=0o640)) == []
    ((code, text),) = advice(served(OWN, MIDDLE, key_mode=0o644))
    assert (code, text.partition(";")[0]) == ("W126", "every account can read the key /tls/own.key (mode 644)")


def test_names() -> None:
    other = served(issue("a.example", "b.example", "c.example", "d.example"), MIDDLE)
    ((code, text),) = advice(other, server_name="shop.example")
    assert code == "W128"
    assert "the certificates are for a.example, b.example, c.example and 1 more; " in text
    assert advice(GOOD, other, server_name="shop.example") == []
    assert codes(GOOD, ServedCertificate("/tls/second.pem", (OWN, MIDDLE), "/tls/second.key", 0o600)) == ["W131"]


def test_a_scheme_that_does_not_hold() -> None:
    assert codes(GOOD, url_scheme="http") == ["W133"]
    assert codes(GOOD, url_scheme="https") == []
