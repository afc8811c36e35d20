"""What travels with a connection arrives as it was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waitressd.http.proxyprotocol import ClientTls, Endpoint, ProxyHeader
from waitressd.net.handover import Kept, decode, encode
from waitressd.peer import UNIX, Peer

ENDPOINTS = st.none() | st.builds(Endpoint, st.text(max_size=50), st.none() | st.integers(0, 65535))
TLS = st.none() | st.builds(ClientTls, st.text(), st.text(), st.text(), st.booleans(), st.booleans())
HEADERS = st.builds(ProxyHeader, ENDPOINTS, ENDPOINTS, st.text(max_size=50), TLS, st.binary(max_size=128))
TIMES = st.floats(0, 1e9)
KEPT = st.builds(
    Kept,
    st.text(max_size=100),
    st.just(UNIX) | st.builds(Peer, st.text(max_size=50), st.integers(0, 65535)),
    st.integers(0, 1 << 40),
    TIMES,
    TIMES,
    st.none() | HEADERS,
    st.booleans(),
)


@settings(deadline=None)
@given(KEPT)
def test_it_arrives_whole(kept: Kept) -> None:
    again = decode(encode(kept))
    assert again == kept
    assert (again.peer is UNIX) == (kept.peer is UNIX)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)
