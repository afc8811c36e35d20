"""Two scenarios of the level: upgrades in place under load, and restarts of a service behind nginx."""

import contextlib
import functools
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from compileall import compile_dir
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.fleets import RELOADED, Fleet, serving
from tests.support.frontends import make_certificate, nginx
from tests.support.load import Books, Load
from tests.support.manager import Manager
from tests.support.servers import ROOT, free_port
from tests.support.site import Site
from tests.support.waiting import wait_until

GAP_SECONDS: Final = 0.3
"""For how long there may be no master, as those see it who ask at its admin address."""
UPGRADES: Final = 5
RESTARTS: Final = 5
PAUSE_SECONDS: Final = 1.0

Findings = tuple[list[str], list[str]]
"""Figures, and what is not as it must be."""


class Asker:
    """Asks the master how it is, again and again, and notes how long each answer took."""

    def __init__(self, path: str) -> None:
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self._path = path
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asker")

    @contextlib.contextmanager
    def running(self) -> Iterator["Asker"]:
        """Ask while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            self._thread.join(30)

    def _run(self) -> None:
        while not self._ending.wait(0.005):
            began = time.monotonic()
            try:
                with Client(self._path) as client:
                    answer = ask(client, "/ready", host="localhost")
                if answer.status != 200:
                    self.wrong.append(f"/ready: {answer.status} {json.loads(answer.body).get('reason')}")
            except (OSError, AssertionError, ValueError) as error:
                self.wrong.append(f"/ready: {error!r}")
            self.seconds.append(time.monotonic() - began)


def upgrades(way: str = "config", count: int = UPGRADES) -> Findings:
    """Upgrade again and again under load, and stop in the last gap."""
    trouble: list[str] = []
    compile_dir(ROOT / "waitressd", quiet=2)  # as an installation does
    with tempfile.TemporaryDirectory(prefix="fleet-") as name:
        site = Site(Path(name))
        site.sections = "[request_log:counts]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"
        site.write_ini(request_log="counts", admin_listen=f"unix:{name}/admin.sock")
        with serving(site, way) as fleet:
            load, asker = Load(fleet.address), Asker(f"{name}/admin.sock")
            load.metrics = fleet.metrics
            with load.running(), asker.running():
                for _ in range(count):
                    time.sleep(PAUSE_SECONDS)
                    mark = fleet.mark()
                    fleet.signal(signal.SIGUSR2)
                    fleet.wait_for("upgraded in place", mark)
                    fleet.wait_for(RELOADED, mark)
            books = load.stop()
            trouble += books.trouble() + asker.wrong[:5]
            ended = _stop_in_the_gap(fleet)
            if ended != 0:
                trouble.append(f"SIGTERM in the gap: status {ended}")
            if not fleet.is_gone_within(2):
                trouble.append("something is left behind")
    gap = max(asker.seconds)
    if gap > GAP_SECONDS:
        trouble.append(f"no master for {gap * 1000:.0f} ms (load average {os.getloadavg()[0]:.1f})")
    times = sorted(answer.received for answer in books.answers)
    pause = max(after - before for before, after in pairwise(times))
    figures = [
        books.summary(),
        f"{count} upgrades of one process; no answer of the master for {gap * 1000:.0f} ms at most",
        f"no answer of the application for {pause * 1000:.0f} ms at most; a SIGTERM in a gap was obeyed afterwards",
    ]
    return figures, trouble


def _stop_in_the_gap(fleet: Fleet) -> int:
    """Signal as soon as the next program has begun: it has one thread, and the name of its interpreter."""
    name = Path(f"/proc/{fleet.pid}/comm")
    fleet.signal(signal.SIGUSR2)
    assert wait_until(lambda: "waitressd" not in name.read_text(encoding="ascii"), 30)
    fleet.signal(signal.SIGTERM)
    return fleet.wait()


def restarts(workers: int, *, is_kept: bool, count: int = RESTARTS) -> Findings:
    """Restart a service behind nginx under load, whose sockets the manager keeps, or not."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="restarts-")))
        folder.chmod(0o755)  # nginx has another account
        address = f"127.0.0.1:{free_port()}"
        site = Site(folder, listen=address, workers=workers)
        manager = Manager(folder, 16 if is_kept else 0)
        stack.callback(manager.close)
        place = {"unix:/run/shop/web.sock": address}
        front = stack.enter_context(nginx("nginx", folder, make_certificate(folder), place))
        load = Load(("127.0.0.1", front.ports["http"]), kept=10, single=10)
        load.rest_seconds = 0.02
        start = functools.partial(manager.running, site.command("config"), folder, site.environment(), Fleet)
        trouble: list[str] = []
        with contextlib.ExitStack() as loaded:
            for number in range(count + 1):
                with start() as service:
                    if not number:
                        loaded.enter_context(load.running())
                    time.sleep(PAUSE_SECONDS)
                    if number == count:
                        load.stop()
                    if service.terminate() != 0:
                        trouble.append(f"status {service.process.returncode}")
    return _restarted(load.books, trouble, is_kept=is_kept)


def _restarted(books: Books, trouble: list[str], *, is_kept: bool) -> Findings:
    bad = sum(": 502 " in text for text in books.wrong)
    others = [text for text in books.wrong if ": 502 " not in text]
    slowest = max((answer.received - answer.sent for answer in books.answers), default=0.0)
    figures = [f"{len(books.answers)} answered, {bad} with 502, {len(books.lost)} lost; slowest {slowest:.1f} s"]
    if is_kept:
        trouble += [f"{bad} answers 502"] if bad else []
        trouble += [*others[:5], *(f"lost: {loss}" for loss in books.lost[:5])]
    return figures, trouble
