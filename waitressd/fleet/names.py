"""What the processes of a fleet are called in `ps`, `top` and `pgrep`: waitressd-main, waitressd-code7, waitressd-w2.

Linux alone has such names; elsewhere nothing happens. An exec takes the name away again.
"""

import contextlib
from pathlib import Path
from typing import Final

LONGEST_NAME: Final = 15  # characters; the kernel cuts off the rest, and with it the number (proc(5), comm)
MASTER: Final = "waitressd-main"

_COMM: Final = Path("/proc/self/comm")


def template_name(code: int) -> str:
    """Name the template of a generation of the application's code, counted from 1."""
    return _fitting(f"waitressd-code{code}", f"waitressd-c{code}", f"code{code}")


def worker_name(number: int) -> str:
    """Name the worker at a place, counted from 1."""
    return _fitting(f"waitressd-w{number}", f"w{number}")


def name_process(name: str) -> None:
    """Give this process a name. Threads that begin later begin with it; those that run keep theirs."""
    with contextlib.suppress(OSError):
        _COMM.write_bytes(name.encode("ascii", "replace"))


def _fitting(*names: str) -> str:
    return next((name for name in names if len(name) <= LONGEST_NAME), names[-1])
