"""The PROXY protocol, versions 1 and 2: what a balancer says of a connection before its first HTTP octet.

Bytes in, one `ProxyHeader` out, read once at the beginning of a connection. The owner of the socket decides whether the
peer may send one, and how long to wait for it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from waitressd.http.errors import ProtocolMisuse

# "PROXY TCP6", two addresses of 39 octets, two ports, spaces and CR LF: the specification's own bound.
V1_BYTES: Final = 107
# Addresses and TLVs of version 2; the length field would allow 65535, balancers send a few hundred.
V2_BYTES: Final = 16384

_V1_START: Final = b"PROXY "
V2_START: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEAD: Final = struct.Struct("!12sBBH")
_INET: Final = struct.Struct("!4s4sHH")
_INET6: Final = struct.Struct("!16s16sHH")
_UNIX: Final = struct.Struct("!108s108s")
_TLV: Final = struct.Struct("!BH")
_TLS: Final = struct.Struct("!BI")

_AUTHORITY: Final = 0x02
_UNIQUE_ID: Final = 0x05
_TLS_TYPE: Final = 0x20
_TLS_VERSION: Final = 0x21
_TLS_COMMON_NAME: Final = 0x22
_TLS_CIPHER: Final = 0x23

_OVER_TLS: Final = 0x01  # the client's connection to the proxy used TLS
_CERTIFICATE: Final = 0x02 | 0x04  # a certificate came with this connection, or with this TLS session

_STARTS: Final = {"v1": (_V1_START,), "v2": (V2_START,), "any": (_V1_START, V2_START)}


class ProxyProtocolError(Exception):
    """What came is no PROXY header; the connection can only be closed. The text repeats nothing of the input."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of the client's connection to the proxy. A Unix socket has no port and its path for an address."""

    address: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The TLS between client and proxy; texts are '' where the proxy does not say."""

    version: str = ""
    cipher: str = ""
    common_name: str = ""
    has_certificate: bool = False
    is_verified: bool = False
    """The certificate came and was found good."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the proxy says. Without a `source` the connection is the proxy's own, or its client is unknown."""

    source: Endpoint | None = None
    destination: Endpoint | None = None
    authority: str = ""
    """The server name that the client asked for (SNI)."""
    tls: ClientTls | None = None
    unique_id: bytes = field(default=b"", repr=False)

    @property
    def knows_source(self) -> bool:
        """Whether the source has an address by which it can be trusted or not.

        A balancer may not know its client, or may reach it by a Unix socket; it still passes on what the client wrote.
        The balancer's own address says nothing about that, nor does our trust in our own Unix sockets.
        """
        return self.source is not None and self.source.port is not None


class ProxyProtocolReader:
    """Reads the one header at the beginning of a connection. One thread at a time."""

    __slots__ = ("_buffer", "_done", "_starts", "rest")

    def __init__(self, versions: str) -> None:
        """`versions` is "v1", "v2" or "any"."""
        self._starts = _STARTS[versions]
        self._buffer = b""
        self._done = False
        self.rest = b""
        """What came behind the header: the first octets of HTTP."""

    @property
    def has_begun(self) -> bool:
        """Whether a part of the header is here, and no more than that."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Take what arrived; return the header once it is complete, None before.

        Raises ProxyProtocolError as soon as it cannot become one.
        """
        if self._done:
            raise ProtocolMisuse("a PROXY header is read once")
        self._buffer += data  # bounded: what is too long is refused below
        if not any(self._buffer.startswith(start[: len(self._buffer)]) for start in self._starts):
            raise ProxyProtocolError("the connection does not begin with a PROXY header")
        read = self._read_v1() if self._buffer.startswith(b"P") else self._read_v2()
        if read is None:
            return None
        header, length = read
        self._done = True
        self.rest, self._buffer = self._buffer[length:], b""
        return header

    def _read_v1(self) -> tuple[ProxyHeader, int] | None:
        end = self._buffer.find(b"\r\n", 0, V1_BYTES)
        if end < 0:
            if len(self._buffer) >= V1_BYTES:
                raise ProxyProtocolError("the line of a version 1 header is too long")
            return None
        return _parse_line(self._buffer[len(_V1_START) : end]), end + 2

    def _read_v2(self) -> tuple[ProxyHeader, int] | None:
        if len(self._buffer) < _V2_HEAD.size:
            return None
        _, version_and_command, family, length = _V2_HEAD.unpack_from(self._buffer)
        if version_and_command >> 4 != 2:
            raise ProxyProtocolError("the version of a binary header is not 2")
        if length > V2_BYTES:
            raise ProxyProtocolError("a version 2 header is too long")
        end = _V2_HEAD.size + length
        if len(self._buffer) < end:
            return None
        payload = self._buffer[_V2_HEAD.size : end]
        command = version_and_command & 0x0F
        if command == 0:  # LOCAL: whatever else it says is to be ignored
            return ProxyHeader(), end
        if command != 1:
            raise ProxyProtocolError("the command of a version 2 header is neither LOCAL nor PROXY")
        return _parse_payload(family, payload), end


