"""The names of processes, as `top`, `pgrep` and `ps -o comm` show them."""

import contextlib
from pathlib import Path
from typing import Final

_COMM: Final = Path("/proc/self/comm")
MAX_LENGTH: Final = 15  # of what the kernel keeps


def name_process(role: str) -> None:
    """Call this process `waitressd-ROLE`. The main thread; nothing happens where the system has no such name."""
    with contextlib.suppress(OSError):
        _COMM.write_text(f"waitressd-{role}"[:MAX_LENGTH], encoding="ascii")
