"""Who the client is: one model of trust, applied once to each environ before the application sees it.

Whether a peer is trusted follows from its address alone, so all requests of a connection are judged alike. What a
trusted proxy says is validated and rewritten; what others say of the client is removed and has no effect.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from waitressd.http.errors import HttpError
from waitressd.http.grammar import decode_percent, is_host
from waitressd.http.limits import MEMO_ENTRIES, MEMO_TEXT_LENGTH
from waitressd.peer import UNIX
from waitressd.ratelimit import RateLimiter
from waitressd.wsgi.forwarded import Element, format_forwarded, parse_forwarded
from waitressd.wsgi.forwardednode import UNKNOWN, Node, parse_node, parse_port, parse_strict_node

log = logging.getLogger("waitressd")

LOG_SECONDS: Final = 10.0  # between two lines of a kind that a client can cause
_LIMITER: Final = partial(RateLimiter, LOG_SECONDS)

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

# Fields that we understand, by the name a setting gives them.
FIELD_KEYS: Final = {
    "forwarded": "HTTP_FORWARDED",
    "x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    "x-forwarded-host": "HTTP_X_FORWARDED_HOST",
    "x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    "x-forwarded-port": "HTTP_X_FORWARDED_PORT",
    "x-forwarded-by": "HTTP_X_FORWARDED_BY",
    "x-forwarded-prefix": "HTTP_X_FORWARDED_PREFIX",
}
# Fields by which other servers are told the same things. They have no effect here, but applications read some of them
# on their own, so they are removed whoever sends them.
_OTHER_KEYS: Final = frozenset(
    {
        "HTTP_X_FORWARDED_SERVER",
        "HTTP_X_FORWARDED_SSL",
        "HTTP_X_FORWARDED_PROTOCOL",
        "HTTP_X_FORWARDED_SCHEME",
    }
)
# What else a proxy says (X-Forwarded-User, -Email, -Client-Cert, and what comes up next) is between it and
# the application, which believes it. So from a stranger no name of this kind is taken, and from a trusted proxy any is.
_PREFIX_OF_KEYS: Final = "HTTP_X_FORWARDED_"
_REAL_IP: Final = "HTTP_X_REAL_IP"
_KNOWN_KEYS: Final = frozenset(FIELD_KEYS.values()) | _OTHER_KEYS
# Keys that were found to be none of these.
_ORDINARY: Final[set[str]] = set()

# A request that a browser would upgrade is plain HTTP to a server that cannot.
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# 1*( "/" *pchar ) without ',', which separates what several proxies say (RFC 3986, section 3.3)
_PREFIX: Final = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})++)++/?+").fullmatch
_BY: Final = re.compile(r"[A-Za-z0-9._:\[\]%-]++").fullmatch
_CONTROL_OR_BACKSLASH: Final = re.compile(r"[\x00-\x1f\x7f\\]").search
_KNOWN_PEERS: Final = 1024


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class _Said:
    """What the trusted proxies say of a request; '' is nothing."""

    address: str = ""
    port: str = ""
    scheme: str = ""
    host: str = ""
    server_port: str = ""
    prefix: str = ""


class _Malformed(Exception):  # noqa: N818  # carries which field it is and why, and never leaves this module
    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Which peers may say who the client is, and in which fields. Immutable; any thread.

    `networks` and `unix` are the trusted peers; `everyone` overrides them. `hop_count` proxies are believed, counted
    from the right. None walks the chain from the right as long as each address in it is trusted itself; if everyone is
    trusted, it means 1. `headers` are keys of FIELD_KEYS: "forwarded" or any of the others.
    """

    networks: tuple[Network, ...] = ()
    unix: bool = False
    everyone: bool = False
    hop_count: int | None = 1
    headers: frozenset[str] = frozenset()
    clear_untrusted: bool = True
    log_untrusted: bool = False
    is_silent: bool = False
    """Nothing is logged: for a request that was judged, and logged, before."""
    _judged: dict[str, bool] = field(default_factory=dict, init=False, compare=False, repr=False)
    _cleared: RateLimiter = field(default_factory=_LIMITER, init=False, compare=False, repr=False)
    _refused: RateLimiter = field(default_factory=_LIMITER, init=False, compare=False, repr=False)

    def trusts(self, address: str) -> bool:
        """Tell whether a peer may speak for others; `address` is a peer's, or a REMOTE_ADDR."""
        known = self._judged.get(address)
        if known is None:
            known = self.everyone or self._holds(address)
            if len(self._judged) >= _KNOWN_PEERS:
                self._judged.clear()
            self._judged[address] = known
        return known

    def distrust(self, environ: dict[str, Any]) -> None:
        """Remove what a request says of its client, as its peer is not trusted."""
        self._clear(environ, [key for key in environ if is_proxy_key(key)], environ["REMOTE_ADDR"])

    def rewrite(self, environ: dict[str, Any]) -> None:
        """Make the environ say who the client is, as far as trusted proxies know, and remove what none of them said.

        Raises HttpError: 400, a trusted proxy sent something that cannot be understood; it was logged.
        """
        peer = environ["REMOTE_ADDR"]
        if not self.trusts(peer):
            self.distrust(environ)
            return
        try:
            said = self._read_forwarded(environ) if "forwarded" in self.headers else self._read_x_forwarded(environ)
        except _Malformed as error:
            left_out = None if self.is_silent else self._refused.admit()
            if left_out is not None:
                log.warning(
                    "Refused a request: the trusted proxy %s sent %s that cannot be understood: %s%s",
                    peer, error.name, error.why, _and_more(left_out),
                )  # fmt: skip
            raise HttpError(400, f"The proxy sent a field that cannot be understood: {error.name}.") from None
        believed = {FIELD_KEYS[name] for name in self.headers}
        self._clear(environ, [key for key in _KNOWN_KEYS - believed if key in environ], peer)
        _apply(said, environ)

    def _holds(self, text: str) -> bool:
        if text == UNIX.address:
            return self.unix
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        # A network may be written as a socket for both families writes its IPv4 peers.
        spellings = (address, IPv6Address(f"::ffff:{address}")) if isinstance(address, IPv4Address) else (address,)
        return any(spelling in network for network in self.networks for spelling in spellings)

    def _clear(self, environ: dict[str, Any], found: Sequence[str], peer: str) -> None:
        if not found:
            return
        if self.log_untrusted and not self.is_silent and (left_out := self._cleared.admit()) is not None:
            names = ", ".join(sorted(key.removeprefix("HTTP_").replace("_", "-").title() for key in found))
            log.warning(
                "%s is not trusted to send %s: %s%s",
                peer, names, "removed" if self.clear_untrusted else "ignored", _and_more(left_out),
            )  # fmt: skip
        if self.clear_untrusted:
            for key in found:
                del environ[key]

    # What trusted proxies say.

    def _read_x_forwarded(self, environ: dict[str, Any]) -> _Said:
        hops = 1 if self.hop_count is None else self.hop_count
        client = UNKNOWN
        texts = [entry.strip('"') for entry in self._list(environ, "x-forwarded-for")]
        if texts:
            nodes = self._walk(texts, parse_node, "X-Forwarded-For")
            client = _nearest_known(nodes)
            if self.hop_count is None:
                hops = len(nodes)
            environ[FIELD_KEYS["x-forwarded-for"]] = ", ".join(texts[-len(nodes) :])
        hosts = self._list(environ, "x-forwarded-host")[-hops:]
        if hosts:
            try:
                hosts = [_read_host(host) for host in hosts]
            except ValueError as error:
                raise _Malformed("X-Forwarded-Host", str(error)) from None
            environ[FIELD_KEYS["x-forwarded-host"]] = ", ".join(hosts)
        by = [entry.strip('"') for entry in self._list(environ, "x-forwarded-by")[-hops:]]
        if by:
            if not all(map(_BY, by)):
                raise _Malformed("X-Forwarded-By", "neither a name nor an address")
            environ[FIELD_KEYS["x-forwarded-by"]] = ", ".join(by)
        return _Said(
            client.address,
            client.port,
            scheme=self._single(environ, "x-forwarded-proto"),
            host=hosts[0] if hosts else "",
            server_port=self._single(environ, "x-forwarded-port"),
            prefix=self._single(environ, "x-forwarded-prefix"),
        )

    def _read_forwarded(self, environ: dict[str, Any]) -> _Said:
        try:
            elements = parse_forwarded(environ.get("HTTP_FORWARDED", ""))
        except ValueError as error:
            raise _Malformed("Forwarded", str(error)) from None
        if not elements:
            return _Said()
        nodes = self._walk([element.get("for", "unknown") for element in elements], parse_strict_node, "Forwarded")
        elements = elements[-len(nodes) :]
        said = _Said(*_nearest_known(nodes))
        for element in reversed(elements):  # the client's side comes last, so that its values win
            said = _read_element(element, said)
        environ["HTTP_FORWARDED"] = format_forwarded(elements)
        return said

    def _walk(self, texts: Sequence[str], parse: Callable[[str], Node], name: str) -> list[Node]:
        """Return the nodes of the hops that are believed, the client's first; what is left of them is not read."""
        nodes: list[Node] = []
        limit = self.hop_count or (1 if self.everyone else len(texts))
        for text in reversed(texts[-limit:]):
            try:
                nodes.append(parse(text))
            except ValueError as error:
                raise _Malformed(name, str(error)) from None
            if self.hop_count is None and not self._is_own(nodes[-1]):
                break
        return nodes[::-1]

    def _is_own(self, node: Node) -> bool:
        return bool(node.address) and self._holds(node.address)

    def _list(self, environ: dict[str, Any], name: str) -> list[str]:
        """Return the members of a trusted field, without empty ones (RFC 9110, section 5.6.1)."""
        if name not in self.headers:
            return []
        value: str = environ.get(FIELD_KEYS[name], "")
        return [member for member in (part.strip(" \t") for part in value.split(",")) if member]

    def _single(self, environ: dict[str, Any], name: str) -> str:
        """Return what a field says that has one value; several proxies may repeat it but not contradict each other."""
        members = self._list(environ, name)
        if not members:
            return ""
        try:
            values = {_SINGLE_READERS[name](member) for member in members}
        except ValueError as error:
            raise _Malformed(name.title(), str(error)) from None
        if len(values) > 1:
            raise _Malformed(name.title(), "values that contradict each other")
        environ[FIELD_KEYS[name]] = members[0]
        return values.pop()


