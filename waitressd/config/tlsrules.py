"""What the settings of TLS say about each other and about the addresses: combinations that cannot work."""

from collections.abc import Iterator
from typing import Final

from waitressd.config.addresses import TcpAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.reading import Complaint

_HTTP_PORT: Final = 80
_ADDRESSES: Final = ("listen", "host", "port")


def tls_conflicts(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    """Find every combination that cannot work."""
    if adjustments.tls_certificate:
        yield from _bad_keys(adjustments)
        yield from _bad_listeners(adjustments)
        yield from _bad_redirects(adjustments)
    else:
        yield from _without_certificate(adjustments)
    if adjustments.tls_client_verify == "optional" and not adjustments.tls_client_ca:
        text = "has no meaning without tls_client_ca, the file of the CAs whose certificates clients must have"
        yield Complaint("tls_client_verify", text, ("tls_client_ca",))
    if adjustments.acme_challenge_folder and not adjustments.redirect_listen:
        text = "has no meaning without redirect_listen, where the CA asks for the files (redirect_listen = *:80)"
        yield Complaint("acme_challenge_folder", text, ("redirect_listen",))


def _without_certificate(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    for name in adjustments.origins:
        is_needy = name.startswith("tls_") or name == "redirect_listen"
        # A value that is the default says nothing: a listing of all settings can be read again.
        if is_needy and name != "tls_client_verify" and getattr(adjustments, name) != getattr(EffectiveSettings, name):
            text = "has no meaning without tls_certificate, the file of the server's certificate"
            yield Complaint(name, text, ("tls_certificate",))


def _bad_keys(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    keys, certificates = len(adjustments.tls_key), len(adjustments.tls_certificate)
    if keys and keys != certificates:
        text = f"names {_files(keys)}, and tls_certificate {_files(certificates)}: give one key for each, in that order"
        yield Complaint("tls_key", text, ("tls_certificate",))


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _bad_listeners(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    listeners = adjustments.listeners
    if unknown := [str(address) for address in adjustments.tls_listen if address not in listeners]:
        known = f"the server listens on {' '.join(map(str, listeners)) or 'sockets that have no names'}"
        yield Complaint("tls_listen", f"{' '.join(unknown)} is not listened on; {known}", _ADDRESSES)
    elif not adjustments.tls_listeners and not adjustments.sockets:
        text = "no listener would speak TLS: Unix sockets do if tls_listen names them"
        yield Complaint("tls_certificate", text, ("listen", "unix_socket", "tls_listen"))
    for address in () if adjustments.tls_listen else adjustments.tls_listeners:
        if isinstance(address, TcpAddress) and address.port == _HTTP_PORT:
            text = f"{address} would speak TLS, and port 80 is that of plain HTTP; {_remedy(adjustments, address)}"
            yield Complaint("listen" if adjustments.listen else "port", text, ("tls_listen", "tls_certificate"))


def _remedy(adjustments: EffectiveSettings, plain: TcpAddress) -> str:
    others = [str(address) for address in adjustments.tls_listeners if address != plain]
    if not others:
        return "use port 443, or name it in tls_listen if it is meant"
    return f"move it to redirect_listen, or write tls_listen = {' '.join(others)}"


def _bad_redirects(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    same = [address for address in adjustments.redirect_listen if address in adjustments.listeners]
    # Port 0 is another one each time.
    both = [str(address) for address in same if not isinstance(address, TcpAddress) or address.port]
    if both:
        text = f"{' '.join(both)} is in listen, too; an address serves the application or redirects to https"
        yield Complaint("redirect_listen", text, _ADDRESSES)
