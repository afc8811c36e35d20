"""The master becomes another version of the server while its workers serve."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.fleets import Fleet, needs_a_fleet, serving
from tests.support.load import Load
from tests.support.manager import Manager
from tests.support.servers import ROOT
from tests.support.site import Site
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import re

pytestmark = needs_a_fleet

UPGRADED = r"upgraded in place from (\S+) to (\S+); 2 workers served on"
RELOADED = "reload done: generation 2"
REFUSED = r"upgrade refused: .*"
NOT_NOW = r"SIGUSR2: no upgrade: .*"

# Executed in the place of the master: it waits until the test has done what is to happen meanwhile.
GATE = """
import os
os.close(os.open({gate!r}, os.O_RDONLY))
"""


class Installed:
    """A copy of the server that can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "installed"
        shutil.copytree(ROOT / "waitressd", self.root / "waitressd", ignore=shutil.ignore_patterns("__pycache__"))

    def change(self, name: str, old: str, new: str) -> None:
        """Install another version of one file."""
        path = self.root / "waitressd" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def environment(self, site: Site) -> dict[str, str]:
        """Return the variables with which the command finds it."""
        return {"PYTHONPATH": os.pathsep.join([str(self.root), str(site.folder)])}


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


@contextlib.contextmanager
def fleet_of(installed: Installed, site: Site, way: str = "config") -> Iterator[Fleet]:
    with serving(site, way, installed.environment(site)) as fleet:
        yield fleet