def is_proxy_key(key: str) -> bool:
    """Whether a key of an environ is a field by which proxies speak of clients; a stranger's are removed."""
    return key.startswith(_PREFIX_OF_KEYS) or key in {"HTTP_FORWARDED", _REAL_IP}


def has_proxy_keys(fields: Mapping[str, str]) -> bool:
    """Whether any of the keys is a proxy key. Any thread."""
    # Asked for nearly every request: a set of names that were looked at before costs a tenth of looking at each again.
    return not _ORDINARY.issuperset(fields) and _look_closer(fields)


def _look_closer(fields: Mapping[str, str]) -> bool:
    found = False
    for key in fields:
        if is_proxy_key(key):
            found = True
        elif len(key) <= MEMO_TEXT_LENGTH:
            if len(_ORDINARY) >= MEMO_ENTRIES:
                _ORDINARY.clear()
            _ORDINARY.add(key)
    return found


def _and_more(left_out: int) -> str:
    return f" ({left_out} more like this since the last line)" if left_out else ""


def _nearest_known(nodes: Sequence[Node]) -> Node:
    """Return the client; if it is hidden, the believed hop nearest to it that has an address."""
    return next((node for node in nodes if node.address), UNKNOWN)


def _read_element(element: Element, said: _Said) -> _Said:
    """Add what one hop says in Forwarded; what it leaves out stays as it is.

    Raises _Malformed: a value is not what RFC 7239, section 5 wants it to be.
    """
    try:
        if "by" in element:
            parse_strict_node(element["by"])
        if "proto" in element:
            said = replace(said, scheme=_read_scheme(element["proto"]))
        if element.get("host"):
            said = replace(said, host=_read_host(element["host"]))
    except ValueError as error:
        raise _Malformed("Forwarded", str(error)) from None
    return said


