"""waitressd.http.proxyprotocol: the PROXY protocol, versions 1 and 2."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.origins import read_peer
from waitressd.http.errors import ProtocolMisuse
from waitressd.http.proxyprotocol import (
    V1_BYTES,
    V2_BYTES,
    ClientTls,
    Endpoint,
    ProxyHeader,
    ProxyProtocolError,
    ProxyProtocolReader,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HTTP = b"GET / HTTP/1.1\r\n"
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 56324, 443)
V6 = bytes([0x20, 0x01, 0x0D, 0xB8, *[0] * 11, 1]) + bytes([*[0] * 15, 1]) + struct.pack("!HH", 1, 65535)
MAPPED = bytes([*[0] * 10, 0xFF, 0xFF, 192, 0, 2, 1]) + bytes([*[0] * 15, 1]) + struct.pack("!HH", 3, 4)


def v2(payload: bytes, *, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload) if length is None else length) + payload


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def tls(flags: int, verify: int, *tlvs: bytes) -> bytes:
    return tlv(0x20, struct.pack("!BI", flags, verify) + b"".join(tlvs))


def feed_whole(data: bytes, versions: str) -> tuple[ProxyHeader | None, bytes]:
    reader = ProxyProtocolReader(versions)
    header = reader.feed(data)
    return header, reader.rest


def feed_bytewise(data: bytes, versions: str) -> tuple[ProxyHeader | None, bytes]:
    reader = ProxyProtocolReader(versions)
    for index in range(len(data)):
        header = reader.feed(data[index : index + 1])
        if header is not None:
            return header, data[index + 1 :]
    return None, b""


def read(data: bytes, versions: str = "any") -> ProxyHeader | None:
    """Read a header whole, byte by byte and with HTTP behind it; all three say the same."""
    header, rest = feed_whole(data, versions)
    assert rest == b""
    assert feed_bytewise(data, versions) == (header, b"")
    if header is not None:
        assert feed_whole(data + HTTP, versions) == (header, HTTP)
        assert feed_bytewise(data + HTTP, versions) == (header, HTTP)
    return header


V1_ROWS = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324", "198.51.100.2:443"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535"),
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n", "192.0.2.1:0", "198.51.100.2:0"),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n", "[2001:db8::1]:1", "[::1]:65535"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:198.51.100.2 1 2\r\n", "192.0.2.1:1", "198.51.100.2:2"),
]


@pytest.mark.parametrize(("data", "source", "destination"), V1_ROWS)
def test_version_1(data: bytes, source: str, destination: str) -> None:
    header = read(data)
    assert header is not None
    assert header == read(data, "v1")
    ends = [read_peer(text) for text in (source, destination)]
    assert [header.source, header.destination] == [Endpoint(peer.address, peer.port) for peer in ends]
    assert (header.authority, header.tls, header.unique_id) == ("", None, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        b"PROXY UNKNOWN \xff\x00 junk\r\n",
    ],
)
def test_version_1_of_unknown_origin(data: bytes) -> None:
    assert read(data) == ProxyHeader()


def test_the_longest_line() -> None:
    line = b"PROXY UNKNOWN " + b"x" * (V1_BYTES - 16) + b"\r\n"
    assert len(line) == V1_BYTES
    assert read(line) == ProxyHeader()
    for data in (line[:-2] + b"x\r\n", line[:-2] + b"xx", b"PROXY TCP4 " + b"1" * 200):
        with pytest.raises(ProxyProtocolError, match="too long"):
            feed_bytewise(data, "any")


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY \r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
        b"PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP6 ::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP6 [::1] ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1_0 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 \xb2 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\rx\r\n",
        b"PROXY TCP4 \xff 198.51.100.2 1 2\r\n",
    ],
)
def test_version_1_that_is_broken(line: bytes) -> None:
    for feed in (feed_whole, feed_bytewise):
        with pytest.raises(ProxyProtocolError):
            feed(line, "any")


@pytest.mark.parametrize(
    ("data", "versions"),
    [
        (b"GET / HTTP/1.1\r\n", "any"),
        (b"P", "v2"),
        (b"\r", "v1"),
        (b"PROXY\tTCP4", "any"),
        (b"proxy TCP4", "any"),
        (SIGNATURE[:-1] + b"\r", "any"),
        (b"\r\n\r\n\r\n", "v2"),
        (V1_ROWS[0][0], "v2"),
        (v2(V4), "v1"),
    ],
)
def test_what_is_no_header_is_refused_at_once(data: bytes, versions: str) -> None:
    for feed in (feed_whole, feed_bytewise):
        with pytest.raises(ProxyProtocolError, match="does not begin with a PROXY header"):
            feed(data, versions)


@pytest.mark.parametrize("data", [b"", b"PROXY", b"PROXY TCP4 192.0.2.1", SIGNATURE, v2(V4)[:-1]])
def test_half_a_header_is_waited_for(data: bytes) -> None:
    assert feed_whole(data, "any") == (None, b"")
    assert feed_bytewise(data, "any") == (None, b"")


@pytest.mark.parametrize(
    ("data", "source", "destination"),
    [
        (v2(V4), Endpoint("192.0.2.1", 56324), Endpoint("198.51.100.2", 443)),
        (v2(V6, family=0x21), Endpoint("2001:db8::1", 1), Endpoint("::1", 65535)),
        (v2(MAPPED, family=0x21), Endpoint("192.0.2.1", 3), Endpoint("::1", 4)),
        (
            v2(b"/run/a".ljust(108, b"\0") + b"\0name".ljust(108, b"\0"), family=0x31),
            Endpoint("/run/a"),
            Endpoint("@name"),
        ),
        (v2(bytes(216), family=0x31), Endpoint(""), Endpoint("")),
        (v2(b"x" * 108 + b"\xff".ljust(108, b"\0"), family=0x31), Endpoint("x" * 108), Endpoint("\\xff")),
    ],
)
def test_version_2(data: bytes, source: Endpoint, destination: Endpoint) -> None:
    assert read(data) == read(data, "v2") == ProxyHeader(source, destination)


@pytest.mark.parametrize(
    "data",
    [
        v2(b"", command=0x20, family=0x00),
        v2(V4, command=0x20),
        v2(b"whatever it is", command=0x20, family=0xFF),
        v2(b"", family=0x00),
        v2(b"whatever it is", family=0x00),
    ],
)
def test_version_2_without_an_origin(data: bytes) -> None:
    """LOCAL is the proxy itself; UNSPEC is somebody whom it does not know. What else they say is skipped."""
    assert read(data) == ProxyHeader()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (v2(V4, command=0x11), "version"),
        (v2(V4, command=0x31), "version"),
        (v2(V4, command=0x22), "command"),
        (v2(V4, family=0x12), "cannot carry HTTP"),
        (v2(V4, family=0x10), "cannot carry HTTP"),
        (v2(V4, family=0x01), "cannot carry HTTP"),
        (v2(V4, family=0x41), "cannot carry HTTP"),
        (v2(V4[:-1]), "cut off"),
        (v2(b""), "cut off"),
        (v2(V4, family=0x21), "cut off"),
        (v2(b"/run/a", family=0x31), "cut off"),
        (v2(V4 + b"\x01"), "the last TLV"),
        (v2(V4 + b"\x01\x00"), "the last TLV"),
        (v2(V4 + tlv(1, b"h2")[:-1]), "longer than the header"),
        (v2(V4 + tlv(1, b"h2") + b"\x02\xff\xff"), "longer than the header"),
        (v2(V4 + tlv(0x20, b"\x01")), "TLS part"),
        (v2(V4 + tls(1, 0, b"\x21\x00\x09x")), "longer than the header"),
        (v2(V4 + tlv(0x02, b"a\r\nb")), "visible ASCII"),
        (v2(V4 + tlv(0x02, b"caf\xe9")), "visible ASCII"),
        (v2(V4 + tls(1, 0, tlv(0x23, b"a b"))), "visible ASCII"),
        (v2(b"", length=V2_BYTES + 1), "too long"),
    ],
)
def test_version_2_that_is_broken(data: bytes, complaint: str) -> None:
    for feed in (feed_whole, feed_bytewise):
        with pytest.raises(ProxyProtocolError, match=complaint):
            feed(data, "any")


def test_the_longest_header() -> None:
    filler = tlv(0x04, bytes(V2_BYTES - len(V4) - 3))
    assert feed_whole(v2(V4 + filler) + HTTP, "any") == (
        ProxyHeader(Endpoint("192.0.2.1", 56324), Endpoint("198.51.100.2", 443)),
        HTTP,
    )


def with_tlvs(*tlvs: bytes) -> ProxyHeader:
    header = read(v2(V4 + b"".join(tlvs)))
    assert header is not None
    return header


def test_tlvs_are_read_or_skipped() -> None:
    header = with_tlvs(
        tlv(0x01, b"h2"),
        tlv(0x02, b"www.example.com"),
        tlv(0x03, bytes(4)),
        tlv(0x04, b""),
        tlv(0x05, b"\x00unique\xff"),
        tlv(0x30, b"namespace"),
        tlv(0xEA, b"\x01vpce-1"),
    )
    assert header.authority == "www.example.com"
    assert header.unique_id == b"\x00unique\xff"
    assert header.tls is None


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (tls(0, 0), None),
        (tls(0, 0, tlv(0x21, b"TLSv1.3")), None),
        (tls(1, 1), ClientTls()),
        (tls(1, 1, tlv(0x21, b"TLSv1.3"), tlv(0x23, b"AES")), ClientTls(version="TLSv1.3", cipher="AES")),
        (
            tls(1 | 2, 0, tlv(0x22, "J\xf8rgen".encode()), tlv(0x24, b"SHA256")),
            ClientTls(common_name="J\xf8rgen", has_certificate=True, is_verified=True),
        ),
        (tls(1 | 4, 0), ClientTls(has_certificate=True, is_verified=True)),
        (tls(1 | 2, 18), ClientTls(has_certificate=True)),
        # Nobody is verified who showed nothing.
        (tls(1, 0), ClientTls()),
    ],
)
def test_tls(part: bytes, expected: ClientTls | None) -> None:
    assert with_tlvs(part).tls == expected


def test_a_header_is_read_once() -> None:
    """Later octets cannot name another client (CVE class of PROXY headers read again on keep-alive)."""
    reader = ProxyProtocolReader("any")
    assert reader.feed(V1_ROWS[0][0]) is not None
    with pytest.raises(ProtocolMisuse):
        reader.feed(V1_ROWS[1][0])


@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, v2(V4)[:16]]))
def test_any_octets_give_a_header_an_error_or_patience(data: bytes, start: bytes) -> None:
    results = []
    for feed in (feed_whole, feed_bytewise):
        try:
            results.append(feed(start + data, "any"))
        except ProxyProtocolError as error:
            results.append((None, str(error).encode()))
    assert results[0] == results[1]
