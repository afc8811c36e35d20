"""What is worth saying about several workers: settings and log files that mean something else with each of them.

The codes and their texts are in `advice.py`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from waitressd.config.effective import EffectiveSettings

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
