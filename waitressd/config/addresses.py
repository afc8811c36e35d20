"""The addresses a server listens on, as values. Nothing is resolved, looked up or opened here."""

import os
import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from waitressd.kinds import BadValueError, Kind, list_of, texts
from waitressd.wording import trailing_comment

DEFAULT_PORT: Final = 8080
MAX_PORT: Final = 65535
MAX_DESCRIPTOR: Final = 1 << 20
# sun_path has 108 bytes on Linux (one for the end) and 104 on the BSDs and macOS; what fits nowhere is refused here.
MAX_UNIX_PATH_BYTES: Final = 107

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_IPV6_LIKE: Final = re.compile(r"[0-9A-Fa-f:.]+(?:%.*)?")
_HOST_AND_PORT: Final = re.compile(r"[^:\[\]]+:[0-9]+")
_PORT: Final = re.compile(r"[0-9]{1,10}")
_DESCRIPTOR_NAME: Final = re.compile(r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]{0,254}")
_GRAMMAR: Final = "host:port, *:port, [::1]:port, unix:/path or fd:N"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or IP address and a port; an empty host is every interface, port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write the address as `listen` takes it."""
        host = self.host or "*"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def is_name(self) -> bool:
        """Whether the host is a name, which has to be resolved, and not an IP address or every interface."""
        return not (":" in self.host or self.host.replace(".", "").isdigit() or not self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        try:
            return ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        """Write the address as `listen` takes it."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class FdAddress:
    """A socket inherited from the parent: a descriptor number, or a name given by systemd (``FileDescriptorName=``)."""

    fd: int | str

    def __str__(self) -> str:
        """Write the address as `listen` takes it."""
        return f"fd:{self.fd}"


ListenAddress = TcpAddress | UnixAddress | FdAddress


def parse_host(text: str) -> str:
    """Check a host name or IP address without resolving it; ``*`` becomes the empty host.

    Raises BadValueError.
    """
    host = text.strip()
    if host == "*":
        return ""
    if "://" in host:
        raise BadValueError(f"leave out {host.partition('://')[0]}:// and any path")
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in inner or inner != host:
        return _parse_ip(inner, IPv6Address)
    if re.fullmatch(r"[0-9.]+", host):
        return _parse_ip(host, IPv4Address)
    if len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")):
        return host
    raise BadValueError(f"{host or 'an empty host'} is not a host name or an IP address")


def _parse_ip(text: str, version: type[IPv4Address | IPv6Address]) -> str:
    try:
        return str(version(text))
    except ValueError:
        raise BadValueError(f"{text} is not an {version.__name__.removesuffix('Address')} address") from None


def parse_port(text: str) -> int:
    """Read a port number, 0 to 65535. Raises BadValueError."""
    if _PORT.fullmatch(text) and int(text) <= MAX_PORT:
        return int(text)
    raise BadValueError(f"expected a port number, 0 to {MAX_PORT}, not {text or 'nothing'}")


def parse_unix_path(text: str) -> str:
    """Check the path of a Unix socket. Raises BadValueError.

    A relative path belongs to the folder of the start: the application may change the current one.
    """
    if not text or "\0" in text:
        raise BadValueError("a Unix socket needs a path, as in unix:/run/app.sock")
    # In a deep folder only the relative path is short enough; then it is right as long as the folder is not changed.
    absolute = os.path.abspath(text)  # noqa: PTH100 - pathlib keeps ".."
    for path in (absolute, text):
        if len(path.encode("utf-8", "surrogateescape")) <= MAX_UNIX_PATH_BYTES:
            return path
    raise BadValueError(
        f"the path is longer than {MAX_UNIX_PATH_BYTES} bytes, which is the most a Unix socket can have"
    )


