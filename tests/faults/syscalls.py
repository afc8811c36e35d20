"""Every system call of the server failing, by `strace --inject`: it lives, serves, leaks nothing, never spins."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.faults.report import Report, scenario
from tests.faults.target import Target, target

# What accept(2), recv(2), ... may say on Linux. EAGAIN stands where a readiness that was reported has gone.
CALLS: Final[dict[str, str]] = {
    "accept4": "EINTR EAGAIN ECONNABORTED ECONNRESET EMFILE ENFILE ENOBUFS ENOMEM EPROTO EPERM",
    "recvfrom": "EINTR EAGAIN ECONNRESET ENOMEM EIO",
    "sendto": "EINTR EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM",
    "sendmsg": "EINTR EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM",
    "sendfile": "EINTR EAGAIN ECONNRESET EPIPE ENOMEM EIO",
    "epoll_wait": "EINTR ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC",
    "write": "EINTR EAGAIN ENOSPC EIO EPIPE",
    "pwrite64": "EINTR ENOSPC EIO",
    "openat": "EINTR EMFILE ENFILE ENOMEM ENOSPC EIO",
    "ioctl": "ENOMEM EINTR",
    "fcntl": "ENOMEM EINTR",
    "setsockopt": "ENOMEM ENOBUFS",
    "getsockname": "ENOBUFS",
    "shutdown": "ENOTCONN",
}  # not close: the kernel gives the descriptor back whatever it says, but a close that strace fails never happens
NEVER_MADE: Final = frozenset({"fcntl"})  # by a server that runs: accept4 and ioctl do what it would be needed for
PATTERNS: Final = {"each thread's first call": "1", "every third call": "1+3"}


@contextmanager
def failing(server: Target, call: str, error: str, when: str) -> Iterator[Callable[[], int]]:
    """Let a system call of all threads fail while the block runs; what it yields counts the failures, afterwards."""
    with tempfile.NamedTemporaryFile("r") as log:
        strace = subprocess.Popen(
            ["strace", "-qq", "-f", "-p", str(server.pid), "-e", f"trace={call}", "-o", log.name,
             "-e", f"inject={call}:error={error}:when={when}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            server.wait_until(lambda: _is_traced(server), 5)
            yield lambda: log.read().count("(INJECTED)")
        finally:
            strace.terminate()
            strace.wait()


def _is_traced(server: Target) -> bool:
    statuses = [(task / "status").read_text() for task in Path(f"/proc/{server.pid}/task").iterdir()]
    return all("TracerPid:\t0" not in status for status in statuses)


def _traffic(server: Target) -> None:
    """Make the server use every call: small and large answers, uploads, files, pipelines, resets. Any may fail."""
    requests = (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
        b"GET /blocks?320 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nConnection: close\r\n\r\n" + bytes(2_000_000),
        b"GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"BAD\r\n\r\n",
    )
    for data in requests * 2:
        with contextlib.suppress(OSError), server.connect(timeout=3, receive_buffer_bytes=65536) as client:
            client.send(data)
            if data.startswith(b"GET /blocks"):
                time.sleep(0.1)  # so that some of it waits for the client, on disk too
            if data.endswith(b"\r\n" * 2) and data.startswith(b"GET / "):
                client.finish_sending()
            while client.sock.recv(1 << 20):
                pass
    for _ in range(2):
        with contextlib.suppress(OSError), server.connect(timeout=3, receive_buffer_bytes=65536) as client:
            client.send(b"GET /blocks?320 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.sock.recv(1000)  # what it has not read when it closes makes a reset of that


def _judge(server: Target, descriptors: int, threads: int) -> list[str]:
    """What is wrong after a fault; nothing, if all is well."""
    if server.server.process.poll() is not None:
        return [f"the server is dead: {server.server.output[-300:]!r}"]
    complaints = []
    try:
        for _ in range(5):
            server.get("/", timeout=3)
        server.get("/blocks?32", timeout=3)
    except (OSError, AssertionError) as error:
        complaints.append(f"does not serve: {error!r}")
    server.wait_until(lambda: server.descriptors() <= descriptors, 4)
    if server.descriptors() > descriptors:
        complaints.append(f"{server.descriptors() - descriptors} descriptors leaked")
    if server.threads() != threads:
        complaints.append(f"{server.threads() - threads} threads more")
    if (share := server.cpu_share(0.4)) > 0.05:
        complaints.append(f"spins: {share:.0%} CPU")
    return complaints


@scenario("system-calls", 900)
def system_calls(report: Report) -> None:
    """Every network and file call failing once in each thread, and then every third time."""
    if shutil.which("strace") is None:
        report.that("strace", "is installed", "no", ok=False)
        return
    for call, errors in CALLS.items():
        for pattern, when in PATTERNS.items():
            bad, failures = _sweep(call, errors.split(), when)
            name = f"{call}, {len(errors.split())} errors, {pattern}"
            report.that(name, "all well", bad or f"all well ({failures} failures)", ok=not bad)


def _sweep(call: str, errors: list[str], when: str) -> tuple[list[str], int]:
    """Return what went wrong, and how many calls were made to fail."""
    bad, failures = [], 0
    for error in errors:
        with target() as server:
            complaints, failed = _inject(server, call, error, when)
        failures += failed
        if bool(failed) is (call in NEVER_MADE):
            complaints.append(f"the server made this call {failed} times")
        if complaints:
            bad.append(f"{error}: {', '.join(complaints)}")
    return bad, failures


def _inject(server: Target, call: str, error: str, when: str) -> tuple[list[str], int]:
    descriptors, threads = server.descriptors(), server.threads()
    with failing(server, call, error, when) as count_failures:
        _traffic(server)
        share = server.cpu_share(0.3)
        failures = count_failures()
    complaints = _judge(server, descriptors, threads)
    if share > 0.3:
        complaints.append(f"spins under the fault: {share:.0%} CPU")
    return complaints, failures
