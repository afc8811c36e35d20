"""Addresses as proxies write them: the nodes of X-Forwarded-For and Forwarded (RFC 7239, section 6).

Pure: text in, values out. Everything that is not an address, `unknown` or an obfuscated name is a ValueError whose text
repeats nothing of the input.
"""

import ipaddress
import re
from typing import Final, NamedTuple

# obfnode and obfport (RFC 7239, sections 6.3 and 6.2)
_OBFUSCATED: Final = re.compile(r"_[A-Za-z0-9._\-]++").fullmatch
_PORT: Final = re.compile(r"[0-9]{1,5}").fullmatch


class Node(NamedTuple):
    """One end of a hop: a normalised address and a port; either is '' if it was not said."""

    address: str
    port: str = ""


UNKNOWN: Final = Node("")


def parse_address(text: str) -> str:
    """Return an IP address in its usual form; IPv4 mapped into IPv6 becomes IPv4.

    Raises ValueError: it is no address.
    """
    try:
        # A zone identifier has a meaning on the machine that wrote it only.
        if "%" in text:
            raise ValueError
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("not an IP address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def parse_node(text: str) -> Node:
    """Read `node [":" node-port]`; an IPv6 address may have no brackets, as in X-Forwarded-For.

    Raises ValueError: it is no node.
    """
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in address or (rest and not rest.startswith(":")):
            raise ValueError("brackets that do not hold an IPv6 address")
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, None
    number = "" if port is None else _parse_node_port(port)
    if address.lower() == "unknown" or _OBFUSCATED(address):
        return UNKNOWN
    return Node(parse_address(address), number)


def parse_strict_node(text: str) -> Node:
    """Read a node of Forwarded, where IPv6 addresses always have brackets (RFC 7239, section 6).

    Raises ValueError: it is no node.
    """
    if text.count(":") > 1 and not text.startswith("["):
        raise ValueError("an IPv6 address without brackets")
    return parse_node(text)


def parse_port(text: str) -> str:
    """Return a TCP port, 1 to 65535, without leading zeros.

    Raises ValueError: it is none.
    """
    if not _PORT(text) or not 0 < int(text) <= 65535:
        raise ValueError("not a port number")
    return str(int(text))


def _parse_node_port(text: str) -> str:
    if _OBFUSCATED(text):
        return ""
    return parse_port(text)
