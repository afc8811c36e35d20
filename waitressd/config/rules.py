"""What settings say about each other: combinations that cannot work."""

from collections.abc import Collection, Iterator
from typing import Final

from waitressd.config.addresses import TcpAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.fleetrules import fleet_conflicts
from waitressd.config.insightrules import insight_conflicts
from waitressd.config.networks import EVERYONE
from waitressd.config.reading import Complaint
from waitressd.config.tlsrules import tls_conflicts

# Settings that each say where to listen; those of two different groups contradict each other.
_PLACES: Final = (("listen",), ("host", "port"), ("unix_socket",), ("sockets",))


def exclusions(given: Collection[str]) -> Iterator[Complaint]:
    """Find settings that exclude each other by being there at all."""
    present = [[name for name in place if name in given] for place in _PLACES]
    first, *others = [names for names in present if names] or [[]]
    for names in others:
        for name in names:
            text = f"cannot go with {' and '.join(first)}; name every address in listen (host:port, unix:/path)"
            yield Complaint(name, text)


def conflicts(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    """Find every combination of values that cannot work."""
    yield from _bad_families(adjustments)
    yield from _bad_proxies(adjustments)
    yield from tls_conflicts(adjustments)
    yield from insight_conflicts(adjustments)
    yield from fleet_conflicts(adjustments)
    given = adjustments.origins
    if "listen" in given and not adjustments.listen:
        yield Complaint("listen", "names no address; expected host:port, *:port, [::1]:port or unix:/path")
    line, head = adjustments.max_request_line_size, adjustments.max_request_header_size
    if line > head and "max_request_line_size" in given:
        text = f"is more than max_request_header_size ({head} bytes), and a request head includes its line"
        yield Complaint("max_request_line_size", text, ("max_request_header_size",))


def _bad_families(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    if not adjustments.ipv4 and not adjustments.ipv6:
        yield Complaint("ipv6", "ipv4 and ipv6 are both off, so that no address is left to listen on", ("ipv4",))
        return
    name = "listen" if adjustments.listen else "host"
    places = [(name, listener) for listener in adjustments.listeners]
    places += [("redirect_listen", listener) for listener in adjustments.redirect_listen]
    places += [("admin_listen", listener) for listener in adjustments.admin_listen]
    for name, listener in places:
        if not isinstance(listener, TcpAddress):
            continue
        if ":" in listener.host and not adjustments.ipv6:
            yield Complaint(name, f"{listener} is an IPv6 address, and ipv6 is off", ("ipv6",))
        if listener.host.replace(".", "").isdigit() and not adjustments.ipv4 and name in adjustments.origins:
            yield Complaint(name, f"{listener} is an IPv4 address, and ipv4 is off", ("ipv4",))


def _bad_proxies(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    headers = adjustments.trusted_proxy_headers
    if "forwarded" in headers and len(headers) > 1:
        text = "forwarded excludes the x-forwarded headers: keep the one that your proxy sets"
        yield Complaint("trusted_proxy_headers", text)
    yield from _bad_proxy_listeners(adjustments)
    if adjustments.trusted_proxy:
        if adjustments.trusted_proxy_count is None and EVERYONE in adjustments.trusted_proxy:
            text = "follows the addresses of trusted_proxy, and * would lead it to what the client wrote; give a number"
            yield Complaint("trusted_proxy_count", text, ("trusted_proxy",))
        return
    needy = ["trusted_proxy_count"] if "trusted_proxy_count" in adjustments.origins else []
    if headers:
        needy.append("trusted_proxy_headers")
    if adjustments.proxy_protocol != "off":
        needy.append("proxy_protocol")
    for name in needy:
        yield Complaint(
            name, "has no meaning without trusted_proxy, which names the peers to believe", ("trusted_proxy",)
        )


def _bad_proxy_listeners(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    name = "proxy_protocol_listen"
    listeners = adjustments.listeners
    unknown = [str(address) for address in adjustments.proxy_protocol_listen if address not in listeners]
    if unknown:
        known = f"the server listens on {' '.join(map(str, listeners)) or 'sockets that have no names'}"
        yield Complaint(name, f"{' '.join(unknown)} is not listened on; {known}", ("listen", "host", "port"))
    elif adjustments.proxy_protocol_listen and adjustments.proxy_protocol == "off":
        yield Complaint(name, "has no meaning while proxy_protocol is off", ("proxy_protocol",))
