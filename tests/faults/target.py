"""The server under fire: a process with default settings, and what the system says of it."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.client import Client
from tests.support.servers import ServerProcess, start_process, wait_until_accepting

MIB: Final = 1 << 20
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
APPLICATION: Final = "tests.faults.application:application"


@dataclass(frozen=True)
class Holdings:
    """What the server holds at one moment."""

    rss_bytes: int
    descriptors: int
    threads: int
    cpu_seconds: float


class Target:
    """A server process and its numbers."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.pid = server.pid
        self.address = server.address
        self._proc = Path(f"/proc/{self.pid}")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address[1])

    def connect(self, **options: Any) -> Client:
        """Open a connection."""
        return self.server.connect(**options)

    def get(self, target: str = "/", **options: Any) -> bytes:
        """Ask once on a connection of its own; the answer must be 200."""
        with self.connect(**options) as client:
            answer = client.get(target, "Connection: close")
        if answer.status != 200:
            raise AssertionError(f"{target} was answered {answer.status}")
        return answer.body

    def counts(self) -> dict[str, int]:
        """What the application counted."""
        return dict(json.loads(self.get("/counts")))

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return int((self._proc / "statm").read_text().split()[1]) * _PAGE_BYTES

    def peak_bytes(self) -> int:
        """The largest resident memory since `forget_peak`."""
        return int(re.findall(r"VmHWM:\s+(\d+)", (self._proc / "status").read_text())[0]) * 1024

    def forget_peak(self) -> int:
        """Begin a new peak; return the memory now."""
        (self._proc / "clear_refs").write_text("5")
        return self.rss_bytes()

    def descriptors(self) -> int:
        """Open descriptors now."""
        return len(os.listdir(self._proc / "fd"))  # noqa: PTH208 - only their number is asked for

    def threads(self) -> int:
        """Threads now."""
        return len(os.listdir(self._proc / "task"))  # noqa: PTH208 - only their number is asked for

    def holdings(self) -> Holdings:
        """All of it at once."""
        return Holdings(self.rss_bytes(), self.descriptors(), self.threads(), self.cpu_seconds())

    def connections(self) -> int:
        """Sockets of this port that both sides hold."""
        return self._sockets("01")

    def close_wait(self) -> int:
        """Sockets of this port whose client is gone and that the server has not closed."""
        return self._sockets("08")

    def _sockets(self, state: str) -> int:
        port = f":{self.port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(port) and row[3] == state for row in rows)

    def cpu_share(self, seconds: float = 1.0) -> float:
        """CPU use of the coming seconds, as a part of one processor."""
        before, begun = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - begun)

    def quiet_share(self) -> float:
        """CPU use once what was begun has ended; a second that is not quiet is measured again, three times."""
        return min(self.cpu_share() for _ in range(3)) if self.cpu_share() else 0.0

    def lines(self) -> list[str]:
        """What it logged so far."""
        return self.server.output.splitlines()

    def tracebacks(self) -> int:
        """How many of them are in the log."""
        return self.server.output.count("Traceback (most recent call last)")

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Wait for a condition; return how long it took, infinity when it did not come."""
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > seconds:
                return float("inf")
            time.sleep(0.02)
        return time.monotonic() - begun

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.server.signal(number)

    def ended_within(self, seconds: float) -> tuple[float, int]:
        """Wait for its end; return how long that took and the exit status."""
        begun = time.monotonic()
        status = self.server.wait(seconds)
        return time.monotonic() - begun, status


@contextmanager
def target(*settings: str, descriptors: int = 0) -> Iterator[Target]:
    """Serve with default settings (and those given) while the block runs; `descriptors` is the limit on them."""
    command = [sys.executable, "-m", "waitressd"]
    if descriptors:
        command[:0] = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
    server = start_process([APPLICATION, "--listen=127.0.0.1:0", *settings], command=command)
    try:
        server.wait_for_output(r"http://127\.0\.0\.1:\d+")
        wait_until_accepting(server.address)
        found = Target(server)
        for _ in range(5):
            found.get("/")
        time.sleep(0.2)
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
