"""Waiting for something that another thread or process does, without a fixed sleep."""

import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.01


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Look again and again until `condition` is true; False when the time is over, for the test to fail on."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
