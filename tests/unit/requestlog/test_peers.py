"""Addresses as channels write them."""

import pytest

from waitressd.requestlog.peers import split_peer


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1:5555", ("127.0.0.1", 5555)),
        ("[::1]:5555", ("::1", 5555)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("[::ffff:192.0.2.1]:80", ("192.0.2.1", 80)),
        ("unix:", ("localhost", None)),
        ("", ("localhost", None)),
    ],
)
def test_split_peer(peer: str, expected: tuple[str, int | None]) -> None:
    assert split_peer(peer) == expected
