"""Trusted peers: addresses, networks and words."""

from ipaddress import ip_network

import pytest

from waitressd.config.networks import TrustedPeers, hop_count, parse_peer, peers, trusted_peers
from waitressd.kinds import BadValueError


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("1.2.3.4/32", "1.2.3.4"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("*", "*"),
        ("LocalHost", "localhost"),
        ("unix:", "unix:"),
        ("unix", "unix:"),
    ],
)
def test_a_peer_has_one_spelling(text: str, spelling: str) -> None:
    assert parse_peer(text) == spelling


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1/8", "the address has bits set beyond /8; did you mean 127.0.0.0/8?"),
        ("10.0.0.300", "expected addresses, networks (10.0.0.0/8), localhost, unix: or *"),
        ("proxy.example", "expected addresses, networks (10.0.0.0/8), localhost, unix: or *"),
        ("10.0.0.0/33", "expected addresses, networks (10.0.0.0/8), localhost, unix: or *"),
    ],
)
def test_a_text_that_can_never_match_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadValueError) as caught:
        parse_peer(text)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(("value", "count"), [("1", 1), (2, 2), (" 100 ", 100), ("auto", None), ("AUTO", None)])
def test_hops_are_a_number_or_auto(value: object, count: int | None) -> None:
    kind = hop_count(100)
    assert kind.parse(value) == count
    assert kind.parse(kind.show(count)) == count


@pytest.mark.parametrize("value", ["0", -1, "101", None, "", "any", True])
def test_hops_are_nothing_else(value: object) -> None:
    with pytest.raises(BadValueError):
        hop_count(100).parse(value)


def test_none_trusts_nobody() -> None:
    assert peers().parse(None) == ()
    assert trusted_peers(()) == TrustedPeers(everyone=False, unix=False, networks=())


def test_localhost_is_loopback_and_unix_peers() -> None:
    trusted = trusted_peers(("localhost", "10.0.0.0/8"))
    assert trusted.unix
    assert not trusted.everyone
    assert set(trusted.networks) == {ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("10.0.0.0/8")}


def test_a_star_is_everyone() -> None:
    trusted = trusted_peers(("*",))
    assert trusted.everyone
    assert trusted.unix
    assert trusted.networks == ()
