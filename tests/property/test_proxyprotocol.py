"""Any octets at the beginning of a connection are a PROXY header, a part of one, or refused; however they arrive."""

import itertools
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from wsgiref.util import request_uri

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.origins import origin_of
from tests.support.proxyheaders import LOCAL, SIGNATURE, UNKNOWN, UNSPEC, binary, tls, tlv, v1, v2, v2_unix
from tests.support.recording import RecordingTransport
from waitressd.http.events import Request
from waitressd.http.proxyprotocol import (
    V1_BYTES,
    V2_BYTES,
    Endpoint,
    ProxyHeader,
    ProxyProtocolError,
    ProxyProtocolReader,
)
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import FIELD_KEYS, TrustedProxies

TRANSPORT = RecordingTransport()  # one for all, so that environs can be compared

versions = st.sampled_from(["v1", "v2", "any"])
ports = st.integers(0, 65535)
v4_ends = st.tuples(st.ip_addresses(v=4).map(str), ports)
v6_ends = st.tuples(st.ip_addresses(v=6).map(str).filter(lambda text: not text.startswith("::ffff:")), ports)
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40).map(str.encode)
tls_parts = st.builds(
    lambda flags, verify, version, name, cipher: tls(
        flags, verify, tlv(0x21, version), tlv(0x22, name), tlv(0x23, cipher)
    ),
    st.integers(0, 7), st.integers(0, 2), names, st.binary(max_size=20), names,
)  # fmt: skip
# What is not known is skipped; 0x02, 0x20 and those within 0x20 have rules of their own.
other_tlvs = st.builds(tlv, st.integers(0, 255).filter(lambda kind: kind not in (0x02, 0x20)), st.binary(max_size=60))
tlvs = st.lists(st.one_of(other_tlvs, tls_parts, names.map(lambda name: tlv(0x02, name))), max_size=4)
paths = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=100)

