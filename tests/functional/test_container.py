"""The container of the manual: its command, run as process 1 of a namespace of its own. No engine is needed."""

import contextlib
import json
import re
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
from tests.support.servers import ROOT, free_port, spawn
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.config.adjustments import Adjustments
from waitressd.config.commandline import parse_command

pytestmark = needs_a_fleet

FOLDER: Final = Path(__file__).parent.parent.parent / "docs" / "container"
CONTAINERFILE: Final = FOLDER / "Containerfile"
NAMESPACE: Final = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
READ_ONLY: Final = ["sh", "-c", 'mount -o bind,remount,ro / && mount -t tmpfs tmpfs "$TMPDIR" && exec "$@"', "sh"]
"""What `--read-only --tmpfs /tmp` does: nothing can be written but there."""
ORPHAN: Final = """
import subprocess

def at_request():
    subprocess.run(["sh", "-c", "sleep 0.7 &"], check=True)
"""


def the_command(instruction: str = "CMD") -> list[str]:
    (command,) = re.findall(rf"^{instruction}.*?(\[.*\])$", CONTAINERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    found: list[str] = json.loads(command)
    return found


def the_address() -> str:
    """Return where the health check asks."""
    (address,) = (word.partition("=")[2] for word in the_command() if word.startswith("--admin-listen="))
    return address


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
    site.sections = "[request_log:access]\nuse = json\npath = -\n"
    site.write_ini(request_log="access")
    words = [ini.name if word == "production.ini" else word for word in the_command()[1:]]
    words = [word.replace("0.0.0.0:6543", "127.0.0.1:0").replace("workers=auto", "workers=2") for word in words]
    words = [word.replace(the_address(), f"127.0.0.1:{free_port()}") for word in words]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [*NAMESPACE, *READ_ONLY, sys.executable, "-m", "waitressd", *words]
    fleet = Fleet(spawn(command, site.folder, {**site.environment(), "TMPDIR": str(temporary)}))
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


def test_its_health_check_asks_the_address_of_its_command() -> None:
    words = the_command("HEALTHCHECK")
    assert words == ["waitressd", "ready", the_address()]


def test_it_works_where_nothing_can_be_written(as_process_1: tuple[Fleet, int]) -> None:
    """A body and an answer that do not fit into memory, a health check, and a line of the log on standard output."""
    fleet, _ = as_process_1
    body = b"x" * (3 << 20)
    with Client(fleet.address) as client:
        head = f"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert client.request(head + body).status in {200, 404}
    address = fleet.wait_for(r"Admin address on (127\.0\.0\.1:\d+)")[1]
    command = [sys.executable, "-m", "waitressd", "ready", "--wait=10", address]
    assert subprocess.run(command, check=False, capture_output=True, cwd=ROOT).stdout == b"ready\n"
    assert wait_until(lambda: re.search(r'^\{.*"POST".*\}$', fleet.output, re.MULTILINE) is not None)


def test_the_times_of_the_compose_file_fit() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    (grace,) = re.findall(r"^    stop_grace_period: (\d+)s$", text, re.MULTILINE)
    assert int(grace) >= Adjustments().shutdown_timeout + 2
    assert re.findall(r'^    ports: \["(\d+):(\d+)"\]$', text, re.MULTILINE) == [("6543", "6543")]
    assert "\n    read_only: true\n" in text
    assert '\n    tmpfs: ["/tmp' in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_hears_the_signals_of_an_engine(number: signal.Signals, as_process_1: tuple[Fleet, int]) -> None:
    fleet, master = as_process_1
    subprocess.run(["kill", f"-{number.name.removeprefix('SIG')}", str(master)], check=True)
    assert fleet.wait(20) == 0
    assert "Traceback" not in fleet.output
