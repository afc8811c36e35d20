"""Connections that are only begun, to see whether a listener takes them."""

import select
import socket


def begin_connection(address: object, family: int = socket.AF_INET) -> socket.socket:
    """Send the beginning of a handshake, and do not wait for the answer."""
    client = socket.socket(family, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(address)  # type: ignore[arg-type]  # of a form that depends on the family
    return client


def is_answered(client: socket.socket, seconds: float) -> bool:
    """Whether the handshake is answered within that time, by yes or by no."""
    return bool(select.select([], [client], [], seconds)[1])
