"""The files of TLS: read, looked through, and what is wrong with them in sentences for an operator.

OpenSSL says the same few words of most mistakes and nothing of others, so everything is looked at here before it gets
to see a file. Knows files and what is in them; does not know OpenSSL.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from waitressd.config.x509 import Certificate, PemBlock, is_whole, parse_certificate, pem_blocks, what_der_is

MAX_FILE_BYTES: Final = 1 << 20
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_REQUESTS: Final = frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"})


class CertificateError(ValueError):
    """A file that cannot be used; the text says why and what to do.

    `may_pass` tells whether somebody may just be writing it: then it is looked at again before anything is said.
    """

    def __init__(self, setting: str, path: str, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.setting = setting
        self.path = path
        self.text = text
        self.may_pass = may_pass


Mark = tuple[int, int, int, int]
"""What tells one content of a file from another without reading it: device, inode, time of the last change, size."""


def mark_of(path: str) -> Mark | None:
    """Look at a file behind its links; None if it cannot be seen."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


@dataclass(frozen=True, slots=True)
class Content:
    """What one file has: its blocks, in order."""

    setting: str
    path: str
    raw: bytes
    mode: int
    blocks: tuple[PemBlock, ...]

    @property
    def key(self) -> PemBlock | None:
        """The first private key, which is the one that OpenSSL takes."""
        return next((block for block in self.blocks if block.is_key), None)

    @property
    def has_certificate(self) -> bool:
        """Whether there is a certificate in it."""
        return any(block.is_certificate for block in self.blocks)

    def certificates(self) -> tuple[Certificate, ...]:
        """Parse every certificate, in order. Raises CertificateError if there is none, or one that cannot be read."""
        found = []
        for block in self.blocks:
            if block.is_certificate:
                try:
                    found.append(parse_certificate(block.data))
                except ValueError as error:
                    text = f"the certificate in line {block.line} cannot be read: {error}; copy the file anew"
                    raise self.error(text, may_pass=True) from None
        if not found:
            raise self.error(self._instead_of_a_certificate())
        return tuple(found)

    def private_key(self) -> PemBlock:
        """Return the key. Raises CertificateError if there is none, or a damaged one."""
        key = self.key
        if key is None:
            raise self.error(self._instead_of_a_key())
        if not key.is_encrypted and not is_whole(key.data):
            raise self.error(f"the key in line {key.line} is damaged; copy the file anew", may_pass=True)
        return key

    def error(self, text: str, *, may_pass: bool = False) -> CertificateError:
        """Make an error about this file."""
        return CertificateError(self.setting, self.path, text, may_pass=may_pass)

    def _labels(self) -> set[str]:
        return {block.label for block in self.blocks}

    def _instead_of_a_certificate(self) -> str:
        labels = self._labels()
        if labels & _REQUESTS:
            return "the file has a certificate request (CSR); name the certificate that the CA made of it"
        if self.key is not None:
            return "the file has a private key and no certificate; name the certificate here, and this file in tls_key"
        if "PKCS7" in labels:
            return f"the file is PKCS#7; convert it: openssl pkcs7 -print_certs -in {self.path} -out NEW.pem"
        return f"the file has no certificate but {_listed(labels)}; name the file that the CA gave you"

    def _instead_of_a_key(self) -> str:
        labels = self._labels()
        if self.setting == "tls_certificate":
            return "the file has no private key; name the file of the key in tls_key"
        if self.has_certificate:
            return "the file has a certificate and no private key; name the key that the certificate was made for"
        if "OPENSSH PRIVATE KEY" in labels:
            return f"the key is one of OpenSSH; convert a copy of it: ssh-keygen -p -m PEM -f {self.path}"
        return f"the file has no private key but {_listed(labels)}; name the key that the certificate was made for"


def _listed(labels: set[str]) -> str:
    return " and ".join(sorted(labels))


def read(setting: str, path: str) -> Content:
    """Read a file in PEM. Raises CertificateError."""
    raw, mode = read_whole(setting, path)
    if raw.startswith(_BYTE_ORDER_MARKS):
        text = "the file begins with a byte order mark; save it as plain ASCII text, without one"
        raise CertificateError(setting, path, text)
    try:
        blocks = tuple(pem_blocks(raw))
    except ValueError as error:
        raise CertificateError(setting, path, f"{error}; copy the file anew", may_pass=True) from None
    if not blocks:
        raise CertificateError(setting, path, *_no_pem(path, raw))
    return Content(setting, path, raw, mode, blocks)


