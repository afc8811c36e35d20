"""What a certificate says is what OpenSSL reads in it; what is none is refused in one way."""

import base64
import re
import shutil
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.support.pki import Pki, key_der, openssl
from waitressd.config.x509 import Certificate, is_whole, parse_certificate, pem_blocks, what_der_is


def pem(label: str, data: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(data).decode()}-----END {label}-----\n"


def first_of(path: Path) -> Certificate:
    return parse_certificate(pem_blocks(path.read_bytes())[0].data)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


# -- PEM


def test_blocks_are_found_between_any_text_and_with_any_line_ends() -> None:
    content = "a comment\r\n" + pem("CERTIFICATE", b"one") + "\n\nmore\n" + pem("PRIVATE KEY", b"two")
    for text in (content, content.replace("\n", " \r\n"), content.replace("-----\n", "-----  \n")):
        blocks = pem_blocks(text.encode())
        assert [(block.label, block.data) for block in blocks] == [("CERTIFICATE", b"one"), ("PRIVATE KEY", b"two")]
        assert [block.is_certificate for block in blocks] == [True, False]
        assert [block.is_key for block in blocks] == [False, True]
    assert [block.line for block in pem_blocks(content.encode())] == [2, 8]


def test_an_encrypted_key_is_known_by_its_label_or_its_head() -> None:
    head = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n"
    old = pem("RSA PRIVATE KEY", b"secret").replace("KEY-----\n", "KEY-----\n" + head, 1)
    blocks = pem_blocks((old + pem("ENCRYPTED PRIVATE KEY", b"x") + pem("PRIVATE KEY", b"y")).encode())
    assert [block.is_encrypted for block in blocks] == [True, True, False]
    assert blocks[0].data == b"secret"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "the CERTIFICATE in line 1 has no end"),
        ("\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n", "the CERTIFICATE in line 2 has no end"),
        (pem("CERTIFICATE", b"a")[:-30] + pem("PRIVATE KEY", b"b"), "the CERTIFICATE in line 1 has no end"),
        ("-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----\n", "in line 1 is damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "in line 1 is damaged"),
    ],
)
def test_a_broken_block_is_named_by_its_line(content: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        pem_blocks(content.encode())


def test_what_is_no_pem_has_no_blocks() -> None:
    assert pem_blocks(b"") == []
    assert pem_blocks(bytes(range(256))) == []


# -- certificates


def test_names_are_those_that_clients_look_up(pki: Pki) -> None:
    found = first_of(pki.issue("Shop.example", "*.shop.example", "127.0.0.1", "::1", common_name="ignored").certificate)
    assert found.dns_names == ("shop.example", "*.shop.example")
    assert found.addresses == ("127.0.0.1", "::1")
    assert found.name == "shop.example"
    for host in ("shop.example", "www.shop.example", "127.0.0.1", "::1"):
        assert found.covers(host)
    for host in ("a.b.shop.example", "example", "shop.example.org", "ignored", "", ".shop.example.", "10.0.0.1"):
        assert not found.covers(host)


def test_times_keys_and_signers(pki: Pki) -> None:
    ca = first_of(pki.authority())
    leaf = first_of(pki.issue("a.example", key_type=trustme.KeyType.RSA).certificate)
    assert (ca.is_ca, ca.is_self_signed, ca.rsa_bits) == (True, True, 0)
    assert (leaf.is_ca, leaf.is_self_signed, leaf.rsa_bits) == (False, False, 2048)
    assert leaf.issuer == ca.subject
    assert leaf.not_before < datetime.now(UTC) < leaf.not_after


def test_a_certificate_without_names_is_called_by_its_subject(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl")
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", f"{tmp_path}/k", "-out", f"{tmp_path}/c",
            "-subj", "/O=Häuser/CN=old.example", "-utf8", "-set_serial", "0x0ff", "-days", "36500")  # fmt: skip
    found = first_of(tmp_path / "c")
    assert (found.name, found.dns_names, found.serial) == ("old.example", (), 255)
    assert found.not_after.year > 2100
    assert found.common_name == "old.example"


def test_openssl_reads_the_same(pki: Pki) -> None:
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl")
    intermediate = pki.ca.create_child_ca()
    paths = [
        pki.authority(),
        pki.issue("a.example", "*.b.example", "10.1.2.3").certificate,
        pki.issue("c.example", key_type=trustme.KeyType.RSA, days=20000).certificate,
        pki.write(intermediate.issue_cert("d.example", common_name="D"), "d").certificate,
    ]
    for path in paths:
        found = first_of(path)
        text = openssl(
            "x509", "-in", str(path), "-noout", "-serial", "-dates", "-ext", "subjectAltName,basicConstraints"
        )
        serial = re.search(r"serial=([0-9A-F]+)", text)
        assert serial is not None
        assert int(serial[1], 16) == found.serial
        for word, moment in (("notBefore", found.not_before), ("notAfter", found.not_after)):
            shown = re.search(f"{word}=(.*)\n", text)
            assert shown is not None
            assert moment.timestamp() == ssl.cert_time_to_seconds(shown[1])
        assert tuple(re.findall(r"DNS:([^,\s]+)", text)) == found.dns_names
        assert tuple(re.findall(r"IP Address:([^,\s]+)", text)) == found.addresses
        assert ("CA:TRUE" in text) is found.is_ca
        key = openssl("x509", "-in", str(path), "-noout", "-pubkey")
        assert pem_blocks(key.encode())[0].data == found.public_key


def test_all_roots_of_this_system_can_be_read() -> None:
    path = ssl.get_default_verify_paths().cafile
    if path is None:
        pytest.skip("this system has no file of roots")
    blocks = pem_blocks(Path(path).read_bytes())
    assert all(parse_certificate(block.data).is_ca for block in blocks if block.is_certificate)


def test_octets_behind_a_certificate_are_left_out(pki: Pki) -> None:
    found = first_of(pki.authority())
    assert parse_certificate(found.der + b"trust").der == found.der


def test_every_beginning_of_a_certificate_is_refused(pki: Pki) -> None:
    der = first_of(pki.issue("a.example").certificate).der
    for end in range(len(der)):
        with pytest.raises(ValueError, match="this is no certificate"):
            parse_certificate(der[:end])


# -- DER


def test_what_a_binary_file_is(pki: Pki) -> None:
    files = pki.issue("a.example")
    der = first_of(files.certificate).der
    assert what_der_is(der) == "certificate"
    assert what_der_is(key_der(files)) == "key"
    assert what_der_is(bytes.fromhex("3080020103")) == ""
    assert what_der_is(bytes.fromhex("3003020103")) == "PKCS#12"
    assert what_der_is(bytes.fromhex("300b06092a864886f70d010702")) == "PKCS#7"
    assert [what_der_is(data) for data in (b"", b"0", b"hello", bytes(100))] == [""] * 4
    assert is_whole(key_der(files))
    assert [is_whole(data) for data in (b"", key_der(files)[:-1], key_der(files) + b"x")] == [False] * 3
