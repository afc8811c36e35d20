"""Whether the server lives and whether it wants requests: `/live` and `/ready`.

Two questions with two consequences. Who is not alive is killed; so nothing of the application counts there: a restart
would only begin the same again, with everybody's requests lost. Who is not ready gets no requests for a while.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.endpoints import json_answer, no_parameters
from waitressd.insight.parameters import prefers_text
from waitressd.insight.view import ServerView
from waitressd.life import Life

GROUP: Final = "probes"

_TEXT: Final = "text/plain; charset=utf-8"
_REASONS: Final = {
    Life.BUILT: "starting",
    Life.LISTENING: "starting",
    Life.LEAVING: "leaving",
    Life.DRAINING: "draining",
    Life.ABORTING: "draining",
    Life.STOPPED: "draining",
}


class Health:
    """The state of health of one server. The thread of the admin address, but for `look`."""

    def __init__(
        self, view: ServerView, head: Callable[[], dict[str, Any]] = dict, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`head` returns what every document begins with."""
        self._view = view
        self._head = head
        self._clock = clock
        self._reason = ""  # why it was not ready at the last look, and since when
        self._since = 0.0
        view.on_tick.append(self.look)

    def endpoints(self) -> list[Endpoint]:
        """Return what answers the probes."""
        return [Endpoint("/live", GROUP, self.answer_live), Endpoint("/ready", GROUP, self.answer_ready)]

    def not_live(self) -> tuple[str, float]:
        """Say why the server should be restarted ("" if it should not), and how long the event loop has not turned."""
        pulse = self._view.pulse
        if pulse is None or self._view.life is Life.STOPPED:
            return "", 0.0
        seconds = pulse.poke(self._clock())
        if seconds >= self._view.adjustments.live_timeout:
            return "dispatcher", seconds
        return "" if pulse.is_whole else "pool", seconds

    def not_ready(self) -> tuple[str, float]:
        """Say why no request should be sent here ("" if they are welcome), and for how long that has been so."""
        now = self._clock()
        reason, since = self._look(now)
        return reason, max(0.0, now - since) if reason else 0.0

    def look(self, now: float) -> None:
        """Notice since when something is so. The thread inside `run`, about once a second."""
        self._look(now)

    def answer_live(self, query: Query) -> Answer:
        """Answer `/live`."""
        no_parameters(query)
        reason, seconds = self.not_live()
        details = {"reason": reason, "turn_age_seconds": round(seconds, 3)} if reason else {}
        return health_answer(query, self._head(), "live", details)

    def answer_ready(self, query: Query) -> Answer:
        """Answer `/ready`."""
        no_parameters(query)
        reason, seconds = self.not_ready()
        details = {"reason": reason, "since_seconds": round(seconds, 3)} if reason else {}
        return health_answer(query, self._head(), "ready", details)

    def _look(self, now: float) -> tuple[str, float]:
        view = self._view
        if view.life is not Life.SERVING:
            return _REASONS[view.life], view.life_since
        if view.pulse is None:
            reason, since = "starting", view.life_since
        elif not view.pulse.is_accepting:
            reason, since = "paused", now
        else:
            reason, since = self._queue(now)
        # Two threads may do that at once: both have seen the same, a moment apart.
        if reason != self._reason:
            self._reason, self._since = reason, since
        return reason, self._since

    def _queue(self, now: float) -> tuple[str, float]:
        """Return the reason that requests wait too long, and since when, by the first of the queue."""
        limit = self._view.adjustments.ready_queue_wait
        if not limit:
            return "", now
        waits = (job.waiting_since for lane in self._view.lanes for job in lane.dispatcher.role.queue.copy())
        oldest = min(waits, default=now)
        return ("queue", oldest + limit) if now - oldest > limit else ("", now)


def health_answer(query: Query, beginning: Mapping[str, Any], name: str, details: Mapping[str, Any]) -> Answer:
    """Answer a probe: yes, or no with its `details`, of which the reason is the word where text is wanted."""
    status = 503 if details else 200
    if prefers_text(query.accept):
        return Answer(status, _TEXT, [f"{details.get('reason', name)}\n".encode()])
    return json_answer(status, {**beginning, name: not details, **details})
