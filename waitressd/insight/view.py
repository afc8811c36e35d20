"""What insight sees of a server. Every look is free of locks, and may be taken by any thread."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from waitressd.config.adjustments import Adjustments
from waitressd.life import Life

if TYPE_CHECKING:  # the master of a fleet, which has no server, uses what says whether one is well
    from waitressd.config.tlsadvice import ServedCertificate
    from waitressd.dispatch.lane import Lane
    from waitressd.net.pulse import Pulse

LIFE_WORDS: Final[Mapping[Life, str]] = {
    Life.BUILT: "starting",
    Life.LISTENING: "starting",
    Life.SERVING: "serving",
    Life.LEAVING: "leaving",
    Life.DRAINING: "draining",
    Life.ABORTING: "draining",
    Life.STOPPED: "stopped",
}
"""How `life` is called in answers."""


class ServerView(Protocol):
    """One server, seen from the thread of its admin address."""

    adjustments: Adjustments
    on_tick: list[Callable[[float], object]]
    """Called by the thread inside `run`, about once a second."""

    @property
    def life(self) -> Life:
        """Where it is in its life."""

    @property
    def life_since(self) -> float:
        """Since when (monotonic seconds)."""

    @property
    def lanes(self) -> "tuple[Lane, ...]":
        """Its event loops with their threads; none before it runs."""

    @property
    def pulse(self) -> "Pulse | None":
        """Whether the loops live; None before it runs."""

    @property
    def served_certificates(self) -> "tuple[ServedCertificate, ...]":
        """The certificates in use; none without TLS."""

    def own_figures(self) -> Mapping[str, Any]:
        """Say when certificates expire, and what request logs have lost."""

    def drain(self) -> None:
        """Stop as SIGTERM does. Returns at once."""
