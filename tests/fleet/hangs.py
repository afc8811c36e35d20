"""The scenarios of the level about workers that hang and workers that are worn, with their figures."""

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from tests.fleet.result import Result, site_folder
from tests.support.client import Client
from tests.support.fleets import Fleet, serving
from tests.support.load import Load
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.fleet.processes import private_memory

MORE_PAGES: Final = """
def at_request():
    pass

import re
plain_page = page
leaked = []

def page(path, environ):
    if path == "/regex":
        re.match("(a+)+$", "a" * 64 + "b")
    elif path == "/leak":
        leaked.append(os.urandom(1 << 10) * (1 << 10))
    return plain_page(path, environ)
"""
PROBES: Final = 20
PROBE_SECONDS: Final = 0.25
TIMEOUT_SECONDS: Final = 5
FOUND_SECONDS: Final = 7.0
LEAK_SECONDS: Final = 60.0
LEAK_PAUSE_SECONDS: Final = 0.04
LIMIT_BYTES: Final = 100 << 20
LEAK_BYTES: Final = 1 << 20


def probe(fleet: Fleet, count: int = PROBES) -> list[float]:
    """Ask on new connections, one after the other; return what each took."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        fleet.who()
        times.append(time.monotonic() - began)
    return times


@contextlib.contextmanager
def clients_of_one_worker(fleet: Fleet, count: int) -> Iterator[tuple[int, list[Client]]]:
    """Connect until one worker has so many kept connections; yield its pid and them."""
    with contextlib.ExitStack() as stack:
        found: dict[int, list[Client]] = defaultdict(list)
        while not any(len(clients) == count for clients in found.values()):
            client = stack.enter_context(Client(fleet.address))
            found[json.loads(client.get("/who").body)["pid"]].append(client)
        yield max(found.items(), key=lambda item: len(item[1]))


def send(client: Client, path: str) -> None:
    """Send a request, and do not wait."""
    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def stalled() -> Result:
    """Have one of two workers hang in C code for ever; then stop one for less than the timeout."""
    result = Result(f"a regular expression that never ends, worker_stall_timeout = {TIMEOUT_SECONDS}")
    with site_folder() as folder:
        site = Site(folder, preload="on", worker_stall_timeout=TIMEOUT_SECONDS)
        site.write(1, at_request=MORE_PAGES)
        with serving(site) as fleet, Client(fleet.address) as client:
            before = fleet.workers(2)
            began = time.monotonic()
            send(client, "/regex")
            line = fleet.wait_for(r"worker \d \(pid (\d+),.*has stalled.*")
            found = time.monotonic() - began
            result.expect("GET /regex" in line[0], f"the request is not named: {line[0]}")
            result.expect(wait_until(lambda: len(set(fleet.workers(2)) - set(before)) == 1, 10), "it is not replaced")
            result.expect(found <= FOUND_SECONDS, f"found after {found:.1f} s")
            result.expect(re.search(r'shop\.py", line \d+ in page', fleet.output), "its frame is not in the log")
            victim = max(fleet.workers(2))
            os.kill(victim, signal.SIGSTOP)
            times = probe(fleet)
            time.sleep(TIMEOUT_SECONDS - 1.5)
            os.kill(victim, signal.SIGCONT)
            time.sleep(TIMEOUT_SECONDS / 2)
            result.expect(victim in fleet.workers(2), "one that was stopped for a moment is gone")
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
    result.figures = [
        line[0],
        f"replaced after {found:.1f} s",
        f"beside one that is stopped: at most {max(times) * 1000:.0f} ms",
    ]
    return result


def stuck() -> Result:
    """Have all threads of one of two workers wait for ever, and requests for them."""
    result = Result(f"all threads wait for ever, worker_stuck_timeout = {TIMEOUT_SECONDS}")
    with site_folder() as folder:
        settings = {"threads": 4, "worker_stuck_timeout": TIMEOUT_SECONDS, "shutdown_timeout": 1}
        with serving(Site(folder, preload="on", **settings)) as fleet:  # type: ignore[arg-type]  # all are settings
            with clients_of_one_worker(fleet, 6) as (victim, clients):
                began = time.monotonic()
                for client in clients:
                    send(client, "/sleep/1000")
                fleet.wait_for(rf"\(pid {victim},.*is stuck.*set aside")
                fleet.wait_for(r"worker \d \(pid \d+, generation 1\) serves")
                found = time.monotonic() - began
                times = probe(fleet)
                result.expect(re.search(rf"the stacks of worker \d \(pid {victim}\)", fleet.output), "no stacks")
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
    result.expect(found <= FOUND_SECONDS, f"a replacement after {found:.1f} s")
    result.expect(max(times) <= PROBE_SECONDS, f"a new client waited {max(times):.3f} s")
    result.figures = [f"a replacement serves after {found:.1f} s", f"new clients: at most {max(times) * 1000:.0f} ms"]
    return result


def streams(seconds: int = 60) -> Result:
    """Have all threads of a worker busy for long, while nobody waits for them."""
    result = Result(f"every thread of a worker busy for {seconds} s and nobody waits")
    with site_folder() as folder:
        settings = {"threads": 4, "worker_stuck_timeout": TIMEOUT_SECONDS, "worker_stall_timeout": TIMEOUT_SECONDS}
        with serving(Site(folder, preload="on", **settings)) as fleet:  # type: ignore[arg-type]  # all are settings
            before = fleet.workers(2)
            with clients_of_one_worker(fleet, 4) as (_, clients):
                for client in clients:
                    client.sock.settimeout(seconds + 10)
                    send(client, f"/sleep/{seconds}")
                answers = [client.receive().status for client in clients]
            result.expect(answers == [200] * 4, f"answered {answers}")
            result.expect(fleet.workers(2).keys() == before.keys(), "a worker was replaced")
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
    result.figures = [f"answered {answers}, and the same workers serve"]
    return result


def leak() -> Result:
    """Have workers grow under load, and be renewed for it."""
    result = Result(
        f"a leak of 1 MB a request, worker_max_memory = {LIMIT_BYTES >> 20}M, 4 workers, {LEAK_SECONDS:g} s"
    )
    ended = threading.Event()
    leaks = 0

    def leak_on(fleet: Fleet) -> None:
        nonlocal leaks
        while not ended.wait(LEAK_PAUSE_SECONDS):
            with Client(fleet.address) as client:
                result.expect(client.get("/leak", "Connection: close").status == 200, "a leaking request is lost")
            leaks += 1

    with site_folder() as folder:
        site = Site(folder, workers=4, preload="on", worker_max_memory=LIMIT_BYTES)
        site.write(1, at_request=MORE_PAGES)
        with serving(site) as fleet:
            load, sizes, counts = Load(fleet.address), [0], [4]
            thread = threading.Thread(target=leak_on, args=(fleet,))
            thread.start()
            with load.running():
                end = time.monotonic() + LEAK_SECONDS
                while time.monotonic() < end:
                    workers = [member.pid for member in fleet.members() if member.name.startswith("waitressd-w")]
                    sizes += [private_memory(pid) or 0 for pid in workers]
                    counts.append(len(workers))
                    time.sleep(0.5)
            books = load.stop()
            ended.set()
            thread.join()
            renewed = fleet.output.count("is renewed")
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
    rate = leaks * LEAK_BYTES / LEAK_SECONDS
    result.trouble += books.trouble()
    result.expect(min(counts) >= 4, f"{min(counts)} workers")
    result.expect(max(counts) <= 6, f"{max(counts)} workers")
    result.expect(renewed >= 2, "nobody was renewed")
    result.expect(max(sizes) <= LIMIT_BYTES + 10 * rate, f"{max(sizes) >> 20}M")
    result.figures = [
        books.summary(),
        f"{renewed} renewed, {min(counts)} to {max(counts)} workers, at most {max(sizes) >> 20}M of their own",
        f"{leaks} requests leaked, {rate / (1 << 20):.0f} MB a second in all",
    ]
    return result


HANGS: Final[dict[str, Callable[[], Result]]] = {
    "stalled": stalled,
    "stuck": stuck,
    "streams": streams,
    "leak": leak,
}
