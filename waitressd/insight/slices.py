"""Long work in short slices, so that a thread that answers questions keeps nobody waiting for the interpreter.

What takes long is a generator that yields None wherever it may pause, and returns its result. Whoever drives it decides
what a pause is: the listener sends what it has and sleeps for a moment, a test goes straight on.
"""

import time
from collections.abc import Callable, Generator
from typing import Final, TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that pauses at each step, and has a result."""

SLICE_SECONDS: Final = 0.00025  # of work without a pause
PAUSE_SECONDS: Final = 0.0001


FINE_SECONDS: Final = 0.0001  # what a clock must tell apart to measure a slice
WORK_CLOCK: Final = (
    time.thread_time if time.get_clock_info("thread_time").resolution <= FINE_SECONDS else time.perf_counter
)
"""The time that a thread computes; where the system counts that in large steps, time as it passes."""


class Stopwatch:
    """Says when the present slice of work is over: by the time that this thread computes, not while others do."""

    __slots__ = ("_clock", "_end", "_seconds")

    def __init__(self, seconds: float = SLICE_SECONDS, clock: Callable[[], float] = WORK_CLOCK) -> None:
        self._seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def rings(self) -> bool:
        """Whether it is time for a pause; the caller makes one, and then goes on with `restart`."""
        return self._clock() >= self._end

    def restart(self) -> None:
        """A new slice begins."""
        self._end = self._clock() + self._seconds


def finish(steps: Steps[T], pause: Callable[[float], object] | None = None) -> T:
    """Do all of it, and return its result; `pause` sleeps between two slices."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if pause is not None:
            pause(PAUSE_SECONDS)


def padded(steps: Steps[T]) -> Generator[bytes, None, T]:
    """Do all of it, with an empty piece for each pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield b""
