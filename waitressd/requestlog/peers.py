"""Addresses in the form in which channels write them, taken apart."""

from typing import Final

UNIX_CLIENT: Final = "localhost"
"""REMOTE_ADDR of whoever connects through a Unix socket."""


def split_peer(peer: str) -> tuple[str, int | None]:
    """Return address and port of "127.0.0.1:5555" or "[::1]:5555"; of a Unix socket a name and None."""
    host, _, port = peer.rpartition(":")
    if not port.isdecimal() or not host:
        return UNIX_CLIENT, None
    host = host.strip("[]")
    # An IPv4 client of a socket that serves both families.
    return (host.removeprefix("::ffff:") if "." in host else host), int(port)
