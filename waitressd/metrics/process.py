"""What this process uses of the machine: memory, time of processors, descriptors."""

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self")
_IMPORTED: Final = time.time()  # where the system does not say when the process began


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What it uses now; None where this system does not tell."""

    rss_bytes: int | None
    """Memory that is resident."""
    cpu_seconds: float
    """Of all its threads, since its start."""
    fds: int | None
    """Open descriptors."""
    fd_limit: int | None
    """How many there may be; None without a limit, too."""


def process_use() -> ProcessUse:
    """Look. Any thread; touches no disk."""
    return ProcessUse(_rss_bytes(), time.process_time(), _descriptors(), _descriptor_limit())


def _rss_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((_PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _descriptors() -> int | None:
    folder = _PROC / "fd"
    with contextlib.suppress(OSError):
        # Since Linux 6.2 the size of the folder is their number; a list of thousands takes milliseconds.
        return folder.stat().st_size or len(os.listdir(folder))  # noqa: PTH208 - a Path for each takes four times as long
    return None


def process_started() -> float:
    """Return when this process began, in seconds since the epoch: a child that was only forked began later."""
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        ticks = int((_PROC / "stat").read_text().rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    return _IMPORTED


def _descriptor_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class CpuShare:
    """How much of the processors' time the process has used lately. `look` is for one thread, `share` for any."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self.share: float | None = None
        """Between the last two looks: 1.0 is one processor; None before there are two."""

    def look(self, now: float, cpu_seconds: float) -> None:
        """Note what was used until `now` (monotonic seconds). About once a second."""
        if self._last is not None and now > self._last[0]:
            self.share = max(0.0, (cpu_seconds - self._last[1]) / (now - self._last[0]))
        self._last = now, cpu_seconds