def _read_host(text: str) -> str:
    if not is_host(text) or not split_host(text)[0]:
        raise ValueError("not a host")
    return text


def _read_scheme(text: str) -> str:
    scheme = _SCHEMES.get(text.lower())
    if scheme is None:
        raise ValueError("a scheme other than http and https")
    return scheme


def _read_prefix(text: str) -> str:
    if text == "/":
        return ""
    if not _PREFIX(text):
        raise ValueError("not a path prefix")
    prefix = decode_percent(text.rstrip("/"))
    # Every link will begin with what is decoded here: it must not lead to another host or to a parent folder.
    if (
        "//" in prefix
        or prefix.endswith("/")
        or _CONTROL_OR_BACKSLASH(prefix)
        or not {".", ".."}.isdisjoint(prefix.split("/"))
    ):
        raise ValueError("a path prefix that leads to another host or to a parent folder")
    return prefix


_SINGLE_READERS: Final[dict[str, Callable[[str], str]]] = {
    "x-forwarded-proto": _read_scheme,
    "x-forwarded-port": parse_port,
    "x-forwarded-prefix": _read_prefix,
}


def split_host(host: str) -> tuple[str, str]:
    """Split a valid host into name and port, '' if it has none; IPv6 keeps its brackets.

    Raises ValueError: the port is not one that a connection can have.
    """
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host, ""
    return name, parse_port(port) if port else ""


def _apply(said: _Said, environ: dict[str, Any]) -> None:
    """Set every key that says who the client is or how it came, so that they agree with each other."""
    if said.address:
        environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = said.address
        if said.port:
            environ["REMOTE_PORT"] = said.port
        else:
            environ.pop("REMOTE_PORT", None)  # beside the client's address, the proxy's own port would be wrong
    if said.prefix:
        environ["SCRIPT_NAME"] = said.prefix + environ["SCRIPT_NAME"]
    if not (said.scheme or said.host or said.server_port):
        return
    scheme = said.scheme or environ["wsgi.url_scheme"]
    default = DEFAULT_PORTS.get(scheme, "80")
    try:
        name, host_port = split_host(said.host or environ.get("HTTP_HOST", ""))
    except ValueError:
        raise HttpError(400, "The port of Host is not a port number.") from None
    port = host_port or said.server_port or default
    environ["wsgi.url_scheme"] = scheme
    if scheme != "https":
        environ.pop("HTTPS", None)  # of the proxy's own connection to us
    environ["SERVER_PORT"] = port
    if said.host:
        environ["SERVER_NAME"] = name
    if name and (said.host or said.server_port):
        environ["HTTP_HOST"] = name if port == default else f"{name}:{port}"
