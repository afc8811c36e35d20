"""What comes back to an event loop: jobs whose task ended without the role, tasks that are late, gifts to siblings.

The holder of the dispatcher role brings them to an end; when no thread leads any more, whoever comes last does.
"""

import contextlib
from collections import deque
from threading import Lock
from typing import Final

from waitressd.net.eventloop import Settlement
from waitressd.net.logs import report_defect


class Settling:
    """What waits to be settled. Any thread may put something into `waiting`."""

    def __init__(self) -> None:
        self.waiting: Final[deque[Settlement]] = deque()
        self.last: Final = Lock()
        """Of who settles when no thread leads any more: the ledger has one writer."""

    @staticmethod
    def settle(settlement: Settlement) -> None:
        """Bring one to an end; never raises. The holder of the role, or who has the lock."""
        try:
            settlement.settle()
        except Exception:  # border: a defect of ours costs one client, not all of them
            report_defect("settling a request failed")
            settlement.close()

    def settle_last(self) -> None:
        """Settle what waits when no thread leads any more; of the leaving holder and a late task one gets each."""
        with self.last, contextlib.suppress(IndexError):
            while True:
                self.settle(self.waiting.popleft())
