"""How many connections the workers of a fleet have given to each other: sums over all that there are and were.

A row of the board is cleared when its worker has ended, so what was seen in it is kept, and no sum ever falls.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

from waitressd.fleet.board import Board, Field

REASONS: Final = {"placed": Field.PASSED_ON, "rebalanced": Field.REBALANCED, "drained": Field.DRAINED}
"""Why a connection goes to another worker: when it is new, later, and when its worker ends."""


class Moved:
    """The sums. Any thread."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()  # guards both; held for as long as it takes to read some numbers
        self._before: Final = dict.fromkeys(REASONS, 0)  # of workers that have ended
        self._seen: Final[dict[int, dict[str, int]]] = {}  # by the numbers of the workers

    def carry(self, board: Board | None) -> dict[str, Any]:
        """Write down what another program in this process counts on from."""
        self.look(board)
        with self._lock:
            return {
                "before": self._before.copy(),
                "seen": [[number, *seen.items()] for number, seen in self._seen.items()],
            }

    def resume(self, fields: Mapping[str, Any]) -> None:
        """Count on from what `carry` has written down; a version without these sums has written nothing."""
        with self._lock:
            self._before.update(_known(fields.get("before", {})))
            self._seen.update((number, _known(dict(seen))) for number, *seen in fields.get("seen", ()))

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


def _known(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that this version knows; another one may move connections for other reasons."""
    return {reason: counts.get(reason, 0) for reason in REASONS}