def upgrade(fleet: Fleet, pattern: str = UPGRADED) -> "re.Match[str]":
    """Upgrade, and return what the log says of it."""
    mark = fleet.mark()
    fleet.signal(signal.SIGUSR2)
    return fleet.wait_for(pattern, mark)


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def executed(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


@pytest.mark.parametrize(("way", "preload"), [("config", "on"), ("pserve", "off")])
def test_a_new_version_takes_over_and_nobody_notices(
    way: str, preload: str, installed: Installed, tmp_path: Path
) -> None:
    """Not even one with which workers and templates of the old one cannot talk as before."""
    site = Site(tmp_path, preload=preload)
    site.sections = "[request_log:counts]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"
    site.write_ini(request_log="counts", admin_listen=f"unix:{tmp_path}/admin.sock")
    with fleet_of(installed, site, way) as fleet:
        words = executed(fleet.pid)
        load = Load(fleet.address, kept=10, single=5)
        load.metrics = fleet.metrics
        installed.change("version.py", '"1.', '"2.')
        installed.change("fleet/link.py", "PROTOCOL: Final = 1", "PROTOCOL: Final = 2")
        before = open_descriptors(fleet.pid)
        with load.running():
            old = set(fleet.workers(2))
            found = upgrade(fleet)
            assert (found[1][0], found[2][0]) == ("1", "2")
            fleet.wait_for(RELOADED)
            assert not old & set(fleet.workers(2))
        books = load.stop()
        assert books.trouble() == [], books
        assert books.scrapes > 1
        # Still the same process, that says which command it is.
        assert executed(fleet.pid)[-len(words) + words.index("--") :] == words[words.index("--") :]
        with Client(f"{tmp_path}/admin.sock") as client:
            ready = json.loads(ask(client, "/ready", host="localhost").body)
        assert (ready["ready"], ready["version"][0]) == (True, "2")
        assert wait_until(lambda: open_descriptors(fleet.pid) <= before + 2), open_descriptors(fleet.pid)
        assert fleet.terminate() == 0
        assert fleet.is_gone_within(2)


@pytest.mark.parametrize("event", ["stop", "death", "reload"])
def test_what_happens_in_the_gap_is_noticed_after_it(event: str, installed: Installed, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    site = Site(tmp_path)
    with fleet_of(installed, site) as fleet:
        victim, other = sorted(fleet.workers(2))
        installed.change("fleet/__main__.py", "import sys\n", f"import sys\n{GATE.format(gate=str(gate))}")
        mark = fleet.mark()
        fleet.signal(signal.SIGUSR2)
        writing = os.open(gate, os.O_WRONLY)  # the next program has begun
        if event == "death":
            os.kill(victim, signal.SIGKILL)
            assert {fleet.who()["pid"] for _ in range(4)} == {other}
        elif event == "reload":
            assert fleet.who()["pid"] in (victim, other)
            fleet.signal(signal.SIGHUP)
        else:
            fleet.signal(signal.SIGTERM)
        os.close(writing)
        fleet.wait_for(UPGRADED, mark)
        if event == "death":
            fleet.wait_for(rf"worker \d \(pid {victim}, generation 1\) died.*SIGKILL", mark)
            fleet.wait_for(RELOADED, mark)
            assert other not in fleet.workers(2)
        elif event == "reload":
            fleet.wait_for(RELOADED, mark)
            fleet.wait_for("reload done: generation 3", mark)
        if event != "stop":
            fleet.signal(signal.SIGTERM)
        assert fleet.wait() == 0
        assert fleet.is_gone_within(2)


def test_a_version_that_cannot_go_on_is_refused(installed: Installed, tmp_path: Path) -> None:
    with fleet_of(installed, Site(tmp_path)) as fleet:
        old = set(fleet.workers(2))
        words = executed(fleet.pid)
        path = installed.root / "waitressd" / "fleet" / "handover.py"
        good = path.read_text()
        for trouble, expected in (
            ("raise ImportError('not this one')\n", "ImportError: not this one"),
            (
                good.replace("READABLE: Final = (1,)", "READABLE: Final = (7,)"),
                "the running version has written state 1",
            ),
        ):
            path.write_text(trouble)
            line = upgrade(fleet, REFUSED)[0]
            assert expected in line
        path.write_text(good)
        assert executed(fleet.pid) == words
        assert set(fleet.workers(2)) == old
        upgrade(fleet)
        fleet.wait_for(RELOADED)
        assert fleet.terminate() == 0


def test_what_cannot_be_executed_after_all_is_refused(installed: Installed, tmp_path: Path) -> None:
    """Everything goes on as it was, also what was given up for the gap."""
    site = Site(tmp_path)
    site.sections = "[request_log:counts]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"
    site.write_ini(request_log="counts", admin_listen=f"unix:{tmp_path}/admin.sock")
    installed.change(
        "fleet/handover.py",
        "        command = [sys.executable,",
        "        command = ['/gone' if hand.carried else sys.executable,",
    )
    with fleet_of(installed, site) as fleet:
        before = open_descriptors(fleet.pid)
        assert "No such file" in upgrade(fleet, REFUSED)[0]
        with Client(f"{tmp_path}/admin.sock") as client:
            assert ask(client, "/ready", host="localhost").status == 200
        with Client(fleet.metrics) as client:
            assert client.get("/metrics").status == 200
        assert wait_until(lambda: open_descriptors(fleet.pid) <= before), open_descriptors(fleet.pid)
        fleet.reload()
        assert fleet.terminate() == 0
        assert not (tmp_path / "admin.sock").exists()


def test_an_upgrade_is_refused_while_a_reload_is_on_its_way(installed: Installed, tmp_path: Path) -> None:
    site = Site(tmp_path)
    with fleet_of(installed, site) as fleet:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        site.write(2, f"open({str(gate)!r}).close()")
        fleet.signal(signal.SIGHUP)
        with gate.open("w"):  # it loads
            assert "a reload is on its way" in upgrade(fleet, NOT_NOW)[0]
        fleet.wait_for(RELOADED)
        upgrade(fleet)
        assert fleet.terminate() == 0


def test_a_program_that_calls_serve_is_not_upgraded(installed: Installed, tmp_path: Path) -> None:
    with fleet_of(installed, Site(tmp_path), "serve") as fleet:
        assert "serve() cannot run its command again" in upgrade(fleet, NOT_NOW)[0]
        assert fleet.terminate() == 0


def test_the_service_manager_sees_the_same_process_go_on(installed: Installed, tmp_path: Path) -> None:
    manager = Manager(tmp_path)
    site = Site(tmp_path)
    environment = {**site.environment(), **installed.environment(site), "WATCHDOG_USEC": "1000000"}
    try:
        with manager.running(site.command("config"), site.folder, environment, Fleet) as fleet:
            fleet.wait_for(r"Serving on \S+")
            fleet.workers(2)
            mark = manager.mark()
            upgrade(fleet)
            manager.wait_for("RELOADING=1", mark)
            fleet.wait_for(RELOADED)
            mark = manager.mark()
            manager.wait_for("WATCHDOG=1", mark)
            assert fleet.terminate() == 0
            assert manager.counts()["STOPPING"] == 1
    finally:
        manager.close()
