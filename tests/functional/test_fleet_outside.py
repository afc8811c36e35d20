"""A fleet as others see it: the service manager, socket activation, request logs in one file, metrics in one page."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.fleets import LATELY_SECONDS, Fleet, kill_worker, needs_a_fleet, serving
from tests.support.load import Load
from tests.support.processes import kill_session
from tests.support.servers import spawn, wait_until_accepting
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

SO_PASSCRED: Final = getattr(socket, "SO_PASSCRED", 16)
CREDENTIALS: Final = 2  # SCM_CREDENTIALS


class Manager:
    """The socket that a service notifies; it knows which process each message comes from."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.senders: Counter[int] = Counter()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.socket.settimeout(15)

    def until(self, wanted: str) -> dict[str, str]:
        """Read messages until one says `wanted`; return the fields of that one."""
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(4096, 64)
            (pid,) = [int.from_bytes(value[:4], sys.byteorder) for _, kind, value in ancillary if kind == CREDENTIALS]
            self.senders[pid] += 1
            lines = data.decode().split("\n")
            if wanted in lines:
                return dict(line.split("=", 1) for line in lines if line)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path)
    yield found
    found.socket.close()


@pytest.mark.parametrize("way", ["config", "pserve"])
def test_the_master_alone_speaks_to_the_service_manager(way: str, manager: Manager, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2000000"}
    site = Site(tmp_path, workers=2)
    with serving(site, way, environment) as fleet:
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        site.write(2)
        fleet.signal(signal.SIGHUP)
        assert "MONOTONIC_USEC" in manager.until("RELOADING=1")
        status = manager.until("READY=1").get("STATUS", "")
        assert "2" in status, status
        manager.until("WATCHDOG=1")
        site.write(3, "import a_module_that_nobody_has")
        fleet.signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        status = manager.until("READY=1").get("STATUS", "")
        assert "the last reload was refused" in status
        assert "a_module_that_nobody_has" in status
        manager.until("WATCHDOG=1")
        fleet.signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert fleet.wait(10) == 0
        assert set(manager.senders) == {fleet.pid}


def test_the_status_names_what_serves(manager: Manager, tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=3), environment={"NOTIFY_SOCKET": manager.path}) as fleet:
        manager.until("READY=1")
        os.kill(min(fleet.workers(3)), signal.SIGKILL)
        fleet.workers(3)
        fleet.signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        status = manager.until("READY=1")["STATUS"]
        assert str(fleet.address[1]) in status
        assert "3 of 3 workers" in status


# What a service manager does for a socket unit, in a process that becomes the server.
ACTIVATE: Final = (
    "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@pytest.mark.parametrize("way", ["config", "pserve"])
def test_socket_activation(way: str, tmp_path: Path) -> None:
    """The backlog of the socket outlives everything: a reload, a death, even the service."""
    site = Site(tmp_path, listen="fd:web")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        os.set_inheritable(listening.fileno(), True)  # in the child it is moved to where systemd puts it
        command = [sys.executable, "-c", ACTIVATE, str(listening.fileno()), *site.command(way)]
        variables = {**site.environment(), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        fleet = Fleet(spawn(command, site.folder, variables, pass_fds=(listening.fileno(),)))
        try:
            fleet.wait_for(r"Serving on \S+")
            wait_until_accepting(address)
            assert len(fleet.workers(2)) == 2
            site.write(2)
            fleet.reload()
            assert {worker["version"] for worker in fleet.workers(2).values()} == {2}
            assert fleet.terminate(10) == 0
            with Client(address):  # nobody answers, and nobody is refused
                pass
        finally:
            kill_session(fleet.pid)
            fleet.kill()


# -- request logs

LOG_SECTION: Final = (
    "[request_log:access]\nuse = egg:waitressd#json\npath = %(here)s/access.log\n"
    "[request_log:errors]\nuse = egg:waitressd#combined\npath = %(here)s/combined.log\n"
)
LOGS: Final = "access\n    errors"


def targets(*paths: Path) -> "Counter[str]":
    """Count the paths in the JSON lines of these files; a torn line cannot be read and fails."""
    found: Counter[str] = Counter()
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            found[json.loads(line)["url.path"]] += 1
    return found


def logging_site(folder: Path, **settings: Any) -> Site:
    site = Site(folder, request_log=LOGS, **settings)
    site.sections = LOG_SECTION
    site.write_ini()
    return site


def test_all_workers_log_into_one_file_and_no_line_is_lost(tmp_path: Path) -> None:
    site = logging_site(tmp_path)
    with serving(site) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 500)
            site.write(2)
            fleet.reload()
            assert wait_until(lambda: load.books.last_of(2) > 0)
        assert fleet.terminate(10) == 0
    books = load.stop()
    assert books.trouble() == [], fleet.output
    found = targets(tmp_path / "access.log")
    answered = Counter(f"/r/{answer.number}" for answer in books.answers)
    assert {name: count for name, count in found.items() if name.startswith("/r/")} == answered
    combined = (tmp_path / "combined.log").read_text(encoding="utf-8")
    assert Counter(re.findall(r'"GET (/r/\d+) HTTP/1\.1" 200 ', combined)) == answered


def test_records_name_worker_and_process(tmp_path: Path) -> None:
    with serving(logging_site(tmp_path)) as fleet:
        found = fleet.workers(2)
        assert fleet.terminate(10) == 0
    records = [json.loads(line) for line in (tmp_path / "access.log").read_text(encoding="utf-8").splitlines()]
    pairs = {(record["waitressd.worker"], record["process.pid"]) for record in records}
    assert pairs == {(worker["number"], pid) for pid, worker in found.items()}


def ask_on_one_connection(fleet: Fleet, name: str, answered: list[str]) -> None:
    """Ask until the connection ends, and note the path of each request that was answered."""
    with Client(fleet.address) as client, contextlib.suppress(OSError, AssertionError):
        for number in itertools.count():
            path = f"/quick/{name}-{number}"
            client.get(path)
            answered.append(path)


@pytest.mark.parametrize("preload", ["on", "off"])
def test_a_killed_worker_leaves_the_lines_of_what_it_has_answered(preload: str, tmp_path: Path) -> None:
    """All but the answer that each client got last: the kill may have come between its last byte and its line."""
    with serving(logging_site(tmp_path, preload=preload)) as fleet:
        answered: list[list[str]] = [[] for _ in range(8)]
        clients = [
            threading.Thread(target=ask_on_one_connection, args=(fleet, str(number), found))
            for number, found in enumerate(answered)
        ]
        for client in clients:
            client.start()
        assert wait_until(lambda: all(len(found) > 30 for found in answered))
        for worker in fleet.workers(2):
            os.kill(worker, signal.SIGKILL)
        for client in clients:
            client.join()
        fleet.workers(2)
        assert fleet.terminate(10) == 0
    found = targets(tmp_path / "access.log")
    assert [path for paths in answered for path in paths[:-1] if path not in found] == []
    assert max(found[path] for paths in answered for path in paths) == 1
    combined = (tmp_path / "combined.log").read_text(encoding="utf-8")
    assert set(re.findall(r'"GET (/quick/\S+) HTTP/1\.1" 200 ', combined)) >= {
        path for paths in answered for path in paths[:-1]
    }


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_a_rotation_reaches_all_workers(number: signal.Signals, tmp_path: Path) -> None:
    site = logging_site(tmp_path)
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with serving(site) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 300)
            log.rename(old)
            fleet.signal(number)
            assert wait_until(log.exists)
            assert wait_until(lambda: len(load.books.answers) > 800)
        size = old.stat().st_size
        fleet.workers(2)
        assert old.stat().st_size == size, "somebody still writes to the old file"
        assert fleet.terminate(10) == 0
    books = load.stop()
    assert books.trouble() == [], fleet.output
    found = targets(old, log)
    answered = Counter(f"/r/{answer.number}" for answer in books.answers)
    assert {name: count for name, count in found.items() if name.startswith("/r/")} == answered


