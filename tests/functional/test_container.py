"""The container of the manual: its command, run as process 1 of a namespace of its own. No engine is needed."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client
from tests.support.fleets import Fleet, needs_a_fleet
from tests.support.servers import spawn
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.config.commandline import parse_command

pytestmark = needs_a_fleet

CONTAINERFILE: Final = Path(__file__).parent.parent.parent / "docs" / "container" / "Containerfile"
NAMESPACE: Final = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
ORPHAN: Final = """
import subprocess

def at_request():
    subprocess.run(["sh", "-c", "sleep 0.7 &"], check=True)
"""


def the_command() -> list[str]:
    lines = CONTAINERFILE.read_text(encoding="utf-8").splitlines()
    (command,) = (line.removeprefix("CMD ") for line in lines if line.startswith("CMD "))
    found: list[str] = json.loads(command)
    return found


def children(pid: int) -> list[tuple[int, str, str]]:
    """Return the pid, the state and the name of each child."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):  # it has just ended
            name, _, rest = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").partition("(")[2].rpartition(")")
            found.append((int(child), rest.split()[0], name))
    return found


def names_below(pid: int) -> set[str]:
    return {name for _, _, name in children(pid)}


@pytest.fixture
def as_process_1(tmp_path: Path) -> Iterator[tuple[Fleet, int]]:
    """The fleet, and the number that its process 1 has outside."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this system makes no namespaces for us")
    site = Site(tmp_path)
    site.write(1, at_request=ORPHAN)
    ini = Path(site.command("config")[-1])
    words = [ini.name if word == "production.ini" else word for word in the_command()[1:]]
    words = [word.replace("0.0.0.0:6543", "127.0.0.1:0").replace("workers=auto", "workers=2") for word in words]
    fleet = Fleet(spawn([*NAMESPACE, sys.executable, "-m", "waitressd", *words], site.folder, site.environment()))
    try:
        fleet.wait_for("2 workers serve")
        yield fleet, children(fleet.pid)[0][0]
    finally:
        fleet.end()


def test_its_command_is_one() -> None:
    assert the_command()[0] == "waitressd"
    assert parse_command(the_command()[1:]).config == "production.ini"


def test_process_1_reaps_the_orphans_of_the_application(as_process_1: tuple[Fleet, int]) -> None:
    fleet, master = as_process_1
    ours = names_below(master)
    assert ours == {"waitressd-code1", "waitressd-w1", "waitressd-w2"}
    with Client(fleet.address) as client:
        assert client.get("/quick").status == 200
    assert wait_until(lambda: "sleep" in names_below(master))
    assert wait_until(lambda: names_below(master) == ours), children(master)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_hears_the_signals_of_an_engine(number: signal.Signals, as_process_1: tuple[Fleet, int]) -> None:
    fleet, master = as_process_1
    subprocess.run(["kill", f"-{number.name.removeprefix('SIG')}", str(master)], check=True)
    assert fleet.wait(20) == 0
    assert "Traceback" not in fleet.output
