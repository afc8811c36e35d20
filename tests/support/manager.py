"""A service manager as systemd is one: it listens to what its service says, and keeps descriptors for it.

The other side of sd_notify(3) and sd_listen_fds(3), as far as a service sees it.
"""

import contextlib
import fcntl
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.support.servers import START_SECONDS, ServerProcess, spawn

STORE_SIZE: Final = 16
_FIRST: Final = 200  # where descriptors wait in the new process until they are put in their places
_MESSAGE_BYTES: Final = 65536

# Puts the descriptors where a service expects them, says for whom they are, and becomes the service.
_LAUNCHER: Final = f"""
import os, sys
count = int(sys.argv[1])
for index in range(count):
    os.dup2({_FIRST} + index, 3 + index)
    os.close({_FIRST} + index)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""

Process = TypeVar("Process", bound=ServerProcess)


class Manager:
    """The manager of one service: what it was told, and what it keeps."""

    def __init__(self, folder: Path, store_size: int = STORE_SIZE) -> None:
        self.path = str(folder / "notify")
        self.store_size = store_size
        self.kept: dict[str, int] = {}
        """Descriptors by their names; two of one name are not told apart here."""
        self.messages: list[list[str]] = []
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._hear, name="service manager")
        self._thread.start()

    def _hear(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, 16)
            if not data:
                return
            lines = data.decode().split("\n")
            with self._changed:
                self._act(lines, descriptors)
                self.messages.append(lines)
                self._changed.notify_all()

    def _act(self, lines: list[str], descriptors: list[int]) -> None:
        fields = dict(line.split("=", 1) for line in lines if line)
        name = fields.get("FDNAME", "stored")
        for fd in descriptors:
            is_known = any(os.path.sameopenfile(fd, other) for other in self.kept.values())
            if fields.get("FDSTORE") == "1" and not is_known and len(self.kept) < self.store_size:
                self.kept[name] = fd
            else:
                os.close(fd)
        if fields.get("FDSTOREREMOVE") == "1" and name in self.kept:
            os.close(self.kept.pop(name))

    def wait_for(self, wanted: str, since: int = 0) -> list[str]:
        """Wait until a message says `wanted`; return its lines."""

        def found() -> list[str] | None:
            return next((lines for lines in self.messages[since:] if wanted in lines), None)

        with self._changed:
            lines = self._changed.wait_for(found, START_SECONDS)
        assert lines, f"nobody said {wanted!r}: {self.messages[since:]}"
        return lines

    def wait_for_kept(self, count: int) -> None:
        """Wait until so many descriptors are kept."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.kept) == count, START_SECONDS), self.kept

    def mark(self) -> int:
        """Return a place among the messages, for `wait_for` to look behind it."""
        with self._changed:
            return len(self.messages)

    def counts(self) -> "Counter[str]":
        """Count the messages by their first words."""
        with self._changed:
            return Counter(lines[0].partition("=")[0] for lines in self.messages)

    @contextlib.contextmanager
    def running(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], kind: type[Process]
    ) -> Iterator[Process]:
        """Start the service with what is kept; ready when it says so. Take it away at the end."""
        with self._changed:
            kept = dict(self.kept)
            mark = len(self.messages)
        waiting = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST) for fd in kept.values()]
        try:
            assert waiting == list(range(_FIRST, _FIRST + len(kept)))
            told = {
                "NOTIFY_SOCKET": self.path,
                "LISTEN_FDS": str(len(kept)),
                "LISTEN_FDNAMES": ":".join(kept),
                **({"FDSTORE": str(self.store_size)} if self.store_size else {}),
            }
            launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(len(kept))]
            service = kind(spawn([*launcher, *command], folder, {**told, **environment}, waiting))
        finally:
            for fd in waiting:
                os.close(fd)
        try:
            self.wait_for("READY=1", mark)
            yield service
        finally:
            service.kill()

    def close(self) -> None:
        """Keep nothing any more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.path)
        self._thread.join(START_SECONDS)
        self._socket.close()
        while self.kept:
            os.close(self.kept.popitem()[1])
