"""PROXY headers as balancers write them (versions 1 and 2 of the PROXY protocol)."""

import socket
import struct
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT: Final = ("203.0.113.7", 4711)
SERVER: Final = ("198.51.100.2", 443)

End = tuple[str, int]


def v1(source: End = CLIENT, destination: End = SERVER) -> bytes:
    """Return a line of version 1."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    return f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


def v2(source: End = CLIENT, destination: End = SERVER, *tlvs: bytes) -> bytes:
    """Return a header of version 2."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    addresses = socket.inet_pton(family, source[0]) + socket.inet_pton(family, destination[0])
    ports = struct.pack("!HH", source[1], destination[1])
    return binary(addresses + ports + b"".join(tlvs), family=0x21 if family == socket.AF_INET6 else 0x11)


def v2_unix(source: str, destination: str, *tlvs: bytes) -> bytes:
    """Return a header of version 2 for a client of the balancer's Unix socket."""
    ends = source.encode().ljust(108, b"\0") + destination.encode().ljust(108, b"\0")
    return binary(ends + b"".join(tlvs), family=0x31)


def binary(payload: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    """Return a header of version 2 with any payload."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


def tlv(kind: int, value: bytes) -> bytes:
    """Return a type, a length and a value."""
    return struct.pack("!BH", kind, len(value)) + value


def tls(flags: int, verify: int, *tlvs: bytes) -> bytes:
    """Return what a balancer says of the client's TLS."""
    return tlv(0x20, struct.pack("!BI", flags, verify) + b"".join(tlvs))


LOCAL: Final = binary(b"", command=0x20, family=0x00)
UNSPEC: Final = binary(b"", family=0x00)
UNKNOWN: Final = b"PROXY UNKNOWN\r\n"
