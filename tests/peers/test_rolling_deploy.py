"""Three servers behind HAProxy get a new version, one after the other, by the manual's script: no request is lost."""

import configparser
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.frontends import haproxy_status, health_haproxy, program
from tests.support.load import Load
from tests.support.servers import ROOT, ServerProcess, free_port, start_process
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.config.adjustments import Adjustments

FILES: Final = ROOT / "docs" / "operation"
NAMES: Final = ("web1", "web2", "web3")
SSH: Final = """\
#!/bin/sh
# Stands in for ssh: hands the machine and its command over, and ends with the status that comes back.
echo "$1|$(echo "$2" | tr '\\n' ' ')" > "$HANDS/asked"
read -r status < "$HANDS/answered"
exit "$status"
"""


def settings() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((FILES / "production.ini").read_text(encoding="utf-8"))
    found = dict(parser["server:main"])
    assert found.pop("use") == "egg:waitressd"
    return found


class Machine:
    """A server that is always at the same two ports."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.ports = {"listen": free_port(), "admin_listen": free_port()}
        own = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        # The manual has HAProxy ask once a second; here it asks ten times as often, and everybody waits as much less.
        values = settings() | own | {"trusted_proxy": "127.0.0.1", "drain_delay": "1"}
        self.options = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
        self.site = site
        self.server: ServerProcess | None = None

    def start(self) -> None:
        """Start it with the code that is in the folder now."""
        environment = self.site.environment()
        self.server = start_process([*self.options, "shop:application"], cwd=self.site.folder, environment=environment)

    def kill(self) -> None:
        """Take away what is left of it."""
        if self.server is not None:
            self.server.kill()

    def restart(self, command: str) -> int:
        """Do what the command of the script does; return its status."""
        assert self.server is not None
        found = re.search(
            r"/srv/shop/install (\d+) && systemctl restart (\S+) +&&? +\S+/waitressd (ready --wait=\d+) ", command
        )
        assert found, command
        assert (FILES.parent / "systemd" / f"{found[2]}.service").is_file()
        self.site.write(int(found[1]))
        assert self.server.terminate() == 0
        self.server.kill()
        self.start()
        words = [sys.executable, "-m", "waitressd", *found[3].split(), f"127.0.0.1:{self.ports['admin_listen']}"]
        return subprocess.run(words, cwd=ROOT, check=False, capture_output=True).returncode


@contextmanager
def machines(folder: Path) -> Iterator[dict[str, Machine]]:
    found = {}
    with ExitStack() as stack:
        for name in NAMES:
            (folder / name).mkdir()
            machine = found[name] = Machine(name, Site(folder / name))
            machine.start()
            stack.callback(machine.kill)
        yield found


def run_script(folder: Path, version: int, restart: Callable[[str, str], int]) -> "subprocess.Popen[str]":
    """Run the script, with a folder's `ssh` that has `restart` called."""
    hands = folder / "hands"
    hands.mkdir()
    (hands / "ssh").write_text(SSH, encoding="ascii")
    (hands / "ssh").chmod(0o755)
    for name in ("asked", "answered"):
        os.mkfifo(hands / name)
    environment = {**os.environ, "PATH": f"{hands}{os.pathsep}{os.environ['PATH']}", "HANDS": str(hands)}
    script = subprocess.Popen(
        [str(FILES / "deploy.sh"), str(version)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def serve() -> None:
        for _ in NAMES:
            name, _, command = (hands / "asked").read_text(encoding="utf-8").partition("|")
            status = restart(name, command)
            (hands / "answered").write_text(f"{status}\n", encoding="ascii")
            if status:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    script.wait(60)
    thread.join(60)
    return script


@pytest.mark.timeout(180)  # six starts and three stops under load
def test_no_request_is_lost_while_one_machine_after_the_other_gets_a_new_version(tmp_path: Path) -> None:
    program("haproxy")
    with machines(tmp_path) as all_of_them:
        places = {
            f"10.0.0.1{number}:6543 port 9100": "127.0.0.1:{listen} port {admin_listen}".format(**machine.ports)
            for number, machine in enumerate(all_of_them.values(), 1)
        } | {"check inter 1s": "check inter 100ms"}
        with health_haproxy(tmp_path, places, "operation/haproxy.cfg") as (port, stats):
            assert wait_until(lambda: [haproxy_status(stats, name) for name in NAMES] == ["UP"] * 3)
            load = Load(("127.0.0.1", port), kept=8, single=4)
            load.rest_seconds = 0.01
            with load.running():
                assert wait_until(lambda: len(load.books.answers) > 50)
                script = run_script(tmp_path, 2, lambda name, command: all_of_them[name].restart(command))
                ended = len(load.books.answers)
                assert wait_until(lambda: len(load.books.answers) > ended + 50)
            books = load.stop()
    assert script.stdout is not None
    with script.stdout:
        assert script.stdout.read() == "".join(f"{name} has 2\n" for name in NAMES)
    assert script.returncode == 0
    assert books.trouble() == [], books.summary()
    assert set(books.versions()) == {1, 2}
    assert {answer.version for answer in books.answers[-20:]} == {2}


def test_a_version_that_does_not_get_ready_stops_at_the_first_machine(tmp_path: Path) -> None:
    asked = []

    def restart(name: str, _command: str) -> int:
        asked.append(name)
        return 1

    script = run_script(tmp_path, 2, restart)
    assert script.stdout is not None
    with script.stdout:
        assert script.stdout.read() == ""
    assert (script.returncode, asked) == (1, ["web1"])


def test_the_times_of_the_files_fit() -> None:
    text = (FILES / "haproxy.cfg").read_text(encoding="utf-8")
    found = re.search(r"check inter (\d+)s fall (\d+)", text)
    assert found
    found_settings = settings()
    adjustments = Adjustments.from_strings(found_settings)
    assert adjustments.origins.keys() == found_settings.keys()
    assert int(found[1]) * int(found[2]) + 2 <= adjustments.drain_delay


@pytest.mark.parametrize("name", ["haproxy.cfg"])
def test_haproxy_takes_the_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text((FILES / name).read_text(encoding="utf-8"), encoding="utf-8")
    run = subprocess.run(
        [program("haproxy"), "-c", "-f", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