# -- metrics

WRITTEN_SECONDS: Final = 1.0  # after that, what a worker has counted is in the page
METRICS: Final = "[request_log:metrics]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"


def metrics_site(folder: Path, **settings: Any) -> Site:
    site = Site(folder, request_log="metrics", **settings)
    site.sections = METRICS
    site.write_ini()
    return site


def scrape(address: tuple[str, int]) -> str:
    with Client(address) as client:
        answer = client.get("/metrics", "Connection: close")
    assert answer.status == 200
    return answer.body.decode()


def requests(page: str) -> int:
    """Add up what the page says of requests that were answered whole."""
    counts = re.findall(r'^waitressd_requests_total\{status="2xx",ended_by="complete"\} (\d+)', page, re.MULTILINE)
    return sum(map(int, counts))


def settled(page: tuple[str, int]) -> int:
    """Return how many requests were answered once that grows no more."""
    counts = [-1, requests(scrape(page))]
    while counts[-1] != counts[-2]:
        time.sleep(2 * WRITTEN_SECONDS)
        counts.append(requests(scrape(page)))
    return counts[-1]


@pytest.mark.parametrize("preload", ["on", "off"])
def test_counters_are_of_the_whole_fleet_and_never_fall(preload: str, tmp_path: Path) -> None:
    site = metrics_site(tmp_path, preload=preload)
    with serving(site) as fleet:
        page = fleet.metrics
        load = Load(fleet.address)
        load.metrics = page
        before = settled(page)
        with load.running():
            assert wait_until(lambda: len(load.books.pids(0)) == 2)
            site.write(2)
            fleet.reload()
            assert wait_until(lambda: load.books.last_of(2) > 0)
            scrapes = load.books.scrapes
            assert wait_until(lambda: load.books.scrapes > scrapes + 1)
        books = load.stop()
        assert books.trouble() == [], fleet.output
        assert wait_until(lambda: requests(scrape(page)) - before == len(books.answers)), fleet.output
        assert fleet.terminate(10) == 0


def test_a_death_takes_no_counter_back(tmp_path: Path) -> None:
    with serving(metrics_site(tmp_path)) as fleet:
        page = fleet.metrics
        load = Load(fleet.address)
        load.metrics = page
        before, began = settled(page), time.monotonic()
        with load.running():
            assert wait_until(lambda: len(load.books.pids(0)) == 2)
            for _ in range(3):
                time.sleep(LATELY_SECONDS)
                kill_worker(load)
        books, lasted = load.stop(), time.monotonic() - began
        assert books.fallen == []
        assert books.wrong == []
        counted = settled(page) - before
        between = 3 * WRITTEN_SECONDS * len(books.answers) / lasted  # what those had counted last that were killed
        assert len(books.answers) - between <= counted <= len(books.answers) + len(books.lost) + len(books.silent)
        assert fleet.terminate(10) == 0


def test_the_page_tells_of_workers(tmp_path: Path) -> None:
    with serving(metrics_site(tmp_path, workers=3)) as fleet:
        page = fleet.metrics
        assert wait_until(lambda: re.search(r"^waitressd_workers\S* 3$", scrape(page), re.MULTILINE)), scrape(page)
        assert fleet.terminate(10) == 0
