"""What to think of a worker that lives: whether it has stalled, is stuck, or should be renewed.

Values in, a verdict with its reason out. No process, no board, no clock: the master reads, and hands over.

Time is counted in looks of a master that was itself on time (`Looks`). So nobody is condemned for a time in which the
machine or the master stood still; and a worker that was stopped for less than a timeout is not condemned either.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from waitressd.kinds import show_seconds

SILENT_SECONDS: Final = 1.25  # a worker that is well says so once a second, and may be late
LATE_SECONDS: Final = 0.5  # beyond its time a look is late: the machine or the master stood still
SAME_SECONDS: Final = 0.01  # two times that differ by less are the same one, written down twice
LONGEST_LOOK_SECONDS: Final = 1.0  # between two looks
SHORTEST_LOOK_SECONDS: Final = 0.25
SPREAD_PERCENT: Final = 25  # by which limits differ from place to place, so that workers do not reach them together


class Kind(Enum):
    """What is the matter with a worker."""

    STALLED = "stalled"  # its event loop does not turn
    STUCK = "stuck"  # its threads are all busy, end nothing, and requests wait
    TOO_MANY = "requests"  # it has handled as many as it may
    TOO_OLD = "age"
    TOO_BIG = "memory"
    BORN_TOO_BIG = "memory at birth"  # the limit leaves no room: a successor would be no better


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is the matter with a worker, and the reason in words."""

    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may be and do; 0 is no limit."""

    stall_seconds: float = 0.0
    stuck_seconds: float = 0.0
    max_requests: int = 0
    max_age_seconds: float = 0.0
    max_memory_bytes: int = 0

    @property
    def look_seconds(self) -> float:
        """How often workers are to be looked at: a twentieth of the shortest timeout, within bounds."""
        parts = [seconds / 20 for seconds in (self.stall_seconds, self.stuck_seconds) if seconds]
        return max(SHORTEST_LOOK_SECONDS, min([LONGEST_LOOK_SECONDS, *parts]))

    def of_place(self, place: int, size: int) -> "Limits":
        """Return those of one of `size` places: the first may have nearly all, the last three quarters.

        Workers that were born together, and get the same share of the requests, come to their limits one by one.
        """
        share = 1 - SPREAD_PERCENT / 100 * min(place, size) / size
        return replace(
            self,
            max_requests=max(1, int(self.max_requests * share)) if self.max_requests else 0,
            max_age_seconds=self.max_age_seconds * share,
            max_memory_bytes=int(self.max_memory_bytes * share),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """How a worker was found at one look, by its row of the board. Times are monotonic seconds; 0.0 is never."""

    turned_at: float = 0.0  # when its event loop turned last, or was found idle; 0.0: it does not say
    threads: int = 0
    busy: int = 0  # threads that run a task
    queued: int = 0  # requests that wait for a thread
    ended_at: float = 0.0  # when a task ended last
    requests: int = 0
    age_seconds: float = 0.0
    memory_bytes: int | None = None  # of its own; None: not measured at this look
    is_newborn: bool = False  # it has just become ready


class Looks:
    """The time that counts: of looks that came when they should."""

    def __init__(self) -> None:
        self.counted = 0.0
        """Seconds that count, since the first look."""
        self.gap = 0.0
        """Those of them since the look before."""
        self.now = 0.0
        """When the present look is, monotonic seconds."""
        self._due = 0.0

    def look(self, now: float, next_seconds: float) -> None:
        """Begin a look; the next one should come in so many seconds."""
        seconds = now - self.now if self._due else 0.0
        is_late = now > self._due + LATE_SECONDS
        self.gap = min(seconds, self._due - self.now) if is_late and self._due else seconds
        self.counted += self.gap
        self.now = now
        self._due = now + next_seconds


class Case:
    """What is known of one worker, look by look."""

    def __init__(self) -> None:
        self._turned_at = -1.0  # as the worker has it; below 0: not read yet
        self._turned = 0.0  # the same in time that counts
        self._ended: tuple[float, int] | None = None
        self._is_jammed = False
        self._jammed_seconds = 0.0
        self._unproved_seconds = 0.0  # in which it may have been stopped

    def look(self, looks: Looks, reading: Reading, limits: Limits) -> Verdict | None:
        """Judge by what was read now and before; None: nothing is the matter. Asked again, the verdict is the same."""
        has_turned = self._note_turn(looks, reading)
        self._note_jam(looks.gap, reading, has_turned=has_turned)
        return self._hang(looks, reading, limits) or self._wear(reading, limits)

    def _note_turn(self, looks: Looks, reading: Reading) -> bool:
        if reading.turned_at < self._turned_at + SAME_SECONDS:
            return False
        self._turned_at = reading.turned_at
        # It has turned since the look before, so it was not silent for longer than that, whatever stood still.
        silent = min(looks.gap, looks.now - reading.turned_at)
        self._turned = looks.counted - max(0.0, silent)
        return True

    def _note_jam(self, gap: float, reading: Reading, *, has_turned: bool) -> None:
        """Count for how long nothing has ended although somebody waits, while the worker itself ran."""
        ended = (reading.ended_at, reading.requests)
        is_full = 0 < reading.threads <= reading.busy and reading.queued > 0
        was_jammed, self._is_jammed = self._is_jammed and ended == self._ended, is_full
        self._ended = ended
        if not (was_jammed and self._is_jammed):
            self._jammed_seconds = self._unproved_seconds = 0.0
            return
        self._unproved_seconds += gap
        if has_turned:  # else it may be stopped
            if self._unproved_seconds <= SILENT_SECONDS + gap:
                self._jammed_seconds += self._unproved_seconds
            self._unproved_seconds = 0.0

    def _hang(self, looks: Looks, reading: Reading, limits: Limits) -> Verdict | None:
        silent = looks.counted - self._turned
        if limits.stall_seconds and self._turned_at > 0 and silent >= limits.stall_seconds + SILENT_SECONDS:
            return Verdict(Kind.STALLED, f"its event loop has not turned for {silent:.1f} s")
        if limits.stuck_seconds and self._jammed_seconds >= limits.stuck_seconds:
            text = f"its threads are all busy and have ended no request for {self._jammed_seconds:.1f} s"
            return Verdict(Kind.STUCK, f"{text}, and {reading.queued} more wait")
        return None

    @staticmethod
    def _wear(reading: Reading, limits: Limits) -> Verdict | None:
        memory = reading.memory_bytes
        if memory is not None and 0 < limits.max_memory_bytes <= memory:
            text = f"{memory >> 20}M of its own, and its place may have {limits.max_memory_bytes >> 20}M"
            return Verdict(Kind.BORN_TOO_BIG if reading.is_newborn else Kind.TOO_BIG, f"{text} (worker_max_memory)")
        if 0 < limits.max_requests <= reading.requests:
            return Verdict(Kind.TOO_MANY, f"{reading.requests} requests (worker_max_requests)")
        if 0 < limits.max_age_seconds <= reading.age_seconds:
            return Verdict(Kind.TOO_OLD, f"it is {show_seconds(int(reading.age_seconds))} s old (worker_max_age)")
        return None
