"""A server under measurement: the tree of its processes, what they cost in CPU time and in memory."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK")
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 8.0


@dataclass(frozen=True)
class Process:
    """One process, as /proc/PID/stat shows it (proc(5)). Times in clock ticks."""

    pid: int
    name: str
    state: str
    parent: int
    session: int
    cpu: int  # of its children that have ended, too
    born: int  # with the PID, this names a process for ever

    @classmethod
    def read(cls, pid: int) -> "Process | None":
        """Look at a process; None if there is none."""
        try:
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return None
        before, _, behind = text.rpartition(")")
        fields = behind.split()
        return cls(
            pid, before.partition("(")[2], fields[0], int(fields[1]), int(fields[3]),
            sum(map(int, fields[11:15])), int(fields[19]),
        )  # fmt: skip

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from a later process with the same PID."""
        return self.pid, self.born


@dataclass(frozen=True)
class Tree:
    """A process that leads a session, and all that have come from it: workers, and whatever starts them.

    A child whose parent has ended still belongs to the session; one that has left the session still has its parent.
    """

    root: int

    def members(self) -> list[Process]:
        """Return the processes of the tree, the root first."""
        pids = [int(folder.name) for folder in PROC.glob("[0-9]*")]
        everyone = [process for pid in pids if (process := Process.read(pid)) is not None]
        children: dict[int, list[Process]] = defaultdict(list)
        for process in everyone:
            children[process.parent].append(process)
        todo = [process for process in everyone if self.root in (process.pid, process.session)]
        found: dict[int, Process] = {}
        while todo:
            process = todo.pop()
            if process.pid not in found:
                found[process.pid] = process
                todo += children[process.pid]
        return sorted(found.values(), key=lambda each: (each.pid != self.root, each.born, each.pid))

    def cpu_seconds(self) -> float:
        """Return user and system time of the tree since its start, processes that have ended included."""
        return sum(process.cpu for process in self.members()) / TICKS

    def memory_bytes(self) -> int:
        """Return the proportional share of memory of the tree (pages shared between its processes count once)."""
        return sum(_memory_of(process.pid) for process in self.members())

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Ask the root to end, and see to it that nobody is left behind."""
        before = self.members()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while left := _living([*before, *self.members()]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes that do not end: {left}")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _living(processes: Sequence[Process]) -> list[int]:
    """Return the PIDs of those that still run; a zombie does not, and is its parent's to reap."""
    now = {process.key: Process.read(process.pid) for process in processes}
    return [each.pid for key, each in now.items() if each is not None and each.key == key and each.state != "Z"]


def _memory_of(pid: int) -> int:
    for name, label in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(label):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str], *, is_secure: bool = False
) -> Iterator[Tree]:
    """Start a server in a session of its own, wait until it answers, and end all its processes afterwards.

    With `is_secure` it has to answer by TLS.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, **environment}, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
    tree = Tree(process.pid)
    try:
        _wait_for_answer(process, port, log, is_secure=is_secure)
        yield tree
    finally:
        tree.stop(process)


def _wait_for_answer(process: "subprocess.Popen[bytes]", port: int, log: Path, *, is_secure: bool) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with _connect(port, is_secure=is_secure) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if sock.recv(12).startswith(b"HTTP/1."):
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _connect(port: int, *, is_secure: bool) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    if not is_secure:
        return sock
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its certificate was made for this run
    return context.wrap_socket(sock)
