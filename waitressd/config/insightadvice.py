"""What is worth saying about the settings of insight. The codes and their texts are in `advice.py`."""

from collections.abc import Iterator
from typing import Final

from waitressd.config.addresses import TcpAddress, UnixAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.insightrules import exposed
from waitressd.config.insighttable import PUBLIC

_OTHERS_WRITE: Final = 0o002

Finding = tuple[str, str]


def former_metrics(settings: EffectiveSettings) -> Iterator[Finding]:
    """Find request logs that have been replaced by a setting."""
    for log in settings.request_log:
        if log.counts:
            yield "request_log", f"request_log = {log.name}"


def open_to_accounts(settings: EffectiveSettings) -> Iterator[Finding]:
    """Find addresses that other accounts of this machine may ask for more than probes and metrics."""
    if settings.admin_token_file or not exposed(settings, is_local=True) - PUBLIC:
        return
    for address in settings.admin_listen:
        if isinstance(address, UnixAddress) and settings.admin_socket_mode & _OTHERS_WRITE:
            yield "admin_socket_mode", f"admin_socket_mode is {settings.admin_socket_mode:03o}"
        elif isinstance(address, TcpAddress):
            yield "admin_listen", f"{address} asks nobody for a token"
