"""A polite client in a process of its own: how long it waits for an answer while others attack.

`python -m tests.faults.probe PORT INTERVAL_SECONDS KEEP` asks until its standard input ends, then prints JSON.
"""

import json
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.client import Client
from tests.support.servers import ROOT

PROBE_TIMEOUT_SECONDS = 5.0


@dataclass
class Probe:
    """What the polite client saw; filled when its block ends."""

    waits: list[float] = field(default_factory=list)  # milliseconds, sorted
    failures: list[str] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median wait in milliseconds."""
        return self.waits[len(self.waits) // 2] if self.waits else float("inf")

    @property
    def maximum(self) -> float:
        """The longest wait in milliseconds."""
        return self.waits[-1] if self.waits and not self.failures else float("inf")


@contextmanager
def probing(port: int, *, interval: float = 0.05, keep: bool = False) -> Iterator[Probe]:
    """Ask the server all the while that the block runs: a new connection and GET each time, or one that is kept."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.probe", str(port), str(interval), str(int(keep))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    probe = Probe()
    try:
        process.stdout.readline()  # it has begun
        yield probe
        process.stdin.close()
        found = json.loads(process.stdout.read())
        probe.waits, probe.failures = sorted(found["waits"]), found["failures"]
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _ask(port: int, kept: Client | None) -> None:
    client = kept or Client(("127.0.0.1", port), timeout=PROBE_TIMEOUT_SECONDS)
    try:
        if client.get("/").status != 200:
            raise AssertionError("not 200")
    finally:
        if kept is None:
            client.close()


def main(port: int, interval: float, *, keep: bool) -> None:
    """Ask until standard input ends."""
    waits: list[float] = []
    failures: list[str] = []
    kept = Client(("127.0.0.1", port), timeout=PROBE_TIMEOUT_SECONDS) if keep else None
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], interval)[0]:
        begun = time.monotonic()
        try:
            _ask(port, kept)
        except (OSError, AssertionError) as error:
            failures.append(repr(error))
            if keep:
                break
        else:
            waits.append((time.monotonic() - begun) * 1000)
    if kept is not None:
        kept.close()
    print(json.dumps({"waits": waits, "failures": failures}))


if __name__ == "__main__":
    threading.current_thread().name = "probe"
    main(int(sys.argv[1]), float(sys.argv[2]), keep=sys.argv[3] == "1")
