"""Scenarios of the level about clients that workers share: idle ones over a reload, balance, and workers that hang."""

import contextlib
import json
import os
import select
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.fleet.result import Result, site_folder
from tests.support.client import Client
from tests.support.fleets import Fleet, serving
from tests.support.site import Site
from tests.support.waiting import wait_until

WHO: Final = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n"
NO_PLACING: Final = """
import waitressd.fleet.heirs
waitressd.fleet.heirs.needs_placing = lambda mine: False
waitressd.fleet.heirs.gift = lambda mine, others: 0
import waitressd.net.acceptor
waitressd.net.acceptor.SHARED_BURST = waitressd.net.acceptor.ACCEPT_BURST
"""
"""Who wakes up first takes what there is, and keeps it."""
PROBES: Final = 20
PROBE_SECONDS: Final = 0.05


def pid_of(client: Client) -> int:
    """Ask who answers."""
    client.send(WHO)
    return int(json.loads(client.receive().body)["pid"])


@contextlib.contextmanager
def kept(fleet: Fleet, count: int, seconds: float = 0.0) -> Iterator[list[Client]]:
    """Open so many connections, at once or spread over some seconds."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(Client(fleet.address)))
            time.sleep(seconds / count)
        yield clients


def idle_connections(count: int = 1000, workers: int = 4) -> Result:
    """Keep connections over a reload of the whole fleet."""
    result = Result(f"{count} idle connections, {workers} workers, one reload")
    with site_folder() as folder:
        site = Site(folder, workers=workers, preload="on")
        with serving(site) as fleet, kept(fleet, count) as clients:
            before = set(map(pid_of, clients))
            site.write(2)
            mark = fleet.mark()
            fleet.signal(signal.SIGHUP)
            fleet.wait_for("loaded anew", mark)
            wait_until(lambda: fleet.who()["version"] == 2)
            began = time.monotonic()
            fleet.wait_for("reload done", mark)
            seconds = time.monotonic() - began
            after: Counter[int] = Counter()
            for client in clients:
                with contextlib.suppress(OSError, AssertionError):
                    after[pid_of(client)] += 1
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
    result.figures = [
        f"{after.total()} answers on the same connections, {sorted(after.values())} of each worker",
        f"replaced {seconds:.2f} s after the first new worker answered",
    ]
    result.expect(after.total() == count, "a connection was closed")
    result.expect(not before & after.keys(), "an old worker still answers")
    result.expect(seconds <= 1, "more than 1 s")
    return result


def balance(workers: int = 4, count: int = 32) -> Result:
    """Open kept connections at once, and over a second, and see who has them."""
    result = Result(f"{count} kept connections, {workers} workers")
    with site_folder() as folder, serving(Site(folder, workers=workers, preload="on")) as fleet:
        for seconds in (0.0, 1.0, 0.0):
            with kept(fleet, count, seconds) as clients:
                shares = Counter(map(pid_of, clients))
                counts = sorted([*shares.values(), *([0] * (workers - len(shares)))])
            result.figures.append(f"over {seconds:.0f} s: {counts}")
            result.expect(counts[-1] - counts[0] <= 2 + count / workers / 8 + 1, f"uneven: {counts}")
            wait_until(partial(_has_calmed_down, fleet))
        result.expect(fleet.terminate() == 0, "the exit status is not 0")
    return result


def _has_calmed_down(fleet: Fleet) -> bool:
    """Whether the connections of the last round are gone."""
    time.sleep(0.5)
    return bool(fleet.who()["version"])


def blocking(rounds: int = 3, seconds: float = 6) -> Result:
    """Have an application that blocks for 5 ms answer 32 kept connections, with placing and without."""
    result = Result("4 workers of 8 threads, 5 ms each, 32 kept connections, with and without placing")
    rates: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(rounds):
        for name, trouble in (("without", NO_PLACING), ("with", "")):
            with site_folder() as folder:
                site = Site(folder, workers=4, preload="on")
                site.write(1, trouble)
                with serving(site) as fleet, kept(fleet, 32) as clients:
                    rates[name].append(_rate(clients, b"GET /sleep/0.005 HTTP/1.1\r\nHost: a\r\n\r\n", seconds))
    ratio = statistics.median(rates["with"]) / statistics.median(rates["without"])
    result.figures = [f"{name}: " + ", ".join(f"{rate:.0f}/s" for rate in found) for name, found in rates.items()]
    result.figures.append(f"ratio {ratio:.2f}")
    result.expect(ratio >= 1.5, "less than 1.5 times")
    return result


def _rate(clients: list[Client], request: bytes, seconds: float) -> float:
    """Have each client ask again and again; return the answers of a second."""
    poller = select.epoll()
    sockets = {client.sock.fileno(): client.sock for client in clients}
    with contextlib.closing(poller):
        for fd, sock in sockets.items():
            poller.register(fd, select.EPOLLIN)
            sock.sendall(request)
        count, begin = 0, time.monotonic()
        while time.monotonic() < begin + seconds:
            for fd, _ in poller.poll(1):
                if b"\r\n\r\n" in sockets[fd].recv(65536):
                    count += 1
                    sockets[fd].sendall(request)
        return count / (time.monotonic() - begin)


def hangs(workers: int = 2) -> Result:
    """Have a worker hold the interpreter lock, then stop one: nobody who comes new may wait."""
    result = Result(f"one of {workers} workers hangs for 2 s, {PROBES} new connections meanwhile")
    with site_folder() as folder, serving(Site(folder, workers=workers, preload="on")) as fleet:
        for how in ("holds the lock", "is stopped"):
            for keeps in (False, True):
                with Client(fleet.address) as victim:
                    pid = pid_of(victim)
                    holds = how == "holds the lock"
                    if holds:
                        victim.send(b"GET /hold/2 HTTP/1.1\r\nHost: a\r\n\r\n")
                    else:
                        os.kill(pid, signal.SIGSTOP)
                    time.sleep(0.1)
                    times = sorted(_probe(fleet, keeps=keeps))
                    os.kill(pid, signal.SIGCONT)
                    if holds:
                        victim.receive()
                kind = "kept" if keeps else "closed"
                result.figures.append(
                    f"{how}, probes {kind}: at most {times[-1] * 1000:.1f} ms, then {times[-2] * 1000:.1f}"
                )
                result.expect(times[-1] <= PROBE_SECONDS, f"{how}: a probe waited {times[-1] * 1000:.0f} ms")
                result.expect(Path(f"/proc/{pid}").exists(), f"{how}: it was killed")
        result.expect(fleet.terminate() == 0, "the exit status is not 0")
    return result


def _probe(fleet: Fleet, *, keeps: bool) -> Iterator[float]:
    with contextlib.ExitStack() as stack:
        for _ in range(PROBES):
            began = time.monotonic()
            client = stack.enter_context(Client(fleet.address))
            pid_of(client)
            yield time.monotonic() - began
            if not keeps:
                client.close()
            time.sleep(0.05)


def cores(rounds: int = 5, seconds: float = 5) -> Result:
    """Have an application that burns 2 ms answer 32 kept connections, by one worker and by two."""
    result = Result("2 ms of processor time, 32 kept connections: 2 workers against 1")
    end = "end = time.thread_time() + 0.002"
    burn = f"def at_request():\n    {end}\n    while time.thread_time() < end:\n        pass\n"
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in rates.items():
            with site_folder() as folder:
                site = Site(folder, workers=workers, supervise="true", preload="on")
                site.write(1, at_request=burn)
                with serving(site) as fleet, kept(fleet, 32) as clients:
                    found.append(_rate(clients, b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n", seconds))
    ratio = statistics.median(two / one for one, two in zip(*rates.values(), strict=True))
    result.figures = [f"{workers}: " + ", ".join(f"{rate:.0f}/s" for rate in found) for workers, found in rates.items()]
    result.figures.append(f"ratio {ratio:.2f}")
    result.expect(ratio >= 1.8, "less than 1.8 times")
    return result


SHARING: Final[dict[str, Callable[[], Result]]] = {
    "idle-1000": idle_connections,
    "balance": balance,
    "blocking": blocking,
    "cores": cores,
    "new-clients-2": partial(hangs, 2),
    "new-clients-4": partial(hangs, 4),
}
