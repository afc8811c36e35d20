"""Certificates made for the tests, and TLS clients that see every byte: those on the wire, and those behind it."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests.support.client import TIMEOUT_SECONDS, Address, Client
from tests.support.pki import new_authority
from waitressd.net.tls import prepare

if TYPE_CHECKING:
    import trustme

HOST: Final = "shop.example"
NAMES: Final = (HOST, "localhost", "127.0.0.1")
PIECE_BYTES: Final = 64 * 1024


@cache
def authority() -> "trustme.CA":
    """Return the CA of all tests of this process."""
    return new_authority()


@cache
def server_certificate() -> "trustme.LeafCert":
    """Return the certificate of the servers under test."""
    return authority().issue_cert(*NAMES)


@cache
def client_certificate(name: str = "alice@example.org", common_name: str = "Alice") -> "trustme.LeafCert":
    """Return a certificate for a client."""
    return authority().issue_cert(name, common_name=common_name)


def tls_files(folder: Path) -> dict[str, Any]:
    """Write the server's certificate and key, and return the settings that name them."""
    certificate, key, ca = folder / "fullchain.pem", folder / "privkey.pem", folder / "ca.pem"
    if not key.exists():
        issued = server_certificate()
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        authority().cert_pem.write_to_path(str(ca))
        issued.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
    return {"tls_certificate": str(certificate), "tls_key": str(key)}


def server_context(*, verify: ssl.VerifyMode = ssl.CERT_NONE) -> ssl.SSLContext:
    """Return a server's context as the server under test has them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    prepare(context)
    server_certificate().configure_cert(context)
    authority().configure_trust(context)
    context.verify_mode = verify
    return context


def client_context(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, certificate: "trustme.LeafCert | None" = None
) -> ssl.SSLContext:
    """Return the context of a client that trusts the CA of the tests and speaks one version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    context.minimum_version = context.maximum_version = version
    if certificate is not None:
        certificate.configure_cert(context)
    return context


@dataclass(frozen=True)
class FixedCredentials:
    """Credentials that are never renewed."""

    context: ssl.SSLContext
    host: str = HOST


class Wiretap:
    """A client made of octets: what it sends is handed to `send`, what it gets is fed to it.

    Keeps everything that came over the wire, so that a test can look for what must not be there.
    """

    def __init__(
        self, send: Callable[[bytes], object], context: ssl.SSLContext | None = None, name: str | None = HOST
    ) -> None:
        self.on_wire = b""
        self.plaintext = b""
        self.has_farewell = False
        self.send_octets = send
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or client_context()
        context.check_hostname = name is not None
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def hello(self) -> bytes:
        """Return what it says next in its handshake, without sending it."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def shake_hands(self) -> bool:
        """Take a step; True when the handshake is complete. Raises ssl.SSLError."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flush()
        return True

    def encrypt(self, data: bytes) -> bytes:
        """Return the records of some data."""
        self.tls.write(data)
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        """Send data."""
        self.send_octets(self.encrypt(data))

    def flush(self) -> None:
        """Send what OpenSSL wants to say."""
        if octets := self._outgoing.read():
            self.send_octets(octets)

    def feed(self, octets: bytes) -> None:
        """Take what came over the wire. Raises ssl.SSLError."""
        self.on_wire += octets
        self._incoming.write(octets)

    def read(self) -> bytes:
        """Decrypt what came; return all plaintext since the beginning."""
        try:
            while data := self.tls.read(PIECE_BYTES):
                self.plaintext += data
            self.has_farewell = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_farewell = True
        return self.plaintext

    def say_farewell(self) -> None:
        """Send close_notify."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self.flush()


def drain(sock: socket.socket) -> bytes:
    """Return everything that is there now, b"" also at the end."""
    sock.setblocking(False)
    found = b""
    try:
        while data := sock.recv(PIECE_BYTES):
            found += data
    except BlockingIOError:
        pass
    return found


class TlsClient(Client):
    """A client that speaks TLS and insists on a farewell: an end without it is an error (ssl.SSLEOFError)."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None = None,
        *,
        name: str = HOST,
        session: ssl.SSLSession | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(address, timeout=timeout)
        try:
            self.sock = self.tls = (context or client_context()).wrap_socket(
                self.sock, server_hostname=name, suppress_ragged_eofs=False, session=session
            )
        except BaseException:  # border: whatever it was, the socket is closed
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self
