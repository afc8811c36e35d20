"""Which peers are trusted proxies: addresses, networks, ``localhost``, ``unix:`` or ``*``, as values."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from waitressd.kinds import BadValueError, Kind, integer, list_of

EVERYONE: Final = "*"
LOCALHOST: Final = "localhost"
UNIX: Final = "unix:"
AUTO: Final = "auto"
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_WORDS: Final = "addresses, networks (10.0.0.0/8), localhost, unix: or *"


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """The peers whose proxy header fields are believed."""

    everyone: bool
    unix: bool
    """Peers of a Unix socket, which have no address."""
    networks: tuple[IPv4Network | IPv6Network, ...]


def parse_peer(text: str) -> str:
    """Check one item of `trusted_proxy` and write it in one spelling. Raises BadValueError."""
    word = text.strip().lower()
    if word in (EVERYONE, LOCALHOST, UNIX):
        return word
    if word == "unix":
        return UNIX
    bare = word[1:-1] if word.startswith("[") and word.endswith("]") else word
    try:
        network = ip_network(bare)
    except ValueError:
        raise BadValueError(_complaint(bare)) from None
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _complaint(word: str) -> str:
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        return f"expected {_WORDS}"
    return f"the address has bits set beyond /{meant.prefixlen}; did you mean {meant}?"


def trusted_peers(words: tuple[str, ...]) -> TrustedPeers:
    """Turn the checked words of `trusted_proxy` into the record that the proxy rules use.

    ``localhost`` is the loopback networks and, as in waitress, the peers of a Unix socket.
    """
    texts = [word for word in words if word not in (EVERYONE, LOCALHOST, UNIX)]
    if LOCALHOST in words:
        texts.extend(_LOOPBACK)
    return TrustedPeers(
        everyone=EVERYONE in words,
        unix=EVERYONE in words or UNIX in words or LOCALHOST in words,
        networks=tuple(ip_network(text) for text in texts),
    )


def hop_count(most: int) -> Kind[int | None]:
    """Make the kind of `trusted_proxy_count`: 1 to `most`; None is the word ``auto``."""
    number = integer(1, most)

    def parse(value: object) -> int | None:
        if isinstance(value, str) and value.strip().lower() == AUTO:
            return None
        return number.parse(value)

    return Kind(f"{number.words}, or {AUTO}", parse, lambda count: AUTO if count is None else str(count), "N|auto")


def peers() -> Kind[tuple[str, ...]]:
    """Make the kind of `trusted_proxy`."""
    return list_of(_WORDS, parse_peer, "PEER")