# Version 1


def _parse_line(line: bytes) -> ProxyHeader:
    words = line.split(b" ")
    if words[0] == b"UNKNOWN":
        return ProxyHeader()  # the rest of the line is to be ignored
    kinds: dict[bytes, type[IPv4Address | IPv6Address]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
    kind = kinds.get(words[0])
    if kind is None or len(words) != 5:
        raise ProxyProtocolError("a version 1 header is not a protocol, two addresses and two ports")
    try:
        # IPv6Address reads a zone, which the protocol does not have.
        source, destination = (_show(kind(word.decode("ascii").replace("%", " "))) for word in words[1:3])
    except ValueError:
        raise ProxyProtocolError("a version 1 header has an address that is none") from None
    ports = _parse_port(words[3]), _parse_port(words[4])
    return ProxyHeader(Endpoint(source, ports[0]), Endpoint(destination, ports[1]))


def _parse_port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or int(word) > 65535 or (word[0] == 0x30 and len(word) > 1):
        raise ProxyProtocolError("a version 1 header has a port that is none")
    return int(word)


# Version 2


def _parse_payload(family: int, payload: bytes) -> ProxyHeader:
    """Read addresses and TLVs of a PROXY command; `family` holds the address family and the transport."""
    try:
        if family == 0x11:
            (source, destination), used = _read_inet(_INET, IPv4Address, payload)
        elif family == 0x21:
            (source, destination), used = _read_inet(_INET6, IPv6Address, payload)
        elif family == 0x31:
            source, destination = (Endpoint(_path(name)) for name in _UNIX.unpack_from(payload))
            used = _UNIX.size
        elif family == 0x00:
            return ProxyHeader()  # UNSPEC: the proxy does not know, and the rest is to be ignored
        else:
            raise ProxyProtocolError("the address family or transport of a version 2 header cannot carry HTTP")
    except struct.error:
        raise ProxyProtocolError("the addresses of a version 2 header are cut off") from None
    return _add_tlvs(source, destination, payload[used:])


def _read_inet(
    layout: struct.Struct, kind: type[IPv4Address | IPv6Address], payload: bytes
) -> tuple[tuple[Endpoint, Endpoint], int]:
    source, destination, source_port, destination_port = layout.unpack_from(payload)
    ends = Endpoint(_show(kind(source)), source_port), Endpoint(_show(kind(destination)), destination_port)
    return ends, layout.size


def _show(address: IPv4Address | IPv6Address) -> str:
    """Write an address; an IPv4 client of a balancer's socket for both families is an IPv4 client."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _path(name: bytes) -> str:
    """Return the path of a Unix socket; an abstract name begins with NUL and is shown with '@', as `ss` does."""
    if name.startswith(b"\0"):
        name = b"@" + name[1:] if name.strip(b"\0") else b""
    return name.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _add_tlvs(source: Endpoint, destination: Endpoint, data: bytes) -> ProxyHeader:
    values = dict(_split_tlvs(data))
    return ProxyHeader(
        source,
        destination,
        authority=_text(values.get(_AUTHORITY, b"")),
        tls=_parse_tls(values[_TLS_TYPE]) if _TLS_TYPE in values else None,
        unique_id=values.get(_UNIQUE_ID, b""),
    )


def _split_tlvs(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if len(data) - position < _TLV.size:
            raise ProxyProtocolError("the last TLV of a version 2 header is cut off")
        kind, length = _TLV.unpack_from(data, position)
        position += _TLV.size
        if len(data) - position < length:
            raise ProxyProtocolError("a TLV of a version 2 header is longer than the header")
        yield kind, data[position : position + length]
        position += length


def _parse_tls(data: bytes) -> ClientTls | None:
    """Read PP2_TYPE_SSL: flags, the result of the verification (0 is success), and TLVs of its own."""
    if len(data) < _TLS.size:
        raise ProxyProtocolError("the TLS part of a version 2 header is cut off")
    flags, verify = _TLS.unpack_from(data)
    values = dict(_split_tlvs(data[_TLS.size :]))
    if not flags & _OVER_TLS:
        return None
    has_certificate = bool(flags & _CERTIFICATE)
    return ClientTls(
        version=_text(values.get(_TLS_VERSION, b"")),
        cipher=_text(values.get(_TLS_CIPHER, b"")),
        common_name=values.get(_TLS_COMMON_NAME, b"").decode("utf-8", "backslashreplace"),
        has_certificate=has_certificate,
        is_verified=has_certificate and verify == 0,
    )


def _text(value: bytes) -> str:
    """Return a value that can only be printable ASCII.

    Raises ProxyProtocolError if it is something else.
    """
    if not all(0x21 <= octet <= 0x7E for octet in value):
        raise ProxyProtocolError("a TLV of a version 2 header holds something else than visible ASCII")
    return value.decode("ascii")
