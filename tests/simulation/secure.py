"""A model of TLS: records that come and go in parts, wants to read and to write, and the rules that OpenSSL enforces.

Whoever breaks one of its rules is a violation: two threads inside one object, a refused write that is repeated with
other bytes, a shutdown that drops the encryption, octets on the wire that no record holds.
"""

import ssl
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.kernel import SimSocket
from tests.simulation.scheduler import SimulationError

if TYPE_CHECKING:
    import random

HANDSHAKE: Final = 0x16
DATA: Final = 0x17
FAREWELL: Final = 0x15
HEAD_BYTES: Final = 3
RECORD_BYTES: Final = 16 * 1024
HELLO: Final = b"hello " * 3
REPLY: Final = b"reply " * 5
FINISHED: Final = b"finished"
_KEY: Final = bytes(255 - octet for octet in range(256))  # so that plaintext is never seen on the wire


def record(kind: int, plaintext: bytes = b"") -> bytes:
    """Return a record."""
    return bytes((kind, len(plaintext) >> 8, len(plaintext) & 0xFF)) + plaintext.translate(_KEY)


def take_record(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take the first record out of a buffer; None when it is not complete. Raises SimulationError: this is none."""
    if buffer and buffer[0] not in (HANDSHAKE, DATA, FAREWELL):
        raise SimulationError(f"in clear: {bytes(buffer[:80])!r}")
    end = HEAD_BYTES + (buffer[1] << 8 | buffer[2]) if len(buffer) >= HEAD_BYTES else 0
    if not end or len(buffer) < end:
        return None
    kind, plaintext = buffer[0], bytes(buffer[HEAD_BYTES:end]).translate(_KEY)
    del buffer[:end]
    return kind, plaintext


class SimContext:
    """Stands for an SSLContext."""

    verify_mode = ssl.CERT_NONE

    def wrap_socket(self, sock: SimSocket, *, server_side: bool, do_handshake_on_connect: bool) -> "SimTlsSocket":
        """Return the socket with TLS on it."""
        assert server_side
        assert not do_handshake_on_connect
        return SimTlsSocket(sock, self)


class SimTlsSocket:
    """Stands for an SSLSocket."""

    session_reused = False
    server_hostname = "sim"

    def __init__(self, raw: SimSocket, context: SimContext) -> None:
        self.raw = raw
        self.context = context
        self._inside: object | None = None  # the actor that is inside
        self._in = bytearray()
        self._out = bytearray()
        self._pending = b""  # plaintext that was not asked for
        self._refused: bytes | None = None
        self._heard = 0  # messages of the handshake
        self._has_ended = False
        raw.is_sealed = True

    # -- what the server calls

    def do_handshake(self) -> None:
        """Take a step."""
        with _Inside(self):
            while self._heard < 2:
                self._flush()
                kind, _ = self._read_record() or (0, b"")
                if kind != HANDSHAKE:
                    raise ssl.SSLEOFError
                self._heard += 1
                if self._heard == 1:
                    self._out += record(HANDSHAKE, REPLY)
            self._flush()

    def read(self, count: int) -> bytes:
        """Return plaintext of one record."""
        with _Inside(self):
            if not self._pending:
                found = self._read_record()
                if found is None or found[0] == FAREWELL:
                    return b""
                self._pending = found[1]
            data, self._pending = self._pending[:count], self._pending[count:]
            return data

    def write(self, data: "bytes | memoryview") -> int:
        """Send a record as a whole, or refuse it."""
        self.raw.check_owner()
        with _Inside(self):
            scheduler = self.raw.kernel.scheduler
            if self._has_ended:
                raise ssl.SSLError(1, "protocol is shutdown")
            if not 0 < len(data) <= RECORD_BYTES:
                scheduler.violate(f"a record of {len(data)} bytes")
            if self._refused is None:
                self._out += record(DATA, bytes(data))
            elif self._refused != bytes(data):
                scheduler.violate("bad write retry: a refused record is repeated with other bytes")
            self._refused = bytes(data)
            self._flush()
            self._refused = None
            return len(data)

    def unwrap(self) -> None:
        """Say farewell; the client's own is never waited for."""
        with _Inside(self):
            if self._refused is not None:
                self.raw.kernel.scheduler.violate("a farewell in the middle of a record")
            if not self._has_ended:
                self._has_ended = True
                self._out += record(FAREWELL)
            self._flush()
            raise ssl.SSLWantReadError

    def shutdown(self, _how: int) -> None:
        """What drops the encryption."""
        self.raw.kernel.scheduler.violate("the encryption was dropped by a shutdown")

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.raw.fileno()

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """Set it."""
        self.raw.setsockopt(level, option, value)

    def close(self) -> None:
        """Give the descriptor back."""
        self.raw.close()

    @staticmethod
    def cipher() -> tuple[str, str, int]:
        """Return names."""
        return "SIM", "SIM", 0

    @staticmethod
    def version() -> str:
        """Return a name."""
        return "SIMv1"

    @staticmethod
    def getpeercert(*, binary_form: bool = False) -> None:
        """There is none."""

    # -- inside

    def _read_record(self) -> tuple[int, bytes] | None:
        """Return the next record, None at the end. Raises SSLWantReadError."""
        while (found := take_record(self._in)) is None:
            length = self._in[1] << 8 | self._in[2] if len(self._in) >= HEAD_BYTES else 0
            missing = HEAD_BYTES + length - len(self._in)  # OpenSSL does not read ahead
            try:
                data = self.raw.recv(missing)
            except BlockingIOError:
                raise ssl.SSLWantReadError from None
            if not data:
                return None
            self._in += data
        return found

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self.raw.send_sealed(bytes(self._out))
            except BlockingIOError:
                raise ssl.SSLWantWriteError from None
            del self._out[:sent]


class _Inside:
    """One thread at a time."""

    def __init__(self, sock: SimTlsSocket) -> None:
        self._sock = sock

    def __enter__(self) -> None:
        scheduler = self._sock.raw.kernel.scheduler
        if self._sock._inside is not None:
            scheduler.violate("two threads are inside one TLS object")
        self._sock._inside = scheduler.current or scheduler

    def __exit__(self, *_exc: object) -> None:
        self._sock._inside = None


def raw_recv(sock: Any, count: int, flags: int = 0) -> bytes:
    """What `socket.socket.recv` is to an SSLSocket."""
    raw = getattr(sock, "raw", sock)
    # What a client says at its end lies there in most cases when the server drops what is left: a kernel that denies
    # it for once would make a reset of every tenth good end, and no real one does.
    raw.expect(count)
    data: bytes = raw.recv(count, flags)
    return data


def raw_shutdown(sock: Any, how: int) -> None:
    """What `socket.socket.shutdown` is to an SSLSocket."""
    getattr(sock, "raw", sock).shutdown(how)


def socket_below(wire: Any) -> SimSocket:
    """Return the socket of a wire, below TLS if there is some."""
    found: SimSocket = getattr(wire, "_socket", wire)
    return getattr(found, "raw", found)


class ClientSide:
    """The client's end of a TLS connection."""

    def __init__(self, rng: "random.Random") -> None:
        self._record_bytes = rng.choice((1, 100, RECORD_BYTES))
        self._in = bytearray()
        self.is_shaken = False
        self.has_farewell = False

    def seal(self, data: bytes) -> bytes:
        """Return records."""
        step = max(self._record_bytes, len(data) // 50)
        return b"".join(record(DATA, data[start : start + step]) for start in range(0, len(data), step))

    def open(self, octets: bytes) -> bytes:
        """Return the plaintext that is complete. Raises SimulationError."""
        self._in += octets
        plaintext = b""
        while (found := take_record(self._in)) is not None:
            kind, data = found
            if self.has_farewell:
                raise SimulationError("something follows a farewell")
            if kind == HANDSHAKE:
                self.is_shaken = True
            elif kind == FAREWELL:
                self.has_farewell = True
            elif not self.is_shaken:
                raise SimulationError("data before the handshake")
            plaintext += data if kind == DATA else b""
        return plaintext