def _no_pem(path: str, raw: bytes) -> tuple[str]:
    commands = {
        "certificate": f"openssl x509 -inform der -in {path} -out NEW.pem",
        "key": f"openssl pkey -inform der -in {path} -out NEW.pem",
        "PKCS#12": f"openssl pkcs12 -nodes -in {path} -out NEW.pem",
        "PKCS#7": f"openssl pkcs7 -inform der -print_certs -in {path} -out NEW.pem",
    }
    command = commands.get(what_der_is(raw))
    if command:
        return (f"the file is binary ({'PKCS' if 'pkcs' in command else 'DER'}), not PEM; convert it: {command}",)
    return ("the file is not PEM: it has no line -----BEGIN ...; name the file that the CA or the ACME client wrote",)


def read_passphrase(path: str) -> bytes:
    """Read the first line of a file. Raises CertificateError."""
    raw, _ = read_whole("tls_key_passphrase_file", path)
    line = raw.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise CertificateError("tls_key_passphrase_file", path, "its first line is empty; write the passphrase there")
    if len(line) > 1023:  # what OpenSSL takes
        text = "its first line is longer than any passphrase (1023 bytes); write the passphrase there"
        raise CertificateError("tls_key_passphrase_file", path, text)
    return line


def read_whole(setting: str, path: str) -> tuple[bytes, int]:
    """Return all that a file has, and its mode. Raises CertificateError that says what is in the way."""
    try:
        # Without O_NONBLOCK a pipe without a writer would hold the start up for ever.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise CertificateError(setting, path, _unreadable(path, error), may_pass=True) from None
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise CertificateError(setting, path, f"this is a folder; name a file in it{_example(setting, path)}")
        if not stat.S_ISREG(mode):
            raise CertificateError(setting, path, "this is no regular file; name one, since it is read again later")
        with open(fd, "rb", closefd=False) as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(setting, path, _unreadable(path, error), may_pass=True) from None
    finally:
        os.close(fd)
    if not raw.strip():
        text = "the file is empty; write it again, or name another one"
        raise CertificateError(setting, path, text, may_pass=True)
    if len(raw) > MAX_FILE_BYTES:
        raise CertificateError(setting, path, "the file is larger than 1 MiB; name the one with the certificate alone")
    return raw, stat.S_IMODE(mode)


def _example(setting: str, path: str) -> str:
    name = {"tls_certificate": "fullchain.pem", "tls_key": "privkey.pem"}.get(setting)
    return f", such as {Path(path) / name}" if name and (Path(path) / name).is_file() else ""


def _unreadable(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        blocked = next((folder for folder in reversed(Path(path).parents) if not os.access(folder, os.X_OK)), None)
        what = f"cannot enter the folder {blocked}" if blocked is not None else "cannot read it"
        return (
            f"the account {_account()} {what}; give the account's group that right (chgrp, chmod g+rX), "
            "or have systemd hand the file over (LoadCredential=)"
        )
    if isinstance(error, FileNotFoundError):
        if Path(path).is_symlink():
            return "the link leads to a file that is not there; write that file, or name another one"
        missing = next((folder for folder in reversed(Path(path).parents) if not folder.exists()), None)
        if missing is not None:
            return f"there is no such file, nor a folder {missing}; correct the path, or have the file made first"
        return "there is no such file; correct the path, or have the file made first"
    return f"it cannot be read: {error.strerror or error}; name a file that can"


def _account() -> str:
    """Name the account that this process runs under, as far as the system knows."""
    if not hasattr(os, "geteuid"):
        return os.environ.get("USERNAME", "of this process")
    uid = os.geteuid()
    with contextlib.suppress(ImportError, KeyError):
        import pwd  # noqa: PLC0415 - not on Windows

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    return f"with uid {uid}"


def are_swapped(certificate: Content, key: Content) -> bool:
    """Whether each of two files has what the other one should have."""
    return not certificate.has_certificate and certificate.key is not None and key.has_certificate and key.key is None


def authorities(content: Content) -> Sequence[Certificate]:
    """Return the CAs among the certificates of a file. Raises CertificateError if there is none."""
    found = content.certificates()
    cas = [certificate for certificate in found if certificate.is_ca]
    if not cas:
        text = f"none of its certificates is a CA ({found[0].name} may sign no others); name the file of the CA"
        raise content.error(text)
    return cas
