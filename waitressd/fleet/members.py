"""Those that a plan looks after: codes, workers, and the places of workers with their back-off. Values and their moves.

Times are those of the plan's clock, in seconds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.states import (
    TEMPLATE_TRANSITIONS,
    WORKER_TRANSITIONS,
    TemplateMove,
    TemplateStage,
    WorkerMove,
    WorkerStage,
)

if TYPE_CHECKING:
    from waitressd.fleet.verdicts import Verdict

YOUNG_SECONDS: Final = 10.0  # who has served less has failed
STEADY_SECONDS: Final = 60.0  # who has served longer clears its place of former failures
MOST_WORKERS: Final = 256  # as `workers` has it
CREDIT_DEATHS: Final = 10  # of workers that have died young, and are replaced at once all the same
CREDIT_SECONDS: Final = 30.0  # until one more is
LONGEST_WAIT: Final = 57.0  # between two attempts: what is mended serves within a minute, with its load


class Code:
    """One loading of the application: its template, and what it said of itself.

    The number is that of the loading, the generation that of the reload: a template that stands in for a lost one has a
    number of its own and the generation of the other.
    """

    __slots__ = ("accepted", "deadline", "facts", "generation", "more", "number", "stage", "stands_in_for")

    def __init__(self, number: int, facts: CodeFacts, stands_in_for: "Code | None" = None) -> None:
        self.number = number
        self.facts = facts  # until its hello: those of the code before
        self.stands_in_for = stands_in_for
        self.more = 0  # workers than its facts want, by signals
        self.generation = 0
        self.accepted = 0.0
        self.stage = TemplateStage.LOADING
        self.deadline = math.inf

    def move(self, move: TemplateMove, deadline: float = math.inf) -> None:
        """Change the stage of its process. Raises KeyError for a move that is not in the table."""
        self.stage = TEMPLATE_TRANSITIONS[self.stage, move]
        self.deadline = deadline

    def carry(self, now: float) -> dict[str, Any]:
        """Write it down for the plan of another program in this process; times are those left, and gone by."""
        return {
            "number": self.number,
            "facts": asdict(self.facts),
            "more": self.more,
            "generation": self.generation,
            "stage": self.stage.name,
            "accepted": now - self.accepted,
            "left": _left(self.deadline, now),
        }

    @classmethod
    def resume(cls, fields: Mapping[str, Any], now: float) -> "Code":
        """Read what `carry` has written. Raises KeyError, TypeError: another version writes it in another way."""
        known = {name: value for name, value in fields["facts"].items() if name in CodeFacts.__slots__}
        code = cls(fields["number"], CodeFacts(**known))
        code.more, code.generation, code.accepted = fields["more"], fields["generation"], now - fields["accepted"]
        code.stage, code.deadline = TemplateStage[fields["stage"]], _deadline(fields["left"], now)
        return code

    @property
    def size(self) -> int:
        """How many workers there should be."""
        return self.facts.workers + self.more

    def resize(self, change: int) -> bool:
        """Want more or fewer workers; False if there cannot be so many."""
        if not 1 <= self.size + change <= MOST_WORKERS:
            return False
        self.more += change
        return True

    @property
    def can_spawn(self) -> bool:
        """Whether a worker of it can be born now."""
        return self.stage is TemplateStage.READY or not self.facts.is_preloaded


class Worker:
    """One worker process, from the moment when it is asked for."""

    __slots__ = ("code", "deadline", "generation", "number", "pid", "place", "served_from", "stage", "verdict", "worn")

    def __init__(self, number: int, place: int, code: Code, deadline: float) -> None:
        self.number = number
        self.place = place
        self.code = code
        self.generation = code.generation  # without a command to run again, one code has several
        self.stage = WorkerStage.BOOTING
        self.deadline = deadline
        self.pid: int | None = None
        self.served_from: float | None = None
        self.worn = 0  # its turn among those that are to be renewed; 0: it is not
        self.verdict: Verdict | None = None  # that was acted on, or was to be

    def move(self, move: WorkerMove, deadline: float = math.inf) -> None:
        """Change its stage. Raises KeyError for a move that is not in the table."""
        before, self.stage = self.stage, WORKER_TRANSITIONS[self.stage, move]
        if self.stage is not before:
            self.deadline = deadline

    def carry(self, now: float) -> dict[str, Any]:
        """Write it down for the plan of another program in this process; times are those left, and gone by."""
        return {
            "number": self.number,
            "place": self.place,
            "code": self.code.number,
            "generation": self.generation,
            "stage": self.stage.name,
            "pid": self.pid,
            "served": None if self.served_from is None else now - self.served_from,
            "left": _left(self.deadline, now),
            "worn": self.worn,
        }

    @classmethod
    def resume(cls, fields: Mapping[str, Any], codes: Mapping[int, Code], now: float) -> "Worker":
        """Read what `carry` has written. Raises KeyError, TypeError: another version writes it in another way."""
        worker = cls(fields["number"], fields["place"], codes[fields["code"]], _deadline(fields["left"], now))
        worker.generation, worker.pid, worker.worn = fields["generation"], fields["pid"], fields["worn"]
        worker.stage = WorkerStage[fields["stage"]]
        worker.served_from = None if fields["served"] is None else now - fields["served"]
        return worker

    @property
    def name(self) -> str:
        """What the operator reads."""
        pid = "" if self.pid is None else f"pid {self.pid}, "
        return f"worker {self.place} ({pid}generation {self.generation})"

    def is_wanted(self, current: Code) -> bool:
        """Whether it may stay: it is of the generation that its place should have, and not worn."""
        return self.generation == current.generation and not self.worn

    def service(self, now: float) -> float:
        """For how many seconds it has served."""
        return 0.0 if self.served_from is None else now - self.served_from


def _left(deadline: float, now: float) -> float | None:
    return None if deadline == math.inf else deadline - now


def _deadline(left: float | None, now: float) -> float:
    return math.inf if left is None else now + left


class Place:
    """One of the places of workers (or the one of the template), and how long it stays empty after failures."""

    __slots__ = ("failures", "not_before")

    def __init__(self) -> None:
        self.failures = 0
        self.not_before = -math.inf

    def vacate(self, now: float, service: float) -> float:
        """Note that its process has ended after so much service; return how long to wait for the next."""
        if service >= STEADY_SECONDS:
            self.failures = 0
        elif service < YOUNG_SECONDS:
            self.failures += 1
            if self.failures > 1:
                wait = min(3.0 ** min(self.failures - 2, 10), LONGEST_WAIT)
                self.not_before = now + wait
                return wait
        self.not_before = now
        return 0.0

    def carry(self, now: float) -> list[float | None]:
        """Write it down for the plan of another program in this process."""
        return [self.failures, self.not_before - now if self.not_before > now else None]

    def resume(self, fields: Sequence[Any], now: float) -> None:
        """Go on from what `carry` has written."""
        self.failures, left = fields
        self.not_before = -math.inf if left is None else now + left

    def forgive(self) -> None:
        """Forget the failures: what comes next is another code."""
        self.failures = 0
        self.not_before = -math.inf


class Credit:
    """How many workers may die young before their places have to wait.

    A fork of the template costs some milliseconds, so that an operator, or a request that kills its process now and
    then, need not leave a place empty; a crash loop uses the credit up.
    """

    __slots__ = ("_left", "_paid_at")

    def __init__(self) -> None:
        self._left = CREDIT_DEATHS
        self._paid_at = 0.0

    def carry(self, now: float) -> list[float]:
        """Write it down for the plan of another program in this process."""
        return [self._left, now - self._paid_at]

    def resume(self, fields: Sequence[Any], now: float) -> None:
        """Go on from what `carry` has written."""
        self._left, self._paid_at = fields[0], now - fields[1]

    def take(self, now: float) -> bool:
        """Use one, if there is any left."""
        paid = int((now - self._paid_at) / CREDIT_SECONDS)
        if paid:
            self._left = min(CREDIT_DEATHS, self._left + paid)
            self._paid_at += paid * CREDIT_SECONDS
        self._left -= 1
        if self._left < 0:
            self._left = 0
            return False
        return True


def attempt(wait: float) -> str:
    """Say when a process will be replaced."""
    return f"the next attempt in {wait:g} s" if wait else "it is replaced at once"
