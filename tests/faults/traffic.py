"""Traffic that is honest but greedy, and signals that must not interrupt it."""

import contextlib
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.busy import busy_clients
from tests.faults.crowd import RECEIVE_BYTES, crowd
from tests.faults.probe import probing
from tests.faults.report import Report, scenario
from tests.faults.target import target
from tests.support.servers import ROOT

LOT = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100


@contextmanager
def greedy(port: int, count: int) -> Iterator[None]:
    """Clients in a process of their own that pipeline as fast as they can while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.traffic", str(port), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # they have begun
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def pipeline_for_ever(port: int, count: int) -> None:
    """Send requests without end on every connection and throw the answers away."""
    with crowd(("127.0.0.1", port), count) as members, contextlib.closing(selectors.DefaultSelector()) as selector:
        for member in members:
            selector.register(member.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, member.sock)
        print("begun", flush=True)
        while True:
            for key, mask in selector.select():
                with contextlib.suppress(BlockingIOError):
                    if mask & selectors.EVENT_READ:
                        key.data.recv(RECEIVE_BYTES)
                    if mask & selectors.EVENT_WRITE:
                        key.data.send(LOT)


@scenario("fairness", 40)
def fairness(report: Report) -> None:
    """100 connections pipelining as fast as they can, and a polite client."""
    with target() as server:
        with greedy(server.port, 100):
            time.sleep(1)
            with probing(server.port, interval=0.02, keep=True) as probe:
                time.sleep(8)
        report.at_least("answers that the polite client got", len(probe.waits), 50)
        report.at_most("its median wait", probe.p50, 50, "ms")
        report.at_most("its longest wait", probe.maximum, 150, "ms")
        report.at_most("CPU afterwards", server.quiet_share() * 100, 0, "%")


@scenario("signals-under-load", 30)
def signals_under_load(report: Report) -> None:
    """SIGHUP and SIGUSR1 under load."""
    with target() as server:
        with busy_clients(server.address, 20) as load:
            for _ in range(20):
                time.sleep(0.1)
                server.signal(signal.SIGHUP)
                time.sleep(0.05)
                server.signal(signal.SIGUSR1)
        report.equal("requests lost", len(load.lost), 0)
        report.at_least("requests answered", load.answered, 500)
        report.equal("connections refused", load.refused, 0)
        server.get("/")


if __name__ == "__main__":
    pipeline_for_ever(int(sys.argv[1]), int(sys.argv[2]))
