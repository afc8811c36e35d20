"""What the server takes from the machine that can differ from run to run: time, locks and threads.

Whoever needs them gets a `Machine`; a simulation hands in one of its own, on which every step is the seed's choice.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


def thread_pauses() -> int:
    """Return how often this thread has given up the processor by itself, -1 where nobody counts that."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    except (ImportError, AttributeError):  # Linux alone counts for each thread
        return -1


@dataclass(frozen=True, slots=True)
class Machine:
    """Time, locks and threads: the real ones, unless others are given."""

    monotonic: Callable[[], float] = time.monotonic
    thread_time: Callable[[], float] = time.thread_time
    thread_pauses: Callable[[], int] = thread_pauses
    sleep: Callable[[float], None] = time.sleep
    new_lock: Callable[[], threading.Lock] = threading.Lock
    new_condition: Callable[[threading.Lock], threading.Condition] = threading.Condition
    new_thread: Callable[..., threading.Thread] = threading.Thread


MACHINE: Final = Machine()
"""The real one."""
