"""One answer in the making: pieces are made until a slice of time is used up, and equal questions share it.

Knows questions and answers; knows no sockets.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.endpoints import bad_question, json_answer
from waitressd.insight.slices import WORK_CLOCK
from waitressd.net.logs import report_defect

SHARED_SECONDS: Final = 0.1  # how long an answer is good for whoever asks the same, at least
MOST_SHARED_SECONDS: Final = 0.5  # so that who asks each second always gets a new one
SHARE: Final = 0.01  # of a processor, that equal questions may cost: what costs more to make is good for longer
NOT_SHARED: Final = ("probes", "control", "profile")  # what is as of now and costs nothing, or is for one alone

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that is ready to be sent, as often as it is wanted."""

    status: int
    content_type: str
    body: bytes
    fields: tuple[tuple[str, str], ...] = ()


class Rendering:
    """The way from a question to a whole answer. One thread at a time: that of the admin address, or the slow lane."""

    def __init__(self, query: Query, endpoint: Endpoint) -> None:
        self.query = query
        self.endpoint = endpoint
        self.whole: Whole | None = None
        """The answer, once it is whole."""
        self.is_given_up = False
        """Whether nobody waits for it any more. Any thread."""
        self.spent_seconds = 0.0
        """What has been computed for it."""
        self._answer: Answer | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._made: list[bytes] = []

    def work(self, seconds: float, clock: Callable[[], float] = WORK_CLOCK) -> bool:
        """Go on making it for so long, or a piece longer; True once it is whole. Whatever fails, there is an answer.

        The time is what this thread computes: while others do, or while it sleeps, nobody waits for this one. Whoever
        wants to look at something else now and then gives a clock that goes on.
        """
        begin = WORK_CLOCK()
        is_whole = self._work(clock() + seconds, clock)
        self.spent_seconds += WORK_CLOCK() - begin
        return is_whole

    def _work(self, end: float, clock: Callable[[], float]) -> bool:
        try:
            if self._answer is None:
                self._answer = self.endpoint.answer(self.query)
                self._pieces = iter(self._answer.body)
            while (piece := next(self._pieces, None)) is not None:
                self._made.append(piece)
                if clock() >= end:
                    return False
            answer = self._answer
            self.whole = Whole(answer.status, answer.content_type, b"".join(self._made), answer.fields)
        except BadQuestion as error:
            self.whole = whole(bad_question(str(error)))
        except Exception:  # border: endpoints look at everything that there is, the application's own included
            report_defect("the admin address could not answer %s", self.endpoint.path)
            self.whole = whole(json_answer(500, {"error": "This could not be answered; see the log.", "setting": None}))
        self._made.clear()
        return True

    def close(self) -> None:
        """Make no more of it, and let go of what it holds."""
        self._made.clear()
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def whole(answer: Answer) -> Whole:
    """Make all of a small answer at once."""
    return Whole(answer.status, answer.content_type, b"".join(answer.body), answer.fields)


class Shared:
    """Answers that others may get as well: those in the making, and those that are fresh."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[Rendering, float]] = {}  # with the time until which it is fresh

    def find(self, key: Key, now: float) -> Rendering | None:
        """Return the answer to an equal question, if it is still good."""
        self.forget(now)
        known = self._known.get(key)
        return known[0] if known is not None else None

    def begin(self, key: Key, rendering: Rendering) -> None:
        """Let others share an answer from now on."""
        if rendering.endpoint.group not in NOT_SHARED:
            self._known[key] = rendering, float("inf")

    def complete(self, rendering: Rendering, now: float) -> None:
        """An answer is whole, and becomes stale."""
        for key, (known, _) in self._known.items():
            if known is rendering:
                seconds = max(SHARED_SECONDS, min(MOST_SHARED_SECONDS, rendering.spent_seconds / SHARE))
                self._known[key] = known, now + seconds
                return

    def clear(self) -> None:
        """Give all up: somebody has changed something, and wants to see it."""
        self._known.clear()

    def drop(self, rendering: Rendering) -> None:
        """An answer will not be made."""
        self._known = {key: known for key, known in self._known.items() if known[0] is not rendering}

    def forget(self, now: float) -> None:
        """Give up what is stale."""
        for key in [key for key, (_, until) in self._known.items() if now >= until]:
            del self._known[key]

    def due(self) -> Iterable[float]:
        """Return when answers become stale."""
        return (until for _, until in self._known.values())
