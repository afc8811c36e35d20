"""What the operator decided: the checked, frozen result of reading a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final, Self

from waitressd.config.effective import EffectiveSettings
from waitressd.config.errors import ConfigError
from waitressd.config.origins import PYTHON, Origin, Source
from waitressd.config.reading import Given, read
from waitressd.config.requestlogs import LogSection
from waitressd.config.rules import conflicts, exclusions
from waitressd.config.settings import Setting, row_of


@dataclass(frozen=True, init=False, repr=False, eq=False)  # see EffectiveSettings
class Adjustments(EffectiveSettings):
    """Every setting with its checked value, and where each value came from.

    Build it with `from_keywords`, `from_strings` or `from_given`; the plain constructor checks nothing. It is
    immutable, so any thread may read it.
    """

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
    {row.name: row for row in map(row_of, fields(EffectiveSettings)) if row is not None}
)
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {alias: row.name for row in SETTINGS.values() for alias in row.heritage.aliases}
)
