"""What the server takes from the machine that can differ from run to run: time, locks and threads.

Whoever needs them gets a `Machine`; a simulation hands in one of its own, on which every step is the seed's choice.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


def processor_delay(path: str = "/proc/thread-self/schedstat") -> float:
    """Return for how many seconds this thread was ready to run and others had the processor; 0 where nobody tells."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path takes twice the time
            return int(file.read(100).split()[1]) / 1e9
    except (OSError, ValueError, IndexError):  # another system, or a kernel that does not count it
        return 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Time, locks and threads: the real ones, unless others are given."""

    monotonic: Callable[[], float] = time.monotonic
    thread_time: Callable[[], float] = time.thread_time
    processor_delay: Callable[[], float] = processor_delay
    sleep: Callable[[float], None] = time.sleep
    new_lock: Callable[[], threading.Lock] = threading.Lock
    new_condition: Callable[[threading.Lock], threading.Condition] = threading.Condition
    new_thread: Callable[..., threading.Thread] = threading.Thread


MACHINE: Final = Machine()
"""The real one."""
