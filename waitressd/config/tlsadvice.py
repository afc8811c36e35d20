"""What is unwise about certificates that work: what clients will not like, today or soon."""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from waitressd.config.addresses import TcpAddress
from waitressd.config.effective import EffectiveSettings

if TYPE_CHECKING:
    from waitressd.config.x509 import Certificate

EXPIRES_SOON_DAYS: Final = 14
SLOW_RSA_BITS: Final = 4096

Finding = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """One of the server's certificates with what came behind it, and its key's file."""

    path: str
    chain: "tuple[Certificate, ...]"
    key_path: str
    key_mode: int
    is_issuer_known: bool = False
    """Whether the system trusts its issuer as it is, so that no chain is needed."""

    @property
    def own(self) -> "Certificate":
        """The server's own certificate, which is the first."""
        return self.chain[0]


def day(when: datetime) -> str:
    """Write a day as people of all countries read it."""
    return when.strftime("%Y-%m-%d")


def expired(all_served: Sequence[ServedCertificate], now: datetime) -> Iterator[Finding]:
    """Find certificates whose time is over."""
    for served in all_served:
        if served.own.not_after <= now:
            yield "tls_certificate", f"the certificate of {_of(served)} has expired on {day(served.own.not_after)}"


def expiring(all_served: Sequence[ServedCertificate], now: datetime) -> Iterator[Finding]:
    """Find certificates whose renewal is late."""
    for served in all_served:
        left = served.own.not_after - now
        if left.total_seconds() > 0 and left.days < EXPIRES_SOON_DAYS:
            when = f"on {day(served.own.not_after)}, in {left.days} days" if left.days else "within a day"
            yield "tls_certificate", f"the certificate of {_of(served)} expires {when}"


def too_early(all_served: Sequence[ServedCertificate], now: datetime) -> Iterator[Finding]:
    """Find certificates whose time has not come."""
    for served in all_served:
        if served.own.not_before > now:
            begin = day(served.own.not_before)
            text = f"the certificate of {_of(served)} is valid from {begin} on, and today is {day(now)}"
            yield "tls_certificate", text


def without_issuer(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find certificates from which a client cannot get to a CA that it knows."""
    for served in all_served:
        own = served.own
        if not (own.is_self_signed or served.is_issuer_known or _issuer_index(served.chain, 0)):
            yield "tls_certificate", f"the issuer of {_of(served)} is not in the file"


def out_of_order(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find chains in which the issuer of a certificate is not the next one."""
    for served in all_served:
        index, seen = 0, 1
        while (following := _issuer_index(served.chain, index)) and following == index + 1:
            index, seen = following, seen + 1
        if following or (seen < len(served.chain) and seen > 1):
            yield "tls_certificate", f"the certificates in {served.path} are not in order, each followed by its issuer"


def _issuer_index(chain: "Sequence[Certificate]", index: int) -> int:
    """Find the issuer of a certificate among the others; 0 if it is not there, or signed itself."""
    wanted = chain[index]
    if wanted.is_self_signed:
        return 0
    return next((place for place, each in enumerate(chain) if place and each.subject == wanted.issuer), 0)


def needless_root(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find roots that are sent to clients, who believe only their own."""
    for served in all_served:
        roots = [each for each in served.chain[1:] if each.is_self_signed]
        if roots:
            yield "tls_certificate", f"{served.path} has the root certificate {roots[0].name}"


def readable_key(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find keys that every account of the machine can read."""
    for path, mode in {served.key_path: served.key_mode for served in all_served}.items():
        if mode & stat.S_IROTH:
            yield "tls_key", f"every account can read the key {path} (mode {mode:03o})"


def self_signed(all_served: Sequence[ServedCertificate], adjustments: EffectiveSettings) -> Iterator[Finding]:
    """Find certificates that only their own machine has a reason to believe, where others come."""
    public = [item for item in adjustments.tls_listeners if isinstance(item, TcpAddress) and not item.is_loopback]
    for served in all_served if public else ():
        if served.own.is_self_signed:
            text = (
                f"the certificate of {_of(served)} is self-signed, and {public[0]} can be reached from other machines"
            )
            yield "tls_certificate", text


def uncovered_name(all_served: Sequence[ServedCertificate], adjustments: EffectiveSettings) -> Iterator[Finding]:
    """Find out whether a certificate is for the name that the server says it has."""
    name = adjustments.server_name.lower().removesuffix(".")
    if all_served and "server_name" in adjustments.origins and not any(each.own.covers(name) for each in all_served):
        names = list(dict.fromkeys(name for each in all_served for name in (*each.own.dns_names, *each.own.addresses)))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
        yield "server_name", f"server_name is {name}, and the certificates are for {shown or 'no name'}"


def nameless(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find certificates that are for no name in the way clients look for one since 2017."""
    for served in all_served:
        if not (served.own.dns_names or served.own.addresses):
            yield "tls_certificate", f"the certificate in {served.path} has no subjectAltName"


def doubled_names(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find certificates that are never chosen for a name, as an earlier one has it."""
    owners: dict[str, str] = {}
    for served in all_served:
        both = [name for name in served.own.dns_names if owners.setdefault(name, served.path) != served.path]
        if both:
            yield "tls_certificate", f"{owners[both[0]]} and {served.path} are both for {both[0]}"


def slow_key(all_served: Sequence[ServedCertificate]) -> Iterator[Finding]:
    """Find keys that cost every handshake much."""
    for served in all_served:
        if served.own.rsa_bits >= SLOW_RSA_BITS:
            yield "tls_certificate", f"the key of {_of(served)} is RSA with {served.own.rsa_bits} bits"


def plain_scheme(adjustments: EffectiveSettings) -> Iterator[Finding]:
    """Find a scheme that was set and that listeners with TLS do not follow."""
    if adjustments.tls_certificate and adjustments.origins.get("url_scheme") and adjustments.url_scheme == "http":
        yield "url_scheme", "url_scheme is http, and requests by TLS have https all the same"


def _of(served: ServedCertificate) -> str:
    return f"{served.own.name} in {served.path}"
