"""Where a worker writes the stacks of its threads when it gets SIGQUIT: a file without a name that its master reads.

The interpreter's own handler writes there, which needs no interpreter lock, so one that hangs in C code writes too. The
master passes on what comes, so that the stacks of several workers do not get between each other in one log, and whoever
asks at an admin address is given them.
"""

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from waitressd.fleet.link import Keep
from waitressd.inhand import InHand
from waitressd.memoryfile import new_file

if sys.platform != "win32":
    import fcntl

SETTLED_SECONDS: Final = 0.05  # without a further byte: what was written is whole
KEPT_BYTES: Final = 1 << 20  # that may lie in the file; what was read is thrown away then
_LOOK_SECONDS: Final = 0.005
_THREAD: Final = re.compile(r"^((?:Thread|Current thread) 0x([0-9a-f]+)[^(\n]*)", re.MULTILINE)


class StackFile:
    """The file of one worker, as the master has it. Raises OSError: there is no memory.

    `look` and `close` are for the master's thread, `ask` is for any other.
    """

    def __init__(self, fd: int | None = None, taken_bytes: int = 0) -> None:
        """With `fd` it is there already, and so much of it was read."""
        self.fd = new_file("waitressd-stacks") if fd is None else fd
        """What the worker writes to; closed by `close`."""
        with contextlib.suppress(OSError):  # every process that has it writes to the end, also when it was cut
            fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)
        self._taken_bytes = taken_bytes  # of the file, that somebody has read
        self._seen_bytes = taken_bytes  # at the last look
        self._seen_at = 0.0
        self._is_over = False
        self._asking: Final = threading.Lock()  # held by whoever waits for an answer of the worker, or reads the file

    @classmethod
    def resume(cls, fields: Mapping[str, Any]) -> "StackFile":
        """Go on with what `carry` has written down. Raises OSError: the descriptor is not open."""
        os.set_inheritable(fields["fd"], False)
        return cls(fields["fd"], fields["taken"])

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write it down for another program in this process. It is not closed."""
        return {"fd": keep(self.fd), "taken": self._taken_bytes}

    def look(self, now: float) -> str:
        """Return what the worker has written and nobody has read, "" as long as it may be writing. Never waits.

        What somebody else has asked for is left to them.
        """
        if not self._asking.acquire(blocking=False):
            return ""
        try:
            size = self._size()
            if size != self._seen_bytes:
                self._seen_bytes, self._seen_at = size, now
            is_settled = size > self._taken_bytes and now - self._seen_at >= SETTLED_SECONDS
            return self._take(size) if is_settled else ""
        finally:
            self._asking.release()

    @property
    def due(self) -> float:
        """When `look` is wanted, monotonic seconds; infinite if nothing has come since the last time."""
        return self._seen_at + SETTLED_SECONDS if self._seen_bytes > self._taken_bytes else float("inf")

    def ask(self, request: Callable[[], object], seconds: float) -> str:
        """Have the worker write its stacks, by `request`, and return them; "" if it has not in this time. May wait."""
        end = time.monotonic() + seconds
        if not self._asking.acquire(timeout=seconds):
            return ""
        try:
            before = size = max(self._size(), self._taken_bytes)
            request()
            settled_at = end
            while (now := time.monotonic()) < min(end, settled_at) and not self._is_over:
                time.sleep(_LOOK_SECONDS)
                if (found := self._size()) != size:
                    size, settled_at = found, now + SETTLED_SECONDS
            return self._take(size) if size > before else ""
        finally:
            self._asking.release()

    def close(self) -> str:
        """Throw it away, its worker has ended; return what nobody has read. Twice is harmless."""
        self._is_over = True  # whoever waits does so no longer
        with self._asking:
            if self.fd < 0:
                return ""
            size = self._size()
            rest = self._take(size) if size > self._taken_bytes else ""
            os.close(self.fd)
            self.fd = -1
            return rest

    def _size(self) -> int:
        return os.fstat(self.fd).st_size if self.fd >= 0 else 0

    def _take(self, size: int) -> str:
        data = os.pread(self.fd, size - self._taken_bytes, self._taken_bytes)
        self._taken_bytes = self._seen_bytes = size
        if size > KEPT_BYTES:
            os.ftruncate(self.fd, 0)
            self._taken_bytes = self._seen_bytes = 0
        return data.decode("utf-8", "backslashreplace").strip()


def with_requests(stacks: str, requests: Sequence[InHand], now: float) -> str:
    """Say for each thread in these stacks which request it runs, and since when. `now` is monotonic seconds."""
    by_thread = {request.thread: request for request in requests}

    def name(match: re.Match[str]) -> str:
        request = by_thread.get(int(match[2], 16))
        if request is None:
            return match[0]
        return f"{match[1].rstrip()} [{request.describe()}, {max(0.0, now - request.since):.1f} s] "

    return _THREAD.sub(name, stacks)
