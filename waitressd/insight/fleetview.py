"""What insight sees of a fleet, from the thread of its admin address. Without a lock."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # probes ask nobody, so a master answers them before it knows how
    from waitressd.insight.crowd import Member


@dataclass(frozen=True, slots=True)
class FleetState:
    """Where a fleet is, as its master has seen it last. A value, so that any thread may look at it."""

    life: str
    """As in every answer: starting, serving, leaving, draining."""
    since: float
    """Since when (monotonic seconds)."""
    serving: int
    """How many workers accept."""
    deserted_since: float
    """Since when there is none that does."""
    turned_at: float
    """When the master's loop has turned last."""


class FleetView(Protocol):
    """A fleet, seen from the thread of its admin address. Any thread, without a lock."""

    @property
    def state(self) -> FleetState:
        """Where it is."""

    @property
    def live_timeout(self) -> float:
        """The setting."""

    @property
    def longest_sleep_seconds(self) -> float:
        """How long the master's loop may rest."""

    def members(self) -> "list[Member]":
        """Return the workers that can be asked, by their places."""

    def drain(self) -> None:
        """Stop as SIGTERM does. Returns at once."""


def unasked_rows(view: FleetView) -> list[dict[str, Any]]:
    """Return what is shown of the workers of a fleet where they were not asked."""
    return [member_row(member, answered=None, silent_seconds=None) for member in view.members()]


def member_row(member: "Member", *, answered: bool | None, silent_seconds: float | None) -> dict[str, Any]:
    """Return what is shown of a worker, apart from what it has answered."""
    row = {"worker": member.worker, "pid": member.pid, "generation": member.generation}
    held = member.held()
    figures = dict(held.figures) if held is not None else None
    return row | {"answered": answered, "silent_seconds": silent_seconds, "figures": figures}
