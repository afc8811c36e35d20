"""What a process that has loaded the application says of itself, and all that the master knows of a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.fleet import processes
from waitressd.fleet.cores import find_cores
from waitressd.fleet.hazards import Hazard, explain, find_hazards
from waitressd.fleet.link import PROTOCOL, LinkError
from waitressd.server import Server

# Settings that concern the master. It reads no ini file: what is wrong there is said by who has read it.
_FOR_MASTER: Final = (
    *("host", "port", "listen", "unix_socket", "unix_socket_perms", "unix_socket_owner", "backlog", "ipv4", "ipv6"),
    *("proxy_protocol", "proxy_protocol_listen", "trusted_proxy"),
    *("tls_certificate", "tls_listen", "redirect_listen"),  # which says what each listener is for
    *("threads", "shutdown_timeout", "worker_boot_timeout"),
)


@dataclass(frozen=True, slots=True)
class Hello:
    """One code: a configuration with the application that was loaded from it."""

    workers: int
    is_preloaded: bool
    """Whether its process can be a template; else each worker loads the application for itself."""
    preload_is_off: str
    """Why it cannot, in a sentence; empty if it can, or was not asked to."""
    settings: Mapping[str, str]
    protocol: int = PROTOCOL

    @property
    def adjustments(self) -> Adjustments:
        """The settings that concern the master. Raises ConfigError: another version of the server means others."""
        return Adjustments.from_strings({name: text for name, text in self.settings.items() if name in SETTINGS})

    def fields(self) -> dict[str, Any]:
        """Write it down for a message."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Hello":
        """Read what `fields` has written. Raises LinkError: another version means other things."""
        if fields.get("protocol") != PROTOCOL:
            text = "the new code runs another version of the server, which this master cannot lead; restart it"
            raise LinkError(text)
        return cls(**{name: fields[name] for name in cls.__slots__})


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
