"""Names of request logs and their options, as values; what they do is the business of the request log."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from waitressd.config.addresses import ListenAddress, listen_addresses
from waitressd.config.errors import Problem
from waitressd.config.origins import PYTHON, Origin
from waitressd.kinds import BadValueError, Kind
from waitressd.wording import did_you_mean

BUILT_IN: Final = ("common", "combined", "json", "dev", "template", "metrics")
_COUNTING: Final = frozenset(
    {"metrics", "waitressd#metrics"} | {f"waitressd.{module}:request_log" for module in ("metrics", "metrics.serving")}
)
"""What `use` calls the one that counts requests, without ``egg:`` or ``call:``."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_DIRECT: Final = re.compile(r"egg:[^\s:]+|call:[^\s:]+:[^\s:]+|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class RequestLog:
    """One request log to build: which factory, with which options.

    `use` is ``egg:dist#name``, ``call:module:attribute``, ``module:attribute``, the name of a built-in format, or (from
    Python) the hook itself. It is empty until the section of that name has been looked at.
    """

    name: str
    use: str | Callable[[Any], object]
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    origin: Origin = PYTHON
    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    """Where each option is."""

    def __str__(self) -> str:
        """Write the log as `request_log` takes it."""
        return self.name

    @property
    def counts(self) -> bool:
        """Whether it is the one that takes no records and has the server count requests."""
        if isinstance(self.use, str):
            return self.use.removeprefix("egg:").removeprefix("call:").lower() in _COUNTING
        return not getattr(self.use, "takes_records", True)

    @property
    def shows_at(self) -> tuple[ListenAddress, ...]:
        """Where one that counts has its metrics shown; what is wrong with that is said by who builds it."""
        if not self.counts:
            return ()
        text = self.options.get("listen", "") if isinstance(self.use, str) else getattr(self.use, "listen", "")
        try:
            return listen_addresses().parse(text) if text else ()
        except BadValueError:
            return ()


def _parse_item(item: object) -> RequestLog:
    if isinstance(item, RequestLog):
        return item
    if callable(item):
        return RequestLog(getattr(item, "__qualname__", type(item).__qualname__), item)
    if not isinstance(item, str):
        raise BadValueError
    if not (_DIRECT if ":" in item else _NAME).fullmatch(item):
        raise BadValueError(f"{item} is neither a name nor egg:distribution#name nor module:attribute")
    return RequestLog(item, item if ":" in item or item in BUILT_IN else "")


def request_logs() -> Kind[tuple[RequestLog, ...]]:
    """Make the kind of `request_log`: names of sections, of built-in formats, or direct references."""

    def parse(value: object) -> tuple[RequestLog, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            value = value.replace(",", " ").split()
        if not isinstance(value, list | tuple):
            value = [value]
        return tuple(_parse_item(item) for item in value)

    def show(logs: tuple[RequestLog, ...]) -> str:
        return " ".join(log.name for log in logs)

    words = f"names of [request_log:NAME] sections, or {', '.join(BUILT_IN)}, egg:distribution#name, module:attribute"
    return Kind(words, parse, show, "NAME", BUILT_IN, repeats=True)


@dataclass(frozen=True, slots=True)
class LogSection:
    """A ``[request_log:NAME]`` section: its values, and where each is ("" is the section itself)."""

    name: str
    values: Mapping[str, str]
    origins: Mapping[str, Origin]
    problems: tuple[Problem, ...] = ()
    """What is wrong with it; of no interest if no server names it."""


def complete_log(log: RequestLog, sections: Mapping[str, LogSection]) -> RequestLog:
    """Put in what the section of a log's name says. Raises BadValueError if there is nothing of that name."""
    section = sections.get(log.name)
    if section is None:
        if log.use:
            return log
        meant = did_you_mean(log.name, [*sections, *BUILT_IN]) or f", and it is none of {', '.join(BUILT_IN)}"
        raise BadValueError(f"there is no section [request_log:{log.name}]{meant}")
    options = dict(section.values)
    use = options.pop("use", log.use)
    if not use:
        raise BadValueError(
            f"[request_log:{log.name}] needs use = one of {', '.join(BUILT_IN)}, or egg:distribution#name"
        )
    return RequestLog(log.name, use, MappingProxyType(options), section.origins.get("", PYTHON), section.origins)
