"""One round of load: wrk against one address, and what it found."""

import re
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environment import find_program
from benchmarks.scenarios import Scenario

SCRIPT: Final = Path(__file__).parent / "lua" / "request.lua"
RESULT: Final = re.compile(r"(\w+)=(\d+)")
GRACE_SECONDS: Final = 60


@dataclass(frozen=True)
class Load:
    """What wrk counted in one round, and the CPU time that it took itself; times in microseconds."""

    requests: int
    seconds: float
    p50: int
    p99: int
    errors: int
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.requests / self.seconds


def run_load(scenario: Scenario, port: int, seconds: float, cores: str = "") -> Load:
    """Load the server at `port` for so long; `cores` binds wrk to some cores, as taskset writes them."""
    program = find_program("wrk")
    if program is None:
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk)")
    # wrk counts whole seconds.
    options = [
        f"-t{min(scenario.load_threads, scenario.connections)}",
        f"-c{scenario.connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "20s",
        "-s",
        str(SCRIPT),
    ]
    fields = [part for line in scenario.fields for part in ("-H", line)]
    method = "POST" if scenario.body_bytes else "GET"
    url = f"{'https' if scenario.is_secure else 'http'}://127.0.0.1:{port}/"
    command = [program, *options, *fields, url, "--", method, str(scenario.body_bytes)]
    if scenario.is_unique:
        command.append("unique")
    if cores:
        command = ["taskset", "-c", cores, *command]
    before = _children_cpu_seconds()
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False)
    cpu = _children_cpu_seconds() - before
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        raise SystemExit(f"wrk said: {run.stdout}{run.stderr}")
    found = {name: int(number) for name, number in RESULT.findall(lines[0])}
    errors = sum(found[name] for name in ("connect", "read", "write", "timeout", "status"))
    return Load(found["requests"], found["microseconds"] / 1e6, found["p50"], found["p99"], errors, cpu)


def _children_cpu_seconds() -> float:
    """Return what children that have ended took: nobody but wrk ends during a load."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """Hold `count` keep-alive connections that have had one answer each and now say nothing."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not sock.recv(4096):
                raise SystemExit("the server closed an idle connection")
        yield
