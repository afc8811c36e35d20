"""Origins of connections, written as people write addresses."""

from waitressd.http.proxyprotocol import ProxyHeader
from waitressd.peer import Origin, Peer, peer_of


def read_peer(text: str) -> Peer:
    """Return the peer that "127.0.0.1:5555", "[::1]:5555" or "unix:" stands for."""
    host, _, port = text.rpartition(":")
    return peer_of(text if text.startswith("unix:") else (host.strip("[]"), int(port)))


def origin_of(peer: str = "127.0.0.1:5555", header: ProxyHeader | None = None) -> Origin:
    """Return the origin of a connection to 127.0.0.1:80, behind a balancer if there is a header."""
    origin = Origin(read_peer(peer), "127.0.0.1:80")
    return origin if header is None else origin.behind(header)
