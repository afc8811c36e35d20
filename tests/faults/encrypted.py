"""Clients of a listener that speaks TLS: silent ones, floods of handshakes, the wrong protocol, and memory."""

import contextlib
import re
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.faults.crowd import crowd, keep_going, send_all
from tests.faults.report import Report, scenario
from tests.faults.target import APPLICATION, MIB, Target
from tests.support.client import Client
from tests.support.servers import start_process, wait_until_accepting
from tests.support.tls import TlsClient, Wiretap, client_context, tls_files

HANDSHAKE_SECONDS: Final = 10.0  # the default of tls_handshake_timeout
IDLE: Final = 300  # connections
UPLOAD: Final = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MIB + b"x" * MIB
PLAIN: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
)


class SecureTarget(Target):
    """A server process whose listener speaks TLS."""

    def connect(self, **options: Any) -> Client:
        """Open a connection, and complete the handshake."""
        return TlsClient(self.address, **options)

    def held_bytes(self) -> int:
        """Memory that is its own alone, or its share of what it shares (Pss)."""
        found = re.findall(r"^Pss:\s+(\d+)", (self._proc / "smaps_rollup").read_text(), re.MULTILINE)
        return int(found[0]) * 1024


@contextmanager
def secure_target(*settings: str, application: str = "") -> Iterator[SecureTarget]:
    """Serve with default settings, and those given, while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        files = [f"--{name.replace('_', '-')}={value}" for name, value in tls_files(Path(folder)).items()]
        command = [sys.executable, "-m", "waitressd"]
        server = start_process([application or APPLICATION, "--listen=127.0.0.1:0", *files, *settings], command=command)
        try:
            server.wait_for_output(r"https://127\.0\.0\.1:\d+")
            wait_until_accepting(server.address)
            found = SecureTarget(server)
            for _ in range(0 if application else 5):
                found.get("/")
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                server.kill()


class Asking:
    """A polite client, over and over, in a thread: how long it waits, in milliseconds."""

    def __init__(self, server: SecureTarget, interval_seconds: float, *, keeps: bool) -> None:
        self.waits: list[float] = []
        self.failures: list[str] = []
        self._server = server
        self._interval = interval_seconds
        self._kept = server.connect() if keeps else None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        self._thread.join()
        self.waits.sort()
        if self._kept is not None:
            self._kept.close()

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            begun = time.monotonic()
            try:
                if self._kept is not None:
                    self._kept.get("/")
                else:
                    self._server.get("/")
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            else:
                self.waits.append((time.monotonic() - begun) * 1000)

    def quantile(self, share: float) -> float:
        """Return the wait that so large a share of the requests did not exceed."""
        return self.waits[int(len(self.waits) * share)] if self.waits else float("inf")


def _hello() -> bytes:
    return Wiretap(lambda _octets: None).hello()


@scenario("tls-silence", 60)
def tls_silence(report: Report) -> None:
    """200 clients that say nothing, 100 with 7 octets of a hello, 100 with a whole one, and a polite one."""
    with secure_target() as server:
        hello = _hello()
        before_bytes = server.held_bytes()
        with crowd(server.address, 400) as members:  # the allocator keeps some of what it takes
            send_all(members[200:], hello)
            time.sleep(1)
        time.sleep(1)
        base_bytes = server.held_bytes()
        with crowd(server.address, 400) as members, Asking(server, 0.05, keeps=False) as asking:
            send_all(members[200:300], hello[:7])
            send_all(members[300:], hello)
            time.sleep(2)
            report.at_most("memory more meanwhile", (server.held_bytes() - before_bytes) / MIB, 25, "MiB")
            keep_going(members, HANDSHAKE_SECONDS + 5)
        report.equal("failures of the polite client", asking.failures[:1], [])
        report.at_most("its p99", asking.quantile(0.99), 250, "ms")
        report.at_least("the first is closed after", min(m.seconds for m in members), HANDSHAKE_SECONDS - 0.5, "s")
        report.at_most("the last is closed after", max(m.seconds for m in members), HANDSHAKE_SECONDS + 2.5, "s")
        time.sleep(2)  # it is given back about once a second
        report.at_most("memory more than after the crowd before", (server.held_bytes() - base_bytes) / MIB, 5, "MiB")
        report.equal("tracebacks in the log", server.tracebacks(), 0)


@scenario("tls-crowd", 90)
def tls_crowd(report: Report) -> None:
    """3,000 silent clients, more than there may be connections, and a polite one."""
    with secure_target() as server, Asking(server, 0.05, keeps=False) as asking:
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(crowd(server.address, 500))
                time.sleep(0.3)
            time.sleep(3)
        report.equal("failures of the polite client", asking.failures[:1], [])
        report.at_most("its p99", asking.quantile(0.99), 250, "ms")


def _flood(server: SecureTarget, end: threading.Event) -> int:
    context, count = client_context(), 0
    while not end.is_set():
        with contextlib.suppress(OSError), TlsClient(server.address, context) as client:
            client.get("/", "Connection: close")
            count += 1
    return count


@scenario("tls-flood", 60)
def tls_flood(report: Report) -> None:
    """Threads that do nothing but shake hands, and an established client that asks every 5 ms."""
    with secure_target() as server:
        end = threading.Event()
        threads = [threading.Thread(target=_flood, args=(server, end)) for _ in range(32)]
        with Asking(server, 0.005, keeps=True) as asking:
            for thread in threads:
                thread.start()
            time.sleep(6)
            end.set()
        for thread in threads:
            thread.join()
        report.equal("failures of the established client", asking.failures[:1], [])
        # Of which most is the interpreter of this process, whose threads do 33 clients' work.
        report.at_most("its p95", asking.quantile(0.95), 250, "ms")


@scenario("tls-wrong-port", 60)
def tls_wrong_port(report: Report) -> None:
    """1,000 requests in plain HTTP, and garbage."""
    with secure_target() as server:
        answered = 0
        slowest = 0.0
        for number in range(1000):
            begun = time.monotonic()
            with Client(server.address) as client:
                if number % 4 == 3:
                    client.send(b"\0garbage")
                    with contextlib.suppress(ConnectionResetError):
                        client.expect_closed()
                else:
                    client.send(PLAIN[number % 4])
                    answer = client.receive()
                    answered += answer.status == 400 and b"https://" in answer.body
            slowest = max(slowest, time.monotonic() - begun)
        report.equal("answers that name https", answered, 750)
        report.at_most("the slowest", slowest * 1000, 250, "ms")
        lines = [line for line in server.lines() if "listener" in line]
        report.at_most("lines in the log", len(lines), 5)


@scenario("tls-memory", 120)
def tls_memory(report: Report) -> None:
    """Idle connections: after the handshake, after an answer, after an upload."""
    with secure_target() as server, contextlib.ExitStack() as stack:
        with server.connect() as warm:
            warm.request(UPLOAD)
        base_bytes = server.held_bytes()
        clients = [stack.enter_context(server.connect()) for _ in range(IDLE)]

        def judge(what: str) -> None:
            time.sleep(2)  # what is free goes back when nothing was asked for a moment
            report.at_most(f"of each {what}", (server.held_bytes() - base_bytes) / IDLE / 1024, 20, "KiB")

        judge("after its handshake")
        for client in clients:
            client.get("/")
        judge("after an answer")
        for client in clients:
            client.request(UPLOAD)
        judge("after an upload")


@scenario("tls-scan", 30)
def tls_scan(report: Report) -> None:
    """What a scanner looks for: old versions, weak suites, compression, renegotiation."""
    with secure_target() as server:
        accepted = []
        for ciphers in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "aNULL", "NULL", "PSK"):
            context = client_context(ssl.TLSVersion.TLSv1_2)
            with contextlib.suppress(OSError):
                context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
                with TlsClient(server.address, context):
                    accepted.append(ciphers)
        report.equal("weak suites accepted", accepted, [])
        with TlsClient(server.address, client_context(ssl.TLSVersion.TLSv1_2)) as client:
            report.equal("compression", client.tls.compression(), None)
        report.equal("serves afterwards", server.get("/") != b"", True)
