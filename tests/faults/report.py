"""The table of figures, and the scenarios that fill it."""

import importlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

MODULES: Final = (
    "holding", "storms", "memory", "threads", "traffic", "stopping", "lifecycle", "syscalls", "encrypted", "canary",
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One measured number beside its goal."""

    scenario: str
    name: str
    goal: str
    measured: str
    ok: bool


@dataclass
class Report:
    """Collects the figures of one scenario."""

    scenario: str
    figures: list[Figure] = field(default_factory=list)

    def that(self, name: str, goal: str, measured: object, *, ok: bool) -> None:
        """Add a figure that was judged already."""
        figure = Figure(self.scenario, name, goal, str(measured), ok)
        self.figures.append(figure)
        print(line(figure), flush=True)

    def at_most(self, name: str, measured: float, limit: float, unit: str = "") -> None:
        """Add a figure that must not be above its goal."""
        self.that(
            name, f"<= {_show(limit)} {unit}".rstrip(), f"{_show(measured)} {unit}".rstrip(), ok=measured <= limit
        )

    def at_least(self, name: str, measured: float, limit: float, unit: str = "") -> None:
        """Add a figure that must not be below its goal."""
        self.that(
            name, f">= {_show(limit)} {unit}".rstrip(), f"{_show(measured)} {unit}".rstrip(), ok=measured >= limit
        )

    def equal(self, name: str, measured: object, goal: object) -> None:
        """Add a figure that must be exactly its goal."""
        self.that(name, str(goal), measured, ok=measured == goal)


Run = Callable[[Report], None]


@dataclass(frozen=True)
class Scenario:
    """One attack, bounded in time."""

    name: str
    seconds: float
    run: Run


SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(name: str, seconds: float) -> Callable[[Run], Run]:
    """Register a function as a scenario that takes at most so many seconds."""

    def register(run: Run) -> Run:
        SCENARIOS[name] = Scenario(name, seconds, run)
        return run

    return register


def load() -> dict[str, Scenario]:
    """Import every module that holds scenarios."""
    for name in MODULES:
        importlib.import_module(f"tests.faults.{name}")
    return SCENARIOS


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread when the block takes longer."""

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    former = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def carry_out(each: Scenario) -> list[Figure]:
    """Run one scenario; what it raises is a figure that failed."""
    report = Report(each.name)
    begun = time.monotonic()
    load_before = os.getloadavg()[0]
    print(f"--- {each.name} (load of the machine {load_before:.1f})", flush=True)
    try:
        with time_limit(each.seconds):
            each.run(report)
    except Exception as error:  # border: a scenario that breaks must not hide the others
        report.that("the scenario itself", "runs to its end", f"{type(error).__name__}: {error}"[:300], ok=False)
    print(f"    {time.monotonic() - begun:.1f} s", flush=True)
    return report.figures


def line(figure: Figure) -> str:
    """One figure as a line of the table."""
    verdict = "ok" if figure.ok else "MISS"
    return f"{verdict:<4} | {figure.scenario}: {figure.name:<52} | {figure.goal:<18} | {figure.measured}"


def _show(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.2f}"
