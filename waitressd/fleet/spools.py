"""What waits in the spools of workers, and goes to their request logs when they are dead."""

import logging
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waitressd.fleet.link import Keep, Message
from waitressd.net.logs import say
from waitressd.requestlog.recovery import append_left
from waitressd.requestlog.spool import Left, read_left

JOIN_SECONDS: Final = 2.0  # for lines that are being written when the master ends


@dataclass(frozen=True, slots=True)
class _Held:
    fd: int
    path: str
    mode: int


class Spools:
    """The spools of all workers, by their numbers. The master's thread.

    Files are written by threads of their own: a disk that does not answer must not hold up the master.
    """

    def __init__(self) -> None:
        self._held: dict[int, list[_Held]] = {}
        self._threads: list[threading.Thread] = []

    def hold(self, worker: int, message: Message) -> None:
        """Hold a spool that a worker has told of."""
        fd = os.dup(message.descriptors[0])
        self._held.setdefault(worker, []).append(_Held(fd, str(message.fields["path"]), int(message.fields["mode"])))

    def carry(self, keep: Keep) -> list[list[Any]]:
        """Write them down for another program in this process."""
        return [
            [worker, keep(held.fd), held.path, held.mode] for worker, spools in self._held.items() for held in spools
        ]

    def resume(self, fields: Iterable[Sequence[Any]]) -> None:
        """Go on with what `carry` has written down. Raises OSError: a descriptor is not open."""
        for worker, fd, path, mode in fields:
            os.set_inheritable(fd, False)
            self._held.setdefault(worker, []).append(_Held(fd, path, mode))

    def bury(self, worker: int) -> None:
        """Have everything written that a worker has left. It is dead."""
        for held in self._held.pop(worker, ()):
            try:
                left = read_left(held.fd)
            except (OSError, ValueError) as error:
                say(logging.ERROR, "lines of worker %d for %s are lost: %s", worker, held.path, error)
                left = Left()
            os.close(held.fd)
            if left.lines:
                self._append(left, held)

    def join(self) -> None:
        """Wait a moment for what is being written."""
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _append(self, left: Left, held: _Held) -> None:
        thread = threading.Thread(
            target=append_left, args=(left, held.path, held.mode), name="waitressd-lines", daemon=True
        )
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()
