"""Worker processes that do nothing but count, and a master that kills them: `python -m tests.support.counting`."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tests.support import ledgers
from tests.support.ledgers import lane_with
from waitressd.metrics.adopted import WRITE_SECONDS, adopt_row
from waitressd.metrics.area import Area
from waitressd.metrics.fleet import FleetMetrics
from waitressd.metrics.pauses import finish
from waitressd.metrics.serving import counted
from waitressd.metrics.shown import FleetState, Totals
from waitressd.metrics.view import FleetView
from waitressd.net.ledger import Ledger

ROUNDS: Final = 40
STATE: Final = FleetState({}, {}, {}, {}, 1)


def count(fd: int, row: int, say: Callable[[], object], limit: float = float("inf")) -> None:
    """Be a worker: count requests, write them down, and tell of each after it was."""
    adopt_row(fd, row)
    ledger = Ledger()
    server = ledgers.Server(lane_with(ledger))
    now, written = time.monotonic(), 0
    with counted(server):
        while written < limit:
            ledgers.count(ledger, times=1)
            written += 1
            now += WRITE_SECONDS
            for call in server.on_tick:
                call(now)
            say()


def child(act: Callable[[], object]) -> int:
    """Fork; the child does something and ends with status 0, or 1 if that fails."""
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        os._exit(0)
    finally:
        os._exit(1)


def watch(fd: int) -> NoReturn:
    """Look at the sums again and again, and end when one has fallen."""
    area = Area.attach(fd)
    before = area.totals()
    while True:
        now = area.totals()
        if any(late < early for early, late in zip(before, now, strict=True)):
            os._exit(3)
        before = now


class Worker:
    """A process that counts until it is killed."""

    def __init__(self, metrics: FleetMetrics, place: int) -> None:
        row = metrics.claim(place)
        assert row is not None
        self.row: Final = row
        self._read, write = os.pipe()
        self._told = 0
        self._pid: Final = child(lambda: count(metrics.fd, row, lambda: os.write(write, b".")))
        os.close(write)

    def hear(self) -> int:
        """Return how much the worker has told of since the last time; 0 when it has ended and told all."""
        told = len(os.read(self._read, 65536))
        self._told += told
        return told

    def kill(self) -> int:
        """Kill it in the middle of whatever it does, and return how much it has counted and told of."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        while self.hear():
            pass
        os.close(self._read)
        return self._told


def requests(area: Area) -> int:
    """Return how many requests were counted, from the highest counters and the lowest."""
    totals = Totals(area.totals())
    found = totals.requests.get(("2xx", "complete"), 0)
    assert abs(totals.phase("total", "2xx").count - found) <= ROUNDS + 2  # one of each worker
    return found


def main() -> None:
    """Kill workers in the middle of counting, and say what became of what they had counted."""
    metrics = FleetMetrics(lambda: STATE, rows=4)
    area = Area.attach(metrics.fd)
    watcher = child(lambda: watch(metrics.fd))
    workers = [Worker(metrics, place) for place in (1, 2)]
    told = 0
    for _ in range(ROUNDS):
        for worker in workers:
            worker.hear()
        victim = workers.pop(0)
        told += victim.kill()
        metrics.retire(victim.row)
        workers.append(Worker(metrics, 1))
    told += sum(worker.kill() for worker in workers)
    ended, _ = os.waitpid(watcher, os.WNOHANG)
    if not ended:
        os.kill(watcher, signal.SIGKILL)
        os.waitpid(watcher, 0)
    found: dict[str, Any] = {"told": told, "counted": requests(area), "fell": ended != 0}
    found["places"] = sorted(finish(FleetView(area).look()).workers)
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        count(int(sys.argv[1]), int(sys.argv[2]), int, float(sys.argv[3]))
        print("counted", flush=True)
        sys.stdin.read()
