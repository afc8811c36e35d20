"""A wire that encrypts: a TLS connection with the few methods of a socket by which bytes move.

A non-blocking `SSLSocket` does the work. It is held, not inherited, and of it only `do_handshake`, `read`, `write` and
`unwrap` are called, for its other methods send in clear once TLS has ended: `shutdown` of an SSLSocket drops the
encryption, and `os.sendfile` never knew of it. This class has no method that sends in clear at all.

Two threads inside one SSL object end the process. Whoever owns the connection reads and writes; what another thread
may call (`shutdown`, `setsockopt`) touches the socket below alone. Imported only where TLS is configured: `ssl` costs
15 ms and 2 MiB.
"""

import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, cast

from waitressd.net.poller import READ, WRITE
from waitressd.net.wire import PartialRecordError
from waitressd.peer import ClientCertificate, Tls

RECORD_BYTES: Final = 16 * 1024  # of plaintext in one record at most (RFC 8446, 5.1)
MORE_BYTES: Final = 4 * 1024  # of a record that another one probably follows: small requests end with a smaller one
SEND_BYTES: Final = 1 << 20  # taken by one call
# Given by one call at most: a millisecond goes into a megabyte, and all others wait meanwhile. With uploads of 1 MiB on
# four connections a small request beside them took two thirds of the time at its slowest (p95), at the same CPU time.
READ_BYTES: Final = 128 * 1024
SILENT_READS: Final = 17_000  # in a row: the largest record byte by byte, and an end to records without plaintext

_WANTS: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Of the socket below: the methods of SSLSocket with these names do something else.
_recv = socket.socket.recv
_shutdown = socket.socket.shutdown


class Credentials(Protocol):
    """What a server shows to its clients. Any thread; a renewal changes `context`, never what a context holds."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake: a server's, as `prepare` leaves it, which no one changes any more.

        Its SNI callback leaves the name that the client asks for in `server_hostname` of the socket, if it is one.
        """

    @property
    def host(self) -> str:
        """The first name of the first certificate, "" without one; for clients that do not say whom they look for."""


class HandshakeError(ConnectionAbortedError):
    """The handshake has failed; `result` is one of those that are counted, the text says why."""

    def __init__(self, result: str, text: str) -> None:
        super().__init__(errno.ECONNABORTED, text)
        self.result = result


def prepare(context: ssl.SSLContext) -> None:
    """Set what TlsStream relies on, and what HTTP over TLS wants, in a new context of a server."""
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # All suites are good ones, so the client may choose: a phone without AES in its processor takes ChaCha20.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    # HTTP says where a message ends. Without the option a client that only shuts its side could not be answered.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    context.num_tickets = 1  # each one costs an encryption of the whole session
    context.set_alpn_protocols(["http/1.1"])


