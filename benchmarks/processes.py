"""A server under measurement: its process group, what it costs in CPU time and in memory."""

import os
import signal
import socket
import ssl
import subprocess
import time
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
class Group:
    """A process group; the server and every child that it starts belong to it."""

    leader: int

    def members(self) -> list[list[str]]:
        """Return the fields of /proc/PID/stat behind the name, of each process of the group, with the PID in front."""
        found = []
        for stat in PROC.glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:  # it has just ended
                continue
            fields = [stat.parent.name, *text[text.rindex(")") + 2 :].split()]
            if int(fields[3]) == self.leader:
                found.append(fields)
        return found

    def cpu_seconds(self) -> float:
        """Return user and system time of the group since its start, children that have ended included."""
        return sum(sum(map(int, fields[12:16])) for fields in self.members()) / TICKS

    def memory_bytes(self) -> int:
        """Return the proportional share of memory of the group (pages shared between its processes count once)."""
        return sum(_memory_of(fields[0]) for fields in self.members())

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """End every process of the group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.leader, number)
            except ProcessLookupError:
                break
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        process.wait(STOP_SECONDS)


def _memory_of(pid: str) -> int:
    for name, label in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / pid / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(label):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str], *, is_secure: bool = False
) -> Iterator[Group]:
    """Start a server in a process group of its own, wait until it answers, and end the group afterwards.

    With `is_secure` it has to answer by TLS.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, **environment}, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
    group = Group(process.pid)
    try:
        _wait_for_answer(process, port, log, is_secure=is_secure)
        yield group
    finally:
        group.stop(process)


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
