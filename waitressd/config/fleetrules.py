"""What settings about worker processes say about each other: combinations that cannot work."""

from collections.abc import Iterator
from typing import Final

from waitressd.config.effective import EffectiveSettings
from waitressd.config.reading import Complaint

OF_A_MASTER: Final = (
    *("worker_boot_timeout", "worker_stall_timeout", "worker_stuck_timeout"),
    *("worker_max_requests", "worker_max_age", "worker_max_memory"),
)
"""Settings that a master follows, and nobody else."""
LEAST_MEMORY_BYTES: Final = 1 << 20


def fleet_conflicts(adjustments: EffectiveSettings) -> Iterator[Complaint]:
    """Find every such combination."""
    if adjustments.supervise is False:
        if adjustments.workers != 1:
            yield Complaint(
                "supervise",
                "is off, and only a master can look after several workers: leave it out, or set workers = 1",
                ("workers",),
            )
        for name in OF_A_MASTER:
            if name in adjustments.origins and getattr(adjustments, name):
                yield Complaint(name, "has no meaning while supervise is off: a master follows it", ("supervise",))
    memory = adjustments.worker_max_memory
    if 0 < memory < LEAST_MEMORY_BYTES:
        text = f"is {memory} bytes, and every worker has more; expected a size such as 512M, or 0"
        yield Complaint("worker_max_memory", text)
    if adjustments.worker_max_requests and adjustments.metrics == "off":
        yield Complaint(
            "worker_max_requests", "cannot be followed while metrics is off: nothing is counted", ("metrics",)
        )
