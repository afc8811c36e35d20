"""What a master answers for its fleet.

Whether the fleet lives and is ready the master knows itself, so it answers that under any load: no code of the
application runs in its process. Everything else it asks its workers for (see `inquiry.py`).
"""

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.documents import Place, head
from waitressd.insight.endpoints import json_answer, no_parameters
from waitressd.insight.fleetview import FleetView, unasked_rows
from waitressd.insight.guard import CONTROL
from waitressd.insight.health import health_answer

if TYPE_CHECKING:
    from waitressd.insight.inquiry import Inquiry

_ASKED: Final = (
    *(("/requests", "requests"), ("/requests/", "requests"), ("/connections", "connections"), ("/threads", "threads")),
    *(("/slow", "slow"), ("/stats", "stats"), ("/config", "config"), ("/profile", "profile")),
)
"""Paths of the endpoints that workers answer, and their groups."""


class FleetEndpoints:
    """The endpoints of a master. The thread of the admin address and those of its slow lane."""

    def __init__(self, view: FleetView, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._place = place
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return them. What workers are asked for is slow: each such question has a thread that waits for them."""
        asked = [
            Endpoint(path, group, self._ask, has_children=path.endswith("/"), is_slow=True) for path, group in _ASKED
        ]
        return [
            Endpoint("/live", "probes", self._live),
            Endpoint("/ready", "probes", self._ready),
            *asked,
            Endpoint(f"{CONTROL}/drain", "control", self._drain),
            Endpoint(f"{CONTROL}/cancel", "control", self._ask, is_slow=True),
            Endpoint(f"{CONTROL}/log", "control", self._ask, is_slow=True),
        ]

    # -- what the master knows

    def _live(self, query: Query) -> Answer:
        no_parameters(query)
        view, state, now = self._view, self._view.state, self._clock()
        turn_age = max(0.0, now - state.turned_at - view.longest_sleep_seconds)
        reason = "dispatcher" if turn_age >= view.live_timeout else ""
        if not reason and state.life == "serving" and not state.serving:
            reason = "no_worker" if now - state.deserted_since >= view.live_timeout else ""
        details = {"reason": reason, "turn_age_seconds": round(turn_age, 3)} if reason else {}
        return health_answer(query, self._head(), "live", details)

    def not_ready(self) -> tuple[str, float]:
        """Say why no request should be sent here ("" if they are welcome), and since when (monotonic seconds)."""
        state = self._view.state
        if state.life != "serving":
            return state.life, state.since
        return ("", state.since) if state.serving else ("no_worker", state.deserted_since)

    def _ready(self, query: Query) -> Answer:
        no_parameters(query)
        reason, since = self.not_ready()
        seconds = round(max(0.0, self._clock() - since), 3)
        return health_answer(
            query, self._head(), "ready", {"reason": reason, "since_seconds": seconds} if reason else {}
        )

    def _drain(self, query: Query) -> Answer:
        no_parameters(query)
        self._view.drain()
        return json_answer(202, {"effect": "the fleet stops, as by SIGTERM", "life": self._view.state.life})

    def _head(self) -> dict[str, Any]:
        return head(self._place, self._view.state.life, time.time()) | {"workers": unasked_rows(self._view)}

    # -- what workers know

    def _ask(self, query: Query) -> Answer:
        """Ask those who know. Several threads."""
        return self.inquiry.answer(query)

    @cached_property
    def inquiry(self) -> "Inquiry":
        """What asks the workers. To be asked for by who owns the endpoints as soon as they answer.

        It is half of all that a master imports, and probes need not wait for that; but at the first question the
        files could be those of a version that was installed meanwhile.
        """
        from waitressd.insight.inquiry import Inquiry  # noqa: PLC0415 - see above

        return Inquiry(self._view, self._place, self._clock)