def parse_listen(text: str) -> ListenAddress:
    """Read one item of `listen`. Raises BadValueError."""
    if text.startswith("unix:"):
        return UnixAddress(parse_unix_path(text[5:].removeprefix("//") if text.startswith("unix:///") else text[5:]))
    if text.startswith("fd:"):
        return _parse_fd(text[3:])
    if "://" in text:
        scheme = text.partition("://")[0].lower()
        hint = "; tls_certificate is what makes it https" if scheme == "https" else ""
        raise BadValueError(f"leave out {scheme}:// and any path{hint}; expected {_GRAMMAR}")
    if text.startswith("/"):
        raise BadValueError(f"write unix:{text} for a Unix socket")
    if text.isdigit():
        raise BadValueError(f"a number alone is no address; write *:{text} or localhost:{text}")
    return _parse_tcp(text)


def _parse_tcp(text: str) -> TcpAddress:
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadValueError
        return TcpAddress(_parse_ip(inner, IPv6Address), parse_port(rest[1:]) if rest else DEFAULT_PORT)
    if text.count(":") > 1:
        if not _IPV6_LIKE.fullmatch(text):
            raise BadValueError
        raise BadValueError(f"an IPv6 address needs brackets: write {_in_brackets(text)}")
    host, colon, port = text.partition(":")
    if colon and not host:
        raise BadValueError(f"write *{text} for every interface, or localhost{text} for this machine alone")
    return TcpAddress(parse_host(host), parse_port(port) if colon else DEFAULT_PORT)


def _in_brackets(text: str) -> str:
    """Guess where the address ends: ``::1:80`` is an address too, but its author means a port."""
    address, _, port = text.rpartition(":")
    try:
        IPv6Address(address)
    except ValueError:
        address, port = text, str(DEFAULT_PORT)
    return f"[{address}]:{port}"


def _parse_fd(text: str) -> FdAddress:
    if text.isdigit() and text.isascii():
        if int(text) > MAX_DESCRIPTOR:
            raise BadValueError(f"expected a descriptor number, 0 to {MAX_DESCRIPTOR}, or a name")
        return FdAddress(int(text))
    if not _DESCRIPTOR_NAME.fullmatch(text):
        raise BadValueError("expected a descriptor number or a name, as in fd:3 or fd:web")
    return FdAddress(text)


def listen_addresses() -> Kind[tuple[ListenAddress, ...]]:
    """Make the kind of `listen`: addresses of any sort, mixed."""
    return list_of(_GRAMMAR, parse_listen, "ADDRESS")


def host_name() -> Kind[str]:
    """Make the kind of `host`: one name or IP address, ``*`` for every interface."""

    def read(text: str) -> str:
        if "," in text or len(text.split()) > 1:
            raise BadValueError("host takes one name or address; several go into listen")
        if text != "*" and _HOST_AND_PORT.fullmatch(text):
            raise BadValueError(f"host takes no port; write listen = {text}")
        return parse_host(text)

    return replace(texts("a host name, an IP address or *", "HOST", read), show=lambda host: host or "*")


def host_names() -> Kind[tuple[str, ...]]:
    """Make the kind of `admin_hosts`: names of this server, as a Host field has them, without ports."""

    def read(text: str) -> str:
        if text == "*":
            raise BadValueError("every name would do; name those that the server has")
        if _HOST_AND_PORT.fullmatch(text):
            raise BadValueError("a name without a port")
        return parse_host(text).lower()

    return list_of("host names without ports", read, "HOST")


def server_host() -> Kind[str]:
    """Make the kind of `server_name`: the host of a URL."""

    def read(text: str) -> str:
        if text == "*":
            raise BadValueError
        if _HOST_AND_PORT.fullmatch(text):
            raise BadValueError("a name without a port: URLs get the port of the listener")
        return parse_host(text)

    return texts("a host name or an IP address", "HOST", read)


def unix_path() -> Kind[str]:
    """Make the kind of `unix_socket`: a path; empty or None means none."""

    def read(text: str) -> str:
        if trailing_comment(text):
            raise BadValueError
        return parse_unix_path(text.removeprefix("unix:"))

    return texts("the path of a Unix socket", "PATH", read, optional=True)
