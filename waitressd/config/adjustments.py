"""What the operator decided: the checked, frozen result of reading a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Final, Self

from waitressd.config.addresses import ListenAddress, TcpAddress, UnixAddress
from waitressd.config.errors import ConfigError
from waitressd.config.networks import TrustedPeers, trusted_peers
from waitressd.config.origins import DEFAULT, PYTHON, Origin, Source
from waitressd.config.reading import Given, read
from waitressd.config.requestlogs import LogSection
from waitressd.config.rules import conflicts, exclusions
from waitressd.config.settings import Setting, row_of
from waitressd.config.table import SettingsTable


@dataclass(frozen=True, kw_only=True)
class Adjustments(SettingsTable):
    """Every setting with its checked value, and where each value came from.

    Build it with `from_keywords`, `from_strings` or `from_given`; the plain constructor checks nothing. It is
    immutable, so any thread may read it.
    """

    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    """Where each given value came from, by the name of the setting; what is missing has its default."""

    @property
    def listeners(self) -> tuple[ListenAddress, ...]:
        """The addresses to listen on; empty where a Python caller handed over `sockets`."""
        if self.sockets:
            return ()
        if self.listen:
            return self.listen
        return (UnixAddress(self.unix_socket),) if self.unix_socket else (TcpAddress(self.host, self.port),)

    @property
    def trusted_peers(self) -> TrustedPeers:
        """The value of `trusted_proxy` as a record."""
        return trusted_peers(self.trusted_proxy)

    @property
    def believed_proxy_headers(self) -> frozenset[str]:
        """The value of `trusted_proxy_headers`, or what it stands for where only `trusted_proxy` is set."""
        if self.trusted_proxy and not self.trusted_proxy_headers:
            return frozenset({"x-forwarded-proto"})
        return self.trusted_proxy_headers

    def origin_of(self, name: str) -> Origin:
        """Where the value of a setting came from."""
        return self.origins.get(name, DEFAULT)

    @classmethod
    def from_keywords(cls, **settings: object) -> Self:
        """Check Python values. Raises ConfigError with every problem."""
        return cls.from_given({name: Given(value, PYTHON) for name, value in settings.items()})

    @classmethod
    def from_strings(cls, values: Mapping[str, str], origins: Mapping[str, Origin] | None = None) -> Self:
        """Check texts as an ini file has them. Raises ConfigError with every problem."""
        known = origins or {}
        return cls.from_given(
            {name: Given(text, known.get(name, Origin(Source.FILE))) for name, text in values.items()}
        )

    @classmethod
    def from_given(cls, given: Mapping[str, Given], sections: Mapping[str, LogSection] | None = None) -> Self:
        """Check values of any origin. Raises ConfigError with every problem.

        `sections` are the ``[request_log:NAME]`` sections by their names.
        """
        reading = read(given, SETTINGS, ALIASES)
        reading.complete_logs(sections or {})
        reading.complain_about(exclusions(reading.given))
        adjustments = cls(**reading.values, origins=MappingProxyType(reading.origins))
        reading.complain_about(complaint for complaint in conflicts(adjustments) if reading.can_judge(complaint))
        if reading.problems:
            raise ConfigError(reading.problems)
        return adjustments


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {row.name: row for row in map(row_of, fields(SettingsTable)) if row is not None}
)
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {alias: row.name for row in SETTINGS.values() for alias in row.heritage.aliases}
)
