"""The part of the table of settings about the health of worker processes: when one that lives is replaced."""

from dataclasses import dataclass
from typing import Final

from waitressd import kinds
from waitressd.config.settings import Group

SHORTEST_AGE_SECONDS: Final = 10.0  # a worker that is younger is never replaced by choice
_DAY: Final = 86400.0


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # see EffectiveSettings
class FleetTable:
    """Every setting about worker processes that hang, or are to be renewed, as in `SettingsTable`."""

    worker_stall_timeout: float = Group.WORKERS.setting(
        60.0,
        kinds.duration(1.0, _DAY, or_zero=True),
        "Seconds after which a worker is replaced whose event loop does not turn, though asked; 0 is never.\n"
        "So it is with one that is stopped, or where code in C keeps the interpreter lock. The log has the requests in "
        "flight and the stacks of its threads. Time in which the machine or the master stood still does not count.",
    )
    worker_stuck_timeout: float = Group.WORKERS.setting(
        60.0,
        kinds.duration(1.0, _DAY, or_zero=True),
        "Seconds after which a worker is set aside whose threads are all busy, end nothing, and keep others waiting.\n"
        "Another takes its place at once. It accepts nothing any more, and its requests may still end, within ten "
        "times this time. A worker whose threads are all busy while nobody waits is never stuck. 0 is never.",
    )
    worker_max_requests: int = Group.WORKERS.setting(
        0,
        kinds.integer(0, 1_000_000_000),
        "Requests after which a worker is replaced; 0 is never.\n"
        "As with worker_max_age and worker_max_memory, one worker is replaced at a time, the new one serves first, and "
        "none is replaced that has served less than 10 seconds. So that they do not come to it all at once, worker k "
        "of n gets 100 - 25 k/n percent of the limit.",
    )
    worker_max_age: float = Group.WORKERS.setting(
        0.0,
        kinds.duration(SHORTEST_AGE_SECONDS, 365 * _DAY, or_zero=True),
        "Seconds after which a worker is replaced; 0 is never.\nSee worker_max_requests for how that is done.",
    )
    worker_max_memory: int = Group.WORKERS.setting(
        0,
        kinds.size(0),
        "Memory of its own beyond which a worker is replaced; 0 is no limit.\n"
        "What it shares with the others does not count. It is measured every 10 seconds, on Linux only. Where a worker "
        "has more as soon as it is ready, the log says so, and nobody is replaced for it until the next reload. See "
        "worker_max_requests for how it is done.",
    )
