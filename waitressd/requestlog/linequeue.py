"""A queue of lines that may keep them in a spool as well, until they are written."""

from typing import TYPE_CHECKING

from waitressd.requestlog.background import TOO_SLOW, BackgroundQueue

if TYPE_CHECKING:
    from waitressd.requestlog.spool import Spool


class LineQueue(BackgroundQueue[str]):
    """Lines on their way to a file. The lock of the queue guards the spool, too."""

    def _empty(self) -> None:
        super()._empty()
        self.spool: Spool | None = None
        """Where `put_kept` keeps lines; set before the first one. A child that was only forked has none."""

    def put_kept(self, item: str) -> None:
        """Have a line written soon, and keep it until then. Any thread; never waits."""
        data = (item + "\n").encode("ascii", "backslashreplace")
        size = self._measure(item)
        with self._lock:
            if self._room > 0:
                self._room -= size
                if not self._items:
                    self._wake()
                self._items.append(item)
                if self.spool is not None:
                    self.spool.add(data)
                return
        self._lost.add(TOO_SLOW)

    def wrote(self, count: int) -> None:
        """Keep the next `count` bytes no longer. The thread of the queue."""
        with self._lock:
            if self.spool is not None:
                self.spool.wrote(count)

    def close(self) -> bool:
        """Let what waits be written, for a while; return False if the thread still works then. Twice is harmless."""
        is_done = super().close()
        if is_done:
            with self._lock:
                spool, self.spool = self.spool, None
            if spool is not None:
                spool.close()
        return is_done


def encode_lines(lines: list[str]) -> bytes:
    """Return lines as they are in a file."""
    return ("\n".join(lines) + "\n").encode("ascii", "backslashreplace")
