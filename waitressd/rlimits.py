"""The limit of the system on descriptors: every client is one."""

import contextlib
import sys
from typing import Final

RESERVED_DESCRIPTORS: Final = 32  # for log files, spool files, and what the application opens
WANTED_DESCRIPTORS: Final = 65536  # what the soft limit is raised to if the hard limit allows it
FALLBACK_CONNECTIONS: Final = 1000  # if the system does not tell a limit


def raise_descriptor_limit() -> None:
    """Lift the soft limit on descriptors towards the hard one: every client is a descriptor."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_bound(limit: int) -> int:
    """Return how many clients may be connected at once: `limit`, or what the descriptors allow if that is 0."""
    if limit:
        return limit
    if sys.platform == "win32":
        return FALLBACK_CONNECTIONS
    import resource  # noqa: PLC0415 - not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return WANTED_DESCRIPTORS
    return max(1, soft - max(RESERVED_DESCRIPTORS, soft // 16))
