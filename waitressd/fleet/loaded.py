"""What there is to say of a process that has loaded the application."""

from collections.abc import Sequence
from typing import Final

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.fleetrules import OF_A_MASTER
from waitressd.fleet import processes
from waitressd.fleet.cores import find_cores
from waitressd.fleet.hazards import Hazard, explain, find_hazards
from waitressd.fleet.hello import Hello
from waitressd.server import Server

# Settings that concern the master, none of which needs another that is not here. It reads no ini file: what is wrong
# there is said by the process that has read it.
_FOR_MASTER: Final = (
    *("host", "port", "listen", "unix_socket", "unix_socket_perms", "unix_socket_owner", "backlog", "ipv4", "ipv6"),
    *("tls_certificate", "tls_listen", "redirect_listen"),  # which say what each listener is for
    *("threads", "shutdown_timeout", "drain_delay"),
    *OF_A_MASTER,
    *("admin_listen", "admin_socket_mode", "admin_token_file", "admin_hosts", "admin_expose", "admin_control"),
    *("live_timeout", "metrics_series"),
)


def hello_of(server: Server, known: Sequence[Hazard] = (), *, is_preloaded: bool | None = None) -> Hello:
    """Say what was loaded. After the application was: what that has left open decides about forks.

    What was `known` before is none of the application's. With `is_preloaded` the mode is decided already.
    """
    adjustments = server.adjustments
    why = "" if adjustments.preload is False else _why_not_preloaded(adjustments, known)
    return Hello(
        workers=adjustments.worker_count(find_cores().workers),
        is_preloaded=(adjustments.preload is not False and not why) if is_preloaded is None else is_preloaded,
        preload_is_off=why,
        settings=_settings_for_master(adjustments),
        counts=adjustments.counts_requests or bool(adjustments.admin_addresses),
        metrics=tuple(dict.fromkeys(str(address) for log in adjustments.request_log for address in log.shows_at)),
    )


def _why_not_preloaded(adjustments: Adjustments, known: Sequence[Hazard]) -> str:
    if not processes.can_adopt():
        return "this system cannot make forked workers children of the master"
    found = [] if adjustments.preload else find_hazards(known)
    return explain(found) if found else ""


def _settings_for_master(adjustments: Adjustments) -> dict[str, str]:
    """Return what concerns the master, as an ini file would say it."""
    rows = ((SETTINGS[name], getattr(adjustments, name)) for name in _FOR_MASTER)
    return {row.name: row.kind.show(value) for row, value in rows if value != row.default}
