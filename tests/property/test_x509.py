"""Any octets are a certificate or a ValueError, in PEM and in DER; changed certificates most of all."""

import ssl

import trustme
from hypothesis import given
from hypothesis import strategies as st

from waitressd.config.x509 import is_whole, parse_certificate, pem_blocks, what_der_is

CERTIFICATE = ssl.PEM_cert_to_DER_cert(
    trustme.CA().issue_cert("a.example", "*.b.example", "10.0.0.1", common_name="C").cert_chain_pems[0].bytes().decode()
)
PEM = ssl.DER_cert_to_PEM_cert(CERTIFICATE).encode()

changes = st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=6)


def changed(data: bytes, changes: list[tuple[int, int]], end: int) -> bytes:
    octets = bytearray(data)
    for place, value in changes:
        octets[place % len(octets)] = value
    return bytes(octets[: len(octets) - end % 7])


def read(der: bytes) -> None:
    what_der_is(der)
    is_whole(der)
    try:
        certificate = parse_certificate(der)
    except ValueError:
        return
    assert der.startswith(certificate.der)
    assert isinstance(certificate.name, str)
    assert all(isinstance(name, str) for name in (*certificate.dns_names, *certificate.addresses))
    assert certificate.rsa_bits >= 0
    assert certificate.is_ca in (True, False)
    assert certificate.covers("a.example") in (True, False)


@given(st.binary(max_size=300))
def test_any_octets(data: bytes) -> None:
    read(data)


@given(changes, st.integers(0, 6))
def test_changed_certificates(changes: list[tuple[int, int]], end: int) -> None:
    read(changed(CERTIFICATE, changes, end))


@given(changes, st.integers(0, 6), st.binary(max_size=40))
def test_changed_pem(changes: list[tuple[int, int]], end: int, before: bytes) -> None:
    try:
        blocks = pem_blocks(before + changed(PEM, changes, end))
    except ValueError:
        return
    for block in blocks:
        read(block.data)
