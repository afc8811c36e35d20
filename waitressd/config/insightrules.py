"""What the settings of insight say about each other and about addresses: what cannot work, and what would be unsafe."""

from collections.abc import Iterator
from typing import Final

from waitressd.config.addresses import ListenAddress, TcpAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.insighttable import ALL, EXPOSABLE, PUBLIC
from waitressd.config.reading import Complaint

_NEEDY: Final = (
    *("admin_socket_mode", "admin_token_file", "admin_hosts", "admin_expose", "admin_control", "admin_show_query"),
    *("live_timeout", "ready_queue_wait"),
)


def insight_conflicts(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    """Find every combination that cannot work or must not."""
    if not adjustments.admin_addresses:
        yield from _without_address(adjustments)
        return
    yield from _shared_addresses(adjustments)
    for address in adjustments.admin_listen:
        if is_network(address):
            yield from open_to_strangers(adjustments, address)
    ports = [str(address) for address in adjustments.admin_listen if isinstance(address, TcpAddress)]
    if adjustments.admin_control and ports and not adjustments.admin_token_file:
        text = (
            f"whoever reaches {ports[0]} could use it, without a control token: "
            "write control TOKEN into a file and name that in admin_token_file, or listen on unix:/path alone"
        )
        yield Complaint("admin_control", text, ("admin_listen", "admin_token_file"))


def open_to_strangers(adjustments: EffectiveSettings, address: object) -> Iterator[Complaint]:
    """Find what an address that other machines reach would tell anybody."""
    private = [name for name in EXPOSABLE if name in exposed(adjustments, is_local=False) - PUBLIC]
    if private and not adjustments.admin_token_file:
        text = (
            f"other machines reach {address}, and would be shown {' '.join(private)}: "
            "name a file with read TOKEN in admin_token_file, expose probes metrics alone, or listen on unix:/path"
        )
        yield Complaint("admin_expose", text, ("admin_listen", "admin_token_file"))


def exposed(adjustments: EffectiveSettings, *, is_local: bool) -> frozenset[str]:
    """Say what one address answers: one that only this machine reaches, or another."""
    names = adjustments.admin_expose
    if not names:
        return frozenset(EXPOSABLE) if is_local else PUBLIC
    return frozenset(EXPOSABLE) if ALL in names else names


def is_network(address: ListenAddress) -> bool:
    """Whether other machines reach an address, as far as that is known before a name is resolved."""
    return isinstance(address, TcpAddress) and not address.is_name and not address.is_loopback


def _without_address(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    for name in _NEEDY:
        # A value that is the default says nothing: a listing of all settings can be read again.
        if name in adjustments.origins and getattr(adjustments, name) != getattr(EffectiveSettings, name):
            text = "has no meaning without admin_listen, the address where the server says how it is"
            yield Complaint(name, text, ("admin_listen",))


def _shared_addresses(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    others = dict.fromkeys(adjustments.listeners, "listen")
    others |= dict.fromkeys(adjustments.redirect_listen, "redirect_listen")
    for address in adjustments.admin_listen:
        # Port 0 is another one each time.
        if address in others and not (isinstance(address, TcpAddress) and not address.port):
            text = f"{address} is the address of {others[address]}; clients of the application must not get here"
            yield Complaint("admin_listen", text, ("listen", "host", "port", "unix_socket", "redirect_listen"))
