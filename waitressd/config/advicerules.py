"""What advice is made of: facts to look at, rules with stable codes, findings. The rules are in `advice.py`."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from waitressd.config import tlsadvice
from waitressd.config.adjustments import Adjustments
from waitressd.config.reading import Hidden


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine has; 0 is unknown. Memory is that of the control group if that is less."""

    memory_bytes: int = 0
    descriptors: int = 0
    cores: int = 0
    """How many workers `auto` is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What advice looks at."""

    adjustments: Adjustments
    hidden: tuple[Hidden, ...] = ()
    machine: Machine = Machine()
    silent_loggers: tuple[str, ...] = ()
    """Loggers that request logs write to and that drop the lines; known once logging is set up."""
    unshared_handlers: tuple[str, ...] = ()
    """Handlers, in words, that use their file as if no other process did; known once logging is set up."""
    certificates: tuple[tlsadvice.ServedCertificate, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to reconsider: its code, its place in the file, and a sentence."""

    code: str
    place: str
    text: str
    level: int = logging.WARNING

    def __str__(self) -> str:
        """Write the advice on one line."""
        return f"{self.code} {self.place}: {self.text}" if self.place else f"{self.code} {self.text}"


Finding = tuple[str, str]
"""The name of the setting that the advice is about, and what was found."""


Find = Callable[[Facts], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One code: when it applies, what follows from it and what to do. It decorates the function that finds the cause.

    The manual is rendered from these, in the order in which they are declared.
    """

    code: str
    title: str
    cause: str
    consequence: str
    remedy: str
    at_start: bool = False
    """Whether a starting server logs it as a warning; `--check-config` shows every advice."""
    level: int = logging.WARNING
    of_files: bool = False
    """Whether it looks at certificates: time and a renewal can make it true, so a server says it again every day."""

    def __call__(self, find: Find) -> Find:
        """Declare the rule."""
        RULES[self] = find
        return find


RULES: Final[dict[Rule, Find]] = {}