valid_v1 = st.one_of(st.builds(v1, v4_ends, v4_ends), st.builds(v1, v6_ends, v6_ends), st.just(UNKNOWN))
valid_v2 = st.one_of(
    st.builds(lambda source, destination, parts: v2(source, destination, *parts), v4_ends, v4_ends, tlvs),
    st.builds(lambda source, destination, parts: v2(source, destination, *parts), v6_ends, v6_ends, tlvs),
    st.builds(lambda source, destination, parts: v2_unix(source, destination, *parts), paths, paths, tlvs),
    st.builds(lambda payload: binary(payload, command=0x20), st.binary(max_size=60)),
    st.just(LOCAL),
    st.just(UNSPEC),
)
valid = st.one_of(valid_v1, valid_v2)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Draw a header with some octets changed, left out or put in."""
    data = bytearray(draw(valid))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(data)))
        data[position : position + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(data)


starts = st.sampled_from([b"", b"P", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"])
begun = st.tuples(starts, st.binary(max_size=300)).map(b"".join)
octets = st.one_of(valid, spoiled(), st.binary(max_size=200), begun)

Outcome = tuple[ProxyHeader | str | None, bytes]


def read(data: bytes, reads: str, cuts: list[int]) -> Outcome:
    """Feed the octets, cut at these places; say what came of it and what was left."""
    reader = ProxyProtocolReader(reads)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        try:
            header = reader.feed(data[start:end])
        except ProxyProtocolError as error:
            return str(error), b""
        if header is not None:
            return header, reader.rest + data[end:]
        assert len(reader._buffer) < max(V1_BYTES, V2_BYTES + 16)
    return None, b""


@given(data=octets, reads=versions, cuts=st.lists(st.integers(0, 300), max_size=8))
def test_any_octets_are_a_header_a_part_of_one_or_refused(data: bytes, reads: str, cuts: list[int]) -> None:
    """And the same however they are cut; nothing else is ever raised."""
    whole = read(data, reads, [])
    assert read(data, reads, cuts) == whole
    assert read(data, reads, list(range(len(data)))) == whole
    outcome, rest = whole
    if isinstance(outcome, ProxyHeader):
        assert data.endswith(rest)
        assert len(data) - len(rest) <= max(V1_BYTES, V2_BYTES + 16)


@given(header=valid, rest=st.binary(max_size=50), cuts=st.lists(st.integers(0, 300), max_size=4))
@example(v1(), v1(("192.0.2.9", 1)), [])
def test_what_follows_a_header_is_not_touched(header: bytes, rest: bytes, cuts: list[int]) -> None:
    """Also where it looks like a second header."""
    outcome, left = read(header + rest, "any", cuts)
    assert isinstance(outcome, ProxyHeader)
    assert (outcome, left) == (read(header, "any", [])[0], rest)


@given(header=valid, end=st.integers(0, 400))
def test_a_part_of_a_header_is_waited_for(header: bytes, end: int) -> None:
    assert read(header[: min(end, len(header) - 1)], "any", []) == (None, b"")


@given(header=valid)
def test_a_version_that_is_not_wanted_is_refused(header: bytes) -> None:
    own, other = ("v1", "v2") if header.startswith(b"PROXY") else ("v2", "v1")
    assert isinstance(read(header, own, [])[0], ProxyHeader)
    assert read(header, other, [])[0] == "the connection does not begin with a PROXY header"


@given(ends=st.one_of(st.tuples(v4_ends, v4_ends), st.tuples(v6_ends, v6_ends)), parts=tlvs)
def test_both_versions_say_who_connects(ends: tuple[tuple[str, int], tuple[str, int]], parts: list[bytes]) -> None:
    wanted = tuple(Endpoint(str(ip_address(address)), port) for address, port in ends)
    for data in (v1(*ends), v2(*ends, *parts)):
        found = read(data, "any", [])[0]
        assert isinstance(found, ProxyHeader)
        assert (found.source, found.destination) == wanted


def environ_of(header: ProxyHeader, fields: dict[str, str], proxies: TrustedProxies) -> dict[str, Any]:
    request = Request("GET", "/path", "/path", "", "HTTP/1.1", {"HTTP_HOST": "example.com", **fields})
    settings = EnvironSettings(server_port=8080, proxies=proxies)
    return EnvironBuilder(settings).build(request, None, origin_of("10.0.0.1:5555", header), TRANSPORT)


@given(data=octets)
def test_whatever_a_header_says_the_environ_is_sound(data: bytes) -> None:
    header = read(data, "any", [])[0]
    if not isinstance(header, ProxyHeader):
        return
    environ = environ_of(header, {}, TrustedProxies())
    address = environ["REMOTE_ADDR"]
    assert environ["REMOTE_HOST"] == address
    assert address == "localhost" or isinstance(ip_address(address), IPv4Address | IPv6Address)
    assert ("REMOTE_PORT" in environ) == (address != "localhost")
    assert 0 < int(environ["SERVER_PORT"]) <= 65535
    assert environ["wsgi.url_scheme"] == ("https" if header.tls is not None else "http")
    assert request_uri(environ) == f"{environ['wsgi.url_scheme']}://example.com/path"
    for key, value in environ.items():
        if isinstance(value, str):
            assert value.encode("latin-1").decode("latin-1") == value, key


@given(
    header=valid,
    fields=st.dictionaries(
        st.sampled_from([*sorted(FIELD_KEYS.values()), "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_USER"]),
        st.text(max_size=20),
        max_size=4,
    ),
    unix=st.booleans(),
)
def test_fields_count_only_where_the_source_itself_is_trusted(
    header: bytes, fields: dict[str, str], *, unix: bool
) -> None:
    """The balancer is trusted here, and so are the clients of our own Unix sockets; the clients of neither are."""
    found = read(header, "any", [])[0]
    assert isinstance(found, ProxyHeader)
    proxies = TrustedProxies(
        networks=(ip_network("10.0.0.1"),), unix=unix, headers=frozenset(FIELD_KEYS) - {"forwarded"}
    )
    if found.source is not None and found.source.address == "10.0.0.1":
        return
    with_fields, without = environ_of(found, fields, proxies), environ_of(found, {}, proxies)
    del with_fields["wsgi.input"], without["wsgi.input"]
    assert with_fields == without
