"""A server under a service manager: a fake one listens where systemd would."""

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pki import Pki
from tests.support.servers import server_process
from waitressd.config.addresses import parse_listen
from waitressd.config.adjustments import Adjustments
from waitressd.config.commandline import parse_command

DOCS: Final = Path(__file__).parent.parent.parent / "docs" / "systemd"
APP: Final = "tests.functional.test_config_serving:show_prefix"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that a service notifies."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(15)
        yield sock


def until(manager: socket.socket, wanted: str) -> list[str]:
    """Read messages until one says `wanted`; return the lines of that one."""
    while True:
        lines = manager.recv(4096).decode().split("\n")
        if wanted in lines:
            return lines


def test_a_service_tells_its_manager_what_it_does(manager: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
    with server_process(["--listen=127.0.0.1:0", "--threads=2", APP], environment=environment) as server:
        ready = until(manager, "READY=1")
        assert ready[1] == f"STATUS=Serving on 127.0.0.1:{server.address[1]} with 2 threads"
        until(manager, "WATCHDOG=1")
        until(manager, "WATCHDOG=1")
        server.signal(signal.SIGHUP)
        until(manager, "RELOADING=1")
        until(manager, "READY=1")
        assert server.terminate() == 0
        until(manager, "STOPPING=1")


def test_without_a_watchdog_none_is_fed(manager: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with server_process(["--listen=127.0.0.1:0", APP], environment=environment) as server:
        until(manager, "READY=1")
        assert server.terminate() == 0
    messages = []
    manager.setblocking(False)
    while True:
        try:
            messages.append(manager.recv(4096).decode().split("\n")[0].partition("=")[0])
        except BlockingIOError:
            break
    assert messages == ["STOPPING", "EXTEND_TIMEOUT_USEC"]


def read_unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way to keep case
    parser.read(DOCS / name, encoding="utf-8")
    return parser


@pytest.mark.parametrize("name", ["waitressd-shop", "waitressd-fleet"])
def test_the_example_units_fit_the_server(name: str) -> None:
    service, sockets = read_unit(f"{name}.service")["Service"], read_unit(f"{name}.socket")["Socket"]
    assert (service["Type"], service["NotifyAccess"], service["KillMode"]) == ("notify", "main", "mixed")
    assert float(service.get("TimeoutStartSec", "inf")) > Adjustments().worker_boot_timeout
    assert float(service["TimeoutStopSec"]) > Adjustments().shutdown_timeout
    assert service["RestartPreventExitStatus"] == "2"
    assert parse_command(service["ExecStart"].split()[1:]).config == "/srv/shop/production.ini"
    assert str(parse_listen(f"fd:{sockets['FileDescriptorName']}")) == "fd:web"


def test_the_unit_without_a_socket_says_how_many_are_kept() -> None:
    service = read_unit("waitressd-kept.service")["Service"]
    assert service["Environment"] == f"FDSTORE={service['FileDescriptorStoreMax']}"  # the last one of that name
    assert (service["Type"], service["NotifyAccess"], service["KillMode"]) == ("notify", "main", "mixed")


OPERATION: Final = DOCS.parent / "operation"


def test_the_file_for_credentials_names_those_that_the_unit_hands_over() -> None:
    unit = (OPERATION / "credentials.conf").read_text(encoding="utf-8")
    handed = set(re.findall(r"^LoadCredential(?:Encrypted)?=([\w.-]+):/", unit, re.MULTILINE))
    asked = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\S+)", (OPERATION / "credentials.ini").read_text("utf-8")))
    assert asked
    assert asked < handed  # the rest is the application's
    (comment,) = re.findall(r"^# /etc/systemd/system/(\S+)\.d/", unit)
    assert (DOCS / comment).exists()


def test_a_server_takes_its_credentials_from_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    files = Pki(folder).issue("shop.example")
    files.certificate.rename(folder / "fullchain.pem")
    files.key.rename(folder / "privkey.pem")
    (folder / "admin-tokens").write_text("read 0123456789abcdef0123\n", encoding="ascii")
    for path in folder.iterdir():
        path.chmod(0o400)
    text = (OPERATION / "credentials.ini").read_text(encoding="utf-8")
    ini = tmp_path / "production.ini"
    ini.write_text(f"[app:main]\nuse = call:waitressd.deploy:demo\n\n{text}", encoding="utf-8")
    command = [sys.executable, "-m", "waitressd", "--check-config", str(ini)]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent.parent)}
    without = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert "the environment variable CREDENTIALS_DIRECTORY is not set" in without.stderr
    environment["CREDENTIALS_DIRECTORY"] = str(folder)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the configuration is good" in done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_the_example_units(tmp_path: Path) -> None:
    """The paths and accounts in them are examples; everything else must be known."""
    drop_in = tmp_path / "waitressd-shop.service.d"
    drop_in.mkdir()
    shutil.copy(OPERATION / "credentials.conf", drop_in)
    for path in DOCS.iterdir():
        text = path.read_text(encoding="utf-8").replace("/srv/shop/venv/bin/waitressd", sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(filter(Path.is_file, tmp_path.iterdir())))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if "waitressd-" in line] == []
