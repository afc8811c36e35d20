"""How many connections the workers of a fleet have given to each other: sums over all that there are and were.

A row of the board is cleared when its worker has ended, so what was seen in it is kept, and no sum ever falls.
"""

import threading
from typing import Final

from waitressd.fleet.board import Board, Field

REASONS: Final = {"placed": Field.PASSED_ON, "rebalanced": Field.REBALANCED}
"""Why a connection goes to another worker: when it is new, and later."""


class Moved:
    """The sums. Any thread."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()  # guards both; held for as long as it takes to read some numbers
        self._before: Final = dict.fromkeys(REASONS, 0)  # of workers that have ended
        self._seen: Final[dict[int, dict[str, int]]] = {}  # by the numbers of the workers

    def look(self, board: Board | None) -> dict[str, int]:
        """Read the rows, and return the sums by REASONS."""
        with self._lock:
            for row in board.used().values() if board is not None else ():
                # A row that is being cleared, or is another worker's by now, says less than it did.
                seen = self._seen.setdefault(row[Field.NUMBER], dict.fromkeys(REASONS, 0))
                for reason, field in REASONS.items():
                    seen[reason] = max(seen[reason], row[field])
            return {
                reason: before + sum(seen[reason] for seen in self._seen.values())
                for reason, before in self._before.items()
            }

    def bury(self, worker: int) -> None:
        """Keep what was seen of a worker that has ended. Twice is harmless."""
        with self._lock:
            for reason, count in self._seen.pop(worker, {}).items():
                self._before[reason] += count
