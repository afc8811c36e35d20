"""How much an event loop takes on, as values; `wiring.py` fills it in."""

from dataclasses import dataclass
from typing import Final

QUEUE_FULL: Final = "The server has more requests than it can take."
QUEUE_LATE: Final = "No thread was free in time."
"""Why a request is answered 503."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the dispatcher takes on, under the names of the settings. 0 means no bound for a client."""

    threads: int = 4
    connection_limit: int = 1000
    per_client_connection_limit: int = 0
    queue_limit: int = 1000
    queue_timeout: float = 30.0
    channel_timeout: float = 120.0
    finest_deadline_seconds: float = 2.0  # the shortest deadline of a channel
