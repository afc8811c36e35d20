"""Files of TLS: what is in them, and what is said of those that cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)

from tests.support.pki import Pki, key_der, key_of
from waitressd.certificatefiles import (
    MAX_FILE_BYTES,
    CertificateError,
    are_swapped,
    authorities,
    mark_of,
    read,
    read_passphrase,
)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def certificate_error(path: Path) -> str:
    with pytest.raises(CertificateError) as caught:
        read("tls_certificate", str(path)).certificates()
    assert (caught.value.setting, caught.value.path) == ("tls_certificate", str(path))
    return caught.value.text


def key_error(path: Path) -> str:
    with pytest.raises(CertificateError) as caught:
        read("tls_key", str(path)).private_key()
    return caught.value.text


def test_good_files(pki: Pki) -> None:
    files = pki.issue("a.example")
    content = read("tls_certificate", str(files.certificate))
    assert [certificate.name for certificate in content.certificates()] == ["a.example"]
    key = read("tls_key", str(files.key))
    assert key.private_key().is_encrypted is False
    assert key.mode == 0o600
    both = pki.path("both.pem", files.key.read_bytes() + files.certificate.read_bytes())
    assert read("tls_certificate", str(both)).private_key() == key.private_key()
    assert len(read("tls_certificate", str(both)).certificates()) == 1


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    assert certificate_error(tmp_path / "a.pem").startswith("there is no such file; ")
    assert f"nor a folder {tmp_path}/x;" in certificate_error(tmp_path / "x" / "y" / "a.pem")
    (tmp_path / "link.pem").symlink_to("gone.pem")
    assert certificate_error(tmp_path / "link.pem").startswith("the link leads to a file that is not there")


def test_a_folder_names_the_file_in_it(pki: Pki) -> None:
    assert certificate_error(pki.folder) == "this is a folder; name a file in it"
    pki.path("fullchain.pem", "x")
    assert certificate_error(pki.folder) == f"this is a folder; name a file in it, such as {pki.folder}/fullchain.pem"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child that gives up its rights")
@pytest.mark.parametrize("hidden", ["file", "folder"])
def test_what_this_account_may_not_read(pki: Pki, hidden: str) -> None:
    folder = pki.folder / "live"
    folder.mkdir()
    key = folder / "a.key"
    key.write_text("x")
    (key if hidden == "file" else folder).chmod(0)
    # The folders above are for the account of the tests alone, so a relative path is what another one can name.
    pki.folder.chmod(0o755)
    program = (
        "import os, sys; from waitressd.certificatefiles import read, CertificateError\n"
        "os.geteuid() or os.setresuid(65534, 65534, 65534)\n"
        "try: read('tls_key', sys.argv[1])\n"
        "except CertificateError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "live/a.key"], cwd=pki.folder, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )  # fmt: skip
    folder.chmod(0o700)
    what = "cannot read it" if hidden == "file" else "cannot enter the folder live"
    assert f"{what}; give the account's group that right" in run.stdout
    assert "LoadCredential=" in run.stdout
    if os.geteuid() == 0:
        assert "(uid 65534)" in run.stdout or "with uid 65534" in run.stdout


def test_a_pipe_does_not_hold_up_the_start(pki: Pki) -> None:
    os.mkfifo(pki.folder / "pipe")
    assert certificate_error(pki.folder / "pipe").startswith("this is no regular file")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty; "),
        (b" \n", "the file is empty; "),
        (b"x" * (MAX_FILE_BYTES + 1), "the file is larger than 1 MiB; "),
        (b"hello", "the file is not PEM: "),
        ("\ufeff-----BEGIN CERTIFICATE-----\n".encode(), "the file begins with a byte order mark; "),
        ("-----BEGIN CERTIFICATE-----\n".encode("utf-16"), "the file begins with a byte order mark; "),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "the CERTIFICATE in line 1 has no end; copy the file anew"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "the certificate in line 1 cannot be read: this is no certificate",
        ),
        (
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "the file has no certificate but PUBLIC KEY; ",
        ),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "the file is PKCS#7; convert it: openssl pkcs7 "),
    ],
)
def test_no_certificate(pki: Pki, content: bytes, complaint: str) -> None:
    assert certificate_error(pki.path("a.pem", content)).startswith(complaint)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "the file has no private key but PUBLIC KEY; ",
        ),
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            "the key is one of OpenSSH; ",
        ),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "the key in line 1 is damaged; "),
    ],
)
def test_no_key(pki: Pki, content: bytes, complaint: str) -> None:
    assert key_error(pki.path("a.key", content)).startswith(complaint)


def test_other_things_that_a_ca_and_openssl_make(pki: Pki) -> None:
    files = pki.issue("a.example")
    key = key_of(files)
    assert isinstance(key, EllipticCurvePrivateKey)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr = pki.path("a.csr", request.public_bytes(Encoding.PEM))
    assert certificate_error(csr).startswith("the file has a certificate request (CSR); ")
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    for content, command in (
        (certificate.public_bytes(Encoding.DER), "openssl x509 -inform der -in "),
        (key_der(files), "openssl pkey -inform der -in "),
        (pkcs12.serialize_key_and_certificates(None, key, certificate, None, NoEncryption()), "openssl pkcs12 -nodes"),
        (pkcs7.serialize_certificates([certificate], Encoding.DER), "openssl pkcs7 -inform der -print_certs -in "),
    ):
        assert f"not PEM; convert it: {command}" in certificate_error(pki.path("a.der", content))
    public = pki.path("a.pub", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert "PUBLIC KEY" in key_error(public)
    old = pki.path("old.key", key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    assert read("tls_key", str(old)).private_key().label == "EC PRIVATE KEY"


def test_two_files_in_each_others_place(pki: Pki) -> None:
    files = pki.issue("a.example")
    certificate, key = read("tls_certificate", str(files.certificate)), read("tls_key", str(files.key))
    assert are_swapped(key, certificate)
    assert not are_swapped(certificate, key)
    assert not are_swapped(certificate, certificate)
    assert "a certificate and no private key" in key_error(files.certificate)
    assert "a private key and no certificate" in certificate_error(files.key)


def test_authorities_are_the_cas_among_the_certificates(pki: Pki) -> None:
    files = pki.issue("a.example")
    mixed = pki.path("mixed.pem", files.certificate.read_bytes() + pki.authority().read_bytes())
    assert [ca.is_ca for ca in authorities(read("tls_client_ca", str(mixed)))] == [True]
    with pytest.raises(CertificateError, match=r"none of its certificates is a CA \(a\.example may sign no others\)"):
        authorities(read("tls_client_ca", str(files.certificate)))


def test_passphrases(pki: Pki) -> None:
    assert read_passphrase(str(pki.path("p", "secret of two words \r\nmore\n"))) == b"secret of two words "
    for content, complaint in ((b"\nx", "its first line is empty"), (b"x" * 1024, "longer than any passphrase")):
        with pytest.raises(CertificateError, match=complaint):
            read_passphrase(str(pki.path("p", content)))


def test_a_mark_changes_with_the_file_behind_a_link(pki: Pki) -> None:
    one, two = pki.path("one", "1"), pki.path("two", "2")
    link = pki.folder / "link"
    assert mark_of(str(link)) is None
    link.symlink_to(one)
    before = mark_of(str(link))
    assert before == mark_of(str(one))
    link.unlink()
    link.symlink_to(two)
    assert mark_of(str(link)) == mark_of(str(two)) != before
