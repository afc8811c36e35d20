"""An address is taken apart once, and whatever needs a part of it finds it in the value."""

from typing import Any

import pytest

from waitressd.http.proxyprotocol import Endpoint, ProxyHeader
from waitressd.peer import UNIX, Origin, Peer, peer_of

BALANCER = Origin(Peer("10.0.0.9", 4), "127.0.0.1:80")


@pytest.mark.parametrize(
    ("address", "peer", "text"),
    [
        (("10.0.0.1", 5555), Peer("10.0.0.1", 5555), "10.0.0.1:5555"),
        (("::1", 5555, 0, 0), Peer("::1", 5555), "[::1]:5555"),
        (("fe80::1%eth0", 5, 0, 2), Peer("fe80::1%eth0", 5), "[fe80::1%eth0]:5"),
        (("::ffff:10.0.0.1", 5, 0, 0), Peer("10.0.0.1", 5), "10.0.0.1:5"),
        (("::ffff:0:1", 5, 0, 0), Peer("::ffff:0:1", 5), "[::ffff:0:1]:5"),
        ("", UNIX, "unix:"),
        ("/tmp/10.0.0.1:5555", UNIX, "unix:"),
        (b"\0abstract", UNIX, "unix:"),
    ],
)
def test_what_the_socket_module_says_becomes_one_value(address: Any, peer: Peer, text: str) -> None:
    assert peer_of(address) == peer
    assert str(peer) == text


def test_a_unix_socket_has_a_name_for_an_address_and_no_port() -> None:
    assert (UNIX.address, UNIX.port) == ("localhost", None)
    assert peer_of("") is UNIX


@pytest.mark.parametrize(
    ("source", "peer", "known"),
    [
        (Endpoint("192.0.2.1", 1), Peer("192.0.2.1", 1), True),
        (Endpoint("::1", 2), Peer("::1", 2), True),
        (Endpoint("/run/a"), UNIX, False),
        (None, BALANCER.peer, False),
    ],
)
def test_behind_a_balancer_the_client_is_the_peer(source: Endpoint | None, peer: Peer, known: bool) -> None:  # noqa: FBT001 - a parameter
    header = ProxyHeader(source)
    origin = BALANCER.behind(header)
    assert origin == Origin(peer, BALANCER.listener, header)
    assert origin.is_peer_known is known
    assert BALANCER.is_peer_known