class TlsStream:
    """One TLS connection as a wire; see the module for threads.

    A byte counts as taken when its record is with the kernel, so buffers need not know of TLS. What the kernel refuses
    is a whole record, encrypted already: OpenSSL wants the same bytes again, however the caller cuts its data next
    time. So a copy is kept and repeated first; when it is through, its length is *owed*: as many bytes of the caller
    are acknowledged without being encrypted once more.
    """

    __slots__ = ("_failure", "_owed_bytes", "_refused", "_silent_reads", "_socket", "_tls")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._tls: ssl.SSLSocket | None = None  # what encrypts: from the handshake to the end of our side
        self._refused = b""  # the plaintext of a record that the kernel did not take as a whole
        self._owed_bytes = 0  # of `_refused`, once it is sent
        self._silent_reads = 0  # in a row that moved bytes and gave nothing
        self._failure: OSError | None = None  # what the next read has to say

    # -- the handshake: the holder of the role

    def wrap(self, context: ssl.SSLContext) -> None:
        """Make the connection a TLS one; the socket given to the constructor is of no use any more. Raises OSError."""
        try:
            self._socket = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        except ValueError as error:  # the client has left, and sent something before
            raise ConnectionAbortedError(errno.ECONNABORTED, str(error)) from None

    def shake_hands(self) -> int:
        """Take one step; return 0 when the handshake is complete, else the event to wait for.

        Raises HandshakeError, and OSError when the client has left.
        """
        sock = cast("ssl.SSLSocket", self._socket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            if self._has_bytes():
                raise BlockingIOError(errno.EAGAIN, "the handshake does not take what is here") from None
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise ConnectionAbortedError(errno.ECONNABORTED, "ended in its handshake") from None
        except ssl.SSLError as error:
            raise HandshakeError(_result_of(error), _describe(error)) from None
        except ValueError as error:  # the client left before the handshake began
            raise ConnectionAbortedError(errno.ECONNABORTED, str(error)) from None
        self._tls = sock
        return 0

    def describe(self) -> Tls:
        """Return what is known of the connection once the handshake is complete."""
        sock = self._tls
        assert sock is not None
        name, _, bits = sock.cipher() or ("", "", 0)
        return Tls(
            version=sock.version() or "",
            cipher=name,
            key_bits=bits,
            sni=sock.server_hostname or "",
            is_resumed=bool(sock.session_reused),
            asks_certificate=sock.context.verify_mode is not ssl.CERT_NONE,
            client=_client_certificate(sock),
        )

    # -- the wire: whoever owns the connection

    def recv(self, count: int) -> bytes:
        """Return the plaintext of a record, or of some up to `count` bytes; b"" when the client's side has ended.

        Never more than READ_BYTES, so that a large body holds nobody up. Never less than a record, whatever `count` is:
        no poller tells of what OpenSSL keeps. After the end of our side it returns what comes as it is, to be dropped.
        Raises PartialRecordError beside what sockets raise.
        """
        tls = self._tls
        if tls is None:
            if self._failure is not None:
                raise self._failure
            return _recv(self._socket, count)
        try:
            data = tls.read(RECORD_BYTES)
        except _WANTS:
            raise self._nothing() from None
        except OSError:
            self._tls = None  # OpenSSL takes no more of a connection that has failed
            raise
        self._silent_reads = 0
        return self._read_on(tls, data, count) if len(data) >= MORE_BYTES else data

    def _read_on(self, tls: ssl.SSLSocket, data: bytes, count: int) -> bytes:
        pieces, size = [data], len(data)
        limit = min(count, READ_BYTES)
        try:
            while len(data) >= MORE_BYTES and size + RECORD_BYTES <= limit:
                data = tls.read(RECORD_BYTES)
                pieces.append(data)
                size += len(data)
        except _WANTS:
            pass
        except OSError as error:  # what came before is good
            self._failure, self._tls = error, None
        return b"".join(pieces) if len(pieces) > 1 else data

    def _nothing(self) -> OSError:
        """Return what to raise when bytes came, or did not, and gave no plaintext."""
        self._silent_reads += 1
        if self._silent_reads > SILENT_READS:
            return ConnectionAbortedError(errno.ECONNABORTED, "sends records without data")
        if self._has_bytes():
            return BlockingIOError(errno.EAGAIN, "TLS does not take what is here")
        return PartialRecordError(errno.EAGAIN, "a record is not complete")

    def _has_bytes(self) -> bool:
        """Whether the kernel has more, so that an event would come again at once."""
        try:
            return bool(_recv(self._socket, 1, socket.MSG_PEEK))
        except OSError:
            return False

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send from the front; return the bytes taken. Raises OSError as sockets do."""
        tls = self._tls
        if tls is None or self._refused or self._owed_bytes or not 0 < len(data) <= RECORD_BYTES:
            return self._send((data,))
        try:
            return tls.write(data)
        except _WANTS:
            self._refused = bytes(data)
            raise BlockingIOError(errno.EAGAIN, "the kernel has no room for a record") from None

    def sendmsg(self, parts: Sequence[bytes | memoryview]) -> int:
        """`send` of several pieces in order; those that fit into one record become one."""
        if sum(map(len, parts)) <= RECORD_BYTES:
            return self.send(b"".join(parts))
        return self._send(parts)

    def _send(self, parts: Sequence[bytes | memoryview]) -> int:
        """`send` of more than a record, or when something of the last call is left."""
        if self._tls is None:
            raise BrokenPipeError(errno.EPIPE, "TLS has ended")
        if self._refused:
            self._write(self._refused)
            self._owed_bytes, self._refused = len(self._refused), b""
        taken = min(self._owed_bytes, sum(map(len, parts)))
        self._owed_bytes -= taken
        for record in _records(parts, taken):
            try:
                self._write(record)
            except BlockingIOError:
                self._refused = bytes(record)
                if taken:
                    return taken
                raise
            taken += len(record)
            if taken >= SEND_BYTES:
                break
        return taken

    def _write(self, record: bytes | memoryview) -> None:
        tls = self._tls
        if tls is None:  # ended by another thread meanwhile
            raise BrokenPipeError(errno.EPIPE, "TLS has ended")
        try:
            tls.write(record)
        except _WANTS:
            raise BlockingIOError(errno.EAGAIN, "the kernel has no room for a record") from None

    def farewell(self) -> bool:
        """Tell the client that everything was said (close_notify); nothing can be sent afterwards.

        Never called for a response that was cut: this is how the client tells the two apart. False: the kernel has no
        room for it; call it again when there is some.
        """
        tls = self._tls
        if tls is None:
            return True
        try:
            tls.unwrap()
        except ssl.SSLWantWriteError:
            return False
        except (
            OSError,
            ValueError,
        ):  # it wants to read the client's own, for which nobody waits; or the client is gone
            pass
        self._tls = None
        return True

    def close(self) -> None:
        """Give the descriptor back; says nothing to the client."""
        self._tls = None
        self._socket.close()

    # -- any thread

    def fileno(self) -> int:
        """Return the descriptor, for those that watch it or ask about it."""
        return self._socket.fileno()

    def shutdown(self, how: int) -> None:
        """End the connection below TLS, without a word. Whatever `how` is, nothing is sent any more."""
        self._tls = None
        _shutdown(self._socket, how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket."""
        self._socket.setsockopt(level, option, value)


def _records(parts: Sequence[bytes | memoryview], skipped_bytes: int) -> Iterator[bytes | memoryview]:
    """Cut `parts` into pieces for a record each, joining small ones, from behind the first `skipped_bytes`."""
    gathered: list[memoryview] = []
    size = 0
    for part in parts:
        view = memoryview(part)
        skipped = min(skipped_bytes, len(view))
        skipped_bytes -= skipped
        view = view[skipped:]
        while size + len(view) >= RECORD_BYTES:
            missing = RECORD_BYTES - size
            yield b"".join((*gathered, view[:missing])) if gathered else view[:missing]
            view = view[missing:]
            gathered, size = [], 0
        if len(view):
            gathered.append(view)
            size += len(view)
    if gathered:
        yield b"".join(gathered)


# -- what OpenSSL says

_RESULTS: Final = {
    "UNSUPPORTED_PROTOCOL": "no_version",
    "VERSION_TOO_LOW": "no_version",
    "WRONG_SSL_VERSION": "no_version",
    "NO_SHARED_CIPHER": "no_cipher",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no_cipher",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "client_certificate",
    "CERTIFICATE_VERIFY_FAILED": "client_certificate",
}
_SENTENCES: Final = {
    "no_version": "it speaks no version of TLS that tls_min_version allows",
    "no_cipher": "it has no cipher suite in common with the server",
}


def _result_of(error: ssl.SSLError) -> str:
    return _RESULTS.get(error.reason or "", "error")


def _describe(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was refused: {error.verify_message}"
    sentence = _SENTENCES.get(_result_of(error))
    return sentence or (error.reason or str(error)).replace("_", " ").lower()


_RelativeName = tuple[tuple[str, str], ...]
_Name = tuple[_RelativeName, ...]  # as the ssl module has it

_SHORT: Final = {  # RFC 4514, 3
    "commonName": "CN", "localityName": "L", "stateOrProvinceName": "ST", "organizationName": "O", "countryName": "C",
    "organizationalUnitName": "OU", "streetAddress": "STREET", "domainComponent": "DC", "userId": "UID",
}  # fmt: skip


def _client_certificate(sock: ssl.SSLSocket) -> ClientCertificate | None:
    found: dict[str, Any] | None = sock.getpeercert()
    data = sock.getpeercert(binary_form=True)
    if not found or data is None:
        return None
    subject: _Name = found.get("subject", ())
    names: _RelativeName = found.get("subjectAltName", ())
    return ClientCertificate(
        subject=_distinguished_name(subject),
        issuer=_distinguished_name(found.get("issuer", ())),
        common_name=next((value for relative in subject for key, value in relative if key == "commonName"), ""),
        serial=str(found.get("serialNumber", "")),
        not_before=str(found.get("notBefore", "")),
        not_after=str(found.get("notAfter", "")),
        dns_names=tuple(value for kind, value in names if kind == "DNS"),
        email_addresses=tuple(value for kind, value in names if kind == "email"),
        pem=ssl.DER_cert_to_PEM_cert(data),
    )


def _distinguished_name(name: _Name) -> str:
    """Write a name as RFC 4514 does: the most specific part first."""
    return ",".join(
        "+".join(f"{_SHORT.get(key, key)}={_escape(value)}" for key, value in relative) for relative in reversed(name)
    )


def _escape(value: str) -> str:
    """Escape what would end a value, or would be no text in a log (RFC 4514, 2.4)."""
    escaped = "".join(
        f"\\{ord(char):02X}" if ord(char) < 0x20 or char == "\x7f" else "\\" + char if char in '"+,;<>\\' else char
        for char in value
    )
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if escaped.endswith(" ") and len(value) > 1 else escaped
