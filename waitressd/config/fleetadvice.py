"""What is worth saying about several workers: settings and log files that mean something else with each of them.

The codes and their texts are in `advice.py`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from waitressd.config.effective import EffectiveSettings
from waitressd.config.fleetrules import OF_A_MASTER
from waitressd.config.timelimitadvice import limits
from waitressd.kinds import show_seconds, show_size

MANY_THREADS: Final = 200  # of all workers together

_PER_WORKER: Final = ("connection_limit", "per_client_connection_limit")

Finding = tuple[str, str]


def unshared_log_files(settings: EffectiveSettings, cores: int, handlers: Iterable[str]) -> Iterator[Finding]:
    """Find handlers that each worker uses as if the file were its own; `handlers` are in words."""
    if settings.is_fleet(cores):
        for handler in handlers:
            yield "workers", f"{handler}, and so does every other process of the fleet"


def limits_per_worker(settings: EffectiveSettings, cores: int) -> Iterator[Finding]:
    """Find limits of which there are as many as workers."""
    workers = settings.worker_count(cores)
    for name in _PER_WORKER:
        limit = getattr(settings, name)
        if limit and workers > 1:
            yield name, f"{name} is {limit} in each of {workers} workers"


def many_threads(settings: EffectiveSettings, cores: int) -> Iterator[Finding]:
    """Find more threads than help anybody, over all workers."""
    workers = settings.worker_count(cores)
    if workers > 1 and workers * settings.threads > MANY_THREADS:
        yield "threads", f"{settings.threads} threads in each of {workers} workers are {settings.threads * workers}"


def without_workers(settings: EffectiveSettings, cores: int) -> Iterator[Finding]:
    """Find what only a master follows, where there is none."""
    if settings.is_fleet(cores) or (settings.workers is None and not cores):
        return
    for name in OF_A_MASTER:
        if name in settings.origins and getattr(settings, name):
            yield name, f"{name} is set, and everything happens in one process"


def stuck_in_time(settings: EffectiveSettings, cores: int) -> Iterator[Finding]:
    """Find a worker set aside because of requests that may take so long."""
    stuck = settings.worker_stuck_timeout
    if settings.is_fleet(cores) and stuck:
        name, longest = max(limits(settings), key=lambda limit: limit[1], default=("", 0.0))
        if longest > stuck:
            text = f"worker_stuck_timeout is {show_seconds(stuck)} s, and {name} allows {show_seconds(longest)} s"
            yield "worker_stuck_timeout", text


def too_much_memory(settings: EffectiveSettings, cores: int, memory_bytes: int) -> Iterator[Finding]:
    """Find limits that are never reached, because the memory of the machine ends before."""
    workers, each = settings.worker_count(cores), settings.worker_max_memory
    if settings.is_fleet(cores) and memory_bytes and workers * each > memory_bytes:
        text = f"worker_max_memory is {show_size(each)} in each of {workers} workers, and there are "
        yield "worker_max_memory", text + f"{show_size(memory_bytes >> 20 << 20)}"
