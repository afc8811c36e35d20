"""Certificates for tests: a CA of one's own, and files as operators have them.

Tests that want one are skipped where trustme cannot be installed.
"""

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
if TYPE_CHECKING or find_spec("trustme"):
    import trustme
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )


def new_authority() -> "trustme.CA":
    """Return a CA, or skip the test."""
    pytest.importorskip("trustme")
    return trustme.CA()


@dataclass(frozen=True)
class Files:
    """A certificate with its chain, and its key, in two files."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        """As settings of a server."""
        return {"tls_certificate": str(self.certificate), "tls_key": str(self.key)}


@dataclass
class Pki:
    """A CA, and the folder for what it issues."""

    folder: Path
    ca: "trustme.CA" = field(default_factory=new_authority)

    def issue(self, *names: str, stem: str = "", days: float = 90, age_days: float = 1, **options: Any) -> Files:
        """Issue a certificate for names and write it; `stem` names the files, which may be there already."""
        now = datetime.now(UTC)
        begin = now - timedelta(days=age_days)
        leaf = self.ca.issue_cert(*names, not_before=begin, not_after=now + timedelta(days=days), **options)
        return self.write(leaf, stem or names[0].replace("*", "any"))

    def write(self, leaf: "trustme.LeafCert", stem: str) -> Files:
        """Write the two files of a certificate, key first."""
        files = Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        files.key.write_bytes(leaf.private_key_pem.bytes())
        files.key.chmod(0o600)
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        return files

    def authority(self, name: str = "ca.pem") -> Path:
        """Write the certificate of the CA."""
        path = self.folder / name
        path.write_bytes(self.ca.cert_pem.bytes())
        return path

    def path(self, name: str, content: str | bytes) -> Path:
        """Write any other file."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def key_of(files: Files) -> "PrivateKeyTypes":
    return load_pem_private_key(files.key.read_bytes(), None)


def encrypt(files: Files, passphrase: bytes, form: "PrivateFormat | None" = None) -> None:
    """Encrypt the key in its place."""
    files.key.write_bytes(
        key_of(files).private_bytes(Encoding.PEM, form or PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    )


def key_der(files: Files) -> bytes:
    return key_of(files).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def openssl(*arguments: str, data: bytes = b"") -> str:
    """Run openssl and return what it prints."""
    run = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True, timeout=30)
    return run.stdout.decode()
