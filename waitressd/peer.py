"""Who is at the other end of a connection, as values: an address is taken apart once, when the client is accepted.

Knows what socket addresses look like and what a PROXY header says; knows no socket, and does not know whom to trust.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from waitressd.http.proxyprotocol import ProxyHeader


# Made for each connection, and so are origins: a tuple is made in a quarter of the time of a frozen dataclass.
class Peer(NamedTuple):
    """One end of a connection. A Unix socket has no port, and a name for an address. Any thread."""

    address: str
    """An IP address as CGI's REMOTE_ADDR has it, or "localhost" for a Unix socket."""
    port: int | None = None

    def __str__(self) -> str:
        """Write it as people do: "127.0.0.1:5555", "[::1]:5555", "unix:"."""
        if self.port is None:
            return "unix:"  # a client may have bound any path, so that is not repeated
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


UNIX: Final = Peer("localhost")
"""Every client of a Unix socket."""


def peer_of(address: object) -> Peer:
    """Return the peer that an address of the socket module means."""
    if not isinstance(address, tuple):
        return UNIX
    host, port = address[:2]
    # An IPv4 client of a socket that serves both families.
    return Peer(host.removeprefix("::ffff:") if "." in host else host, port)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate by which a client has proved who it is, as text. Any thread."""

    subject: str
    """Whose it is (RFC 4514: the most specific part first, escaped)."""
    issuer: str
    """Who signed it, in the same form."""
    common_name: str
    """The first CN of the subject, "" without one."""
    serial: str
    """Its number in hexadecimal digits."""
    not_before: str
    """When it begins to be valid, as OpenSSL writes it: "Nov  6 08:49:37 2026 GMT"."""
    not_after: str
    """When it ends."""
    dns_names: tuple[str, ...]
    """The names of hosts among its alternative names."""
    email_addresses: tuple[str, ...]
    """The addresses of people among them."""
    pem: str
    """The whole of it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted that ends here. Any thread."""

    version: str
    """As OpenSSL names it: "TLSv1.3"."""
    cipher: str
    """The suite, as OpenSSL names it."""
    key_bits: int
    """How long the key of the cipher is."""
    sni: str = ""
    """The name that the client asked for, "" if it did not or if it is none."""
    is_resumed: bool = False
    """Whether the client came back with a session of an earlier connection."""
    asks_certificate: bool = False
    """Whether clients are asked for a certificate at all."""
    client: ClientCertificate | None = None
    """The client's, if it has shown one; it is valid then."""


class Origin(NamedTuple):
    """Where the requests of one connection come from. Any thread."""

    peer: Peer
    """The other end of the socket; behind a balancer that speaks the PROXY protocol, the client that it names."""
    listener: str = ""
    """The address that accepted the connection: "127.0.0.1:8080" or "unix:/run/app.sock"."""
    proxied: ProxyHeader | None = None
    """What a balancer said of the connection by the PROXY protocol."""
    tls: Tls | None = None
    """How the connection is encrypted; None on a listener that speaks plain HTTP."""

    @property
    def is_peer_known(self) -> bool:
        """Whether the peer has an address by which it can be trusted or not; a balancer may hide or not know it."""
        return self.proxied is None or self.proxied.knows_source

    def behind(self, header: ProxyHeader) -> "Origin":
        """Return the origin of the connection that a balancer passes on with this header."""
        source = header.source
        if source is None:
            return Origin(self.peer, self.listener, header)
        return Origin(UNIX if source.port is None else Peer(source.address, source.port), self.listener, header)

    def encrypted(self, tls: Tls) -> "Origin":
        """Return the same, for a connection that TLS encrypts."""
        return Origin(self.peer, self.listener, self.proxied, tls)
