"""What a process that has loaded the application says of itself, and all that the master knows of a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.requestlogs import RequestLog
from waitressd.fleet.link import PROTOCOL, LinkError


@dataclass(frozen=True, slots=True)
class Hello:
    """One code: a configuration with the application that was loaded from it."""

    workers: int
    is_preloaded: bool
    """Whether its process can be a template; else each worker loads the application for itself."""
    preload_is_off: str
    """Why it cannot, in a sentence; empty if it can, or was not asked to."""
    settings: Mapping[str, str]
    counts: bool = False
    """Whether what its workers count, and how busy they are, can be asked for."""
    metrics: Sequence[str] = ()
    """Where the metrics are to be shown, as `listen` has it."""
    protocol: int = PROTOCOL

    @property
    def adjustments(self) -> Adjustments:
        """The settings that concern the master. Raises ConfigError: another version of the server means others."""
        known = Adjustments.from_strings({name: text for name, text in self.settings.items() if name in SETTINGS})
        logs = tuple(RequestLog("metrics", "metrics", {"listen": address}) for address in self.metrics)
        return replace(known, request_log=logs)

    def fields(self) -> dict[str, Any]:
        """Write it down for a message."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def carried(cls, fields: Mapping[str, Any]) -> "Hello":
        """Read what another version of this program has written, in this process: what is new here has its default."""
        return cls(**{name: fields[name] for name in cls.__slots__ if name in fields})

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Hello":
        """Read what `fields` has written. Raises LinkError: another version means other things."""
        if fields.get("protocol") != PROTOCOL:
            text = "the new code runs another version of the server, which this master cannot lead; SIGUSR2 upgrades it"
            raise LinkError(text)
        return cls(**{name: fields[name] for name in cls.__slots__})
