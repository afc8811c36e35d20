"""What may be lost, and to whom: a request that a killed worker had in hand is explained, nothing else is."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.fleets import MOVED_AT_MOST, Kill, unexplained
from tests.support.load import Books, Loss
from waitressd.fleet.succession import DEATHS

AFTERMATH_SECONDS: Final = 1.0
"""A client that thinks notices the end of its connection with its next request."""


@dataclass(frozen=True)
class Doom:
    """A version whose workers die by themselves, from the signal that brought it until it was rolled back."""

    version: int
    begin: float
    end: float

    def unexplained(self, losses: list[Loss], pids: frozenset[int]) -> list[Loss]:
        """Return what its workers cannot have had in hand. `pids` are those that have answered with this version.

        A connection that rests may have moved to one of them since the last answer on it, which was another's. Few do.
        """
        meanwhile = [loss for loss in losses if self.begin < loss.noticed < self.end + AFTERMATH_SECONDS]
        moved = [loss for loss in meanwhile if loss.pid not in {0, *pids}]
        left = moved if len(moved) > MOVED_AT_MOST * DEATHS else []
        return [loss for loss in losses if loss not in meanwhile] + left


@dataclass
class Accounts:
    """What was done to the fleet that may cost requests."""

    kills: list[Kill] = field(default_factory=list)
    dooms: list[Doom] = field(default_factory=list)

    def unexplained(self, books: Books) -> list[Loss]:
        """Return what was lost without a worker's death."""
        losses = unexplained(books.lost + books.silent, self.kills)
        for doom in self.dooms:
            losses = doom.unexplained(
                losses, frozenset(answer.pid for answer in books.answers if answer.version == doom.version)
            )
        return losses

    def dead(self, books: Books) -> frozenset[int]:
        """Name the processes that died with whatever they had not written yet."""
        doomed = {doom.version for doom in self.dooms}
        return frozenset(answer.pid for answer in books.answers if answer.version in doomed) | {
            kill.victim for kill in self.kills
        }


@dataclass(frozen=True)
class Lines:
    """What the files of a request log hold, compared with the books."""

    count: int
    torn: int
    twice: int
    missing: int
    """Of answers by workers that lived on."""
    missing_of_dead: int
    """Of answers by workers that were killed before they had written them."""

    @classmethod
    def read(cls, paths: Iterable[Path], books: Books, dead: frozenset[int]) -> "Lines":
        """Read JSON lines with a path; each answer has one."""
        found: Counter[str] = Counter()
        torn = 0
        for path in paths:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    found[json.loads(line)["url.path"]] += 1
                except (ValueError, KeyError):
                    torn += 1
        absent = [answer for answer in books.answers if f"/r/{answer.number}" not in found]
        of_dead = sum(answer.pid in dead for answer in absent)
        twice = sum(count - 1 for target, count in found.items() if target.startswith("/r/"))
        return cls(found.total(), torn, twice, len(absent) - of_dead, of_dead)

    def trouble(self) -> list[str]:
        """Say what must not be."""
        counts = {"torn": self.torn, "written twice": self.twice, "missing": self.missing}
        return [f"{count} lines of the request log {name}" for name, count in counts.items() if count]
