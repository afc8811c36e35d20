"""The admin address through every way in, in the main thread and in others, and what SIGHUP does to its tokens."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.admin import ask
from tests.support.client import Address, Client
from tests.support.servers import ServerProcess, running_server, server_process
from tests.support.waiting import wait_until

APP: Final = "tests.functional.test_config_serving:show_prefix"
PSERVE: Final = (sys.executable, "-c", "import sys; from pyramid.scripts.pserve import main; sys.exit(main())")
INI: Final = """\
[app:main]
use = call:tests.support.configapp:factory
[server:main]
use = egg:waitressd#main
listen = 127.0.0.1:0
admin_listen =
    127.0.0.1:0
    unix:{folder}/admin.sock
{more}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""
OTHER_WAYS: Final = {
    "serve": """
import logging, sys, waitressd
from tests.apps.plain import hello
logging.basicConfig(level=logging.INFO)
waitressd.serve(hello, listen="127.0.0.1:0", admin_listen=["127.0.0.1:0", "unix:" + sys.argv[1] + "/admin.sock"])
""",
    "loadserver": """
import logging, sys
from paste.deploy import loadapp, loadserver
logging.basicConfig(level=logging.INFO)
name = "config:" + sys.argv[1] + "/shop.ini"
loadserver(name)(loadapp(name))
""",
}


def write(folder: Path, more: str = "") -> str:
    path = folder / "shop.ini"
    path.write_text(INI.format(folder=folder, more=more), encoding="utf-8")
    return str(path)


def admin_port(server: ServerProcess) -> Address:
    match = server.wait_for_output(r"Admin address on ([0-9.]+):([0-9]+)")
    return match[1], int(match[2])


def is_healthy(address: Address) -> bool:
    with Client(address) as client:
        return all(ask(client, path, host="localhost").status == 200 for path in ("/live", "/ready"))


def look_at(server: ServerProcess, folder: Path) -> None:
    """Ask at both addresses, stop, and see that nothing is left."""
    path = folder / "admin.sock"
    address = admin_port(server)
    assert wait_until(lambda: is_healthy(address))
    assert is_healthy(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.terminate() == 0
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        Client(address)


@pytest.mark.parametrize("command", [(sys.executable, "-m", "waitressd"), PSERVE], ids=["waitressd", "pserve"])
def test_an_ini_file(command: tuple[str, ...], tmp_path: Path) -> None:
    with server_process([write(tmp_path)], command=command) as server:
        look_at(server, tmp_path)


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_a_program(way: str, tmp_path: Path) -> None:
    write(tmp_path)
    with server_process([str(tmp_path)], command=(sys.executable, "-c", OTHER_WAYS[way])) as server:
        look_at(server, tmp_path)


def test_a_thread_of_a_program(tmp_path: Path) -> None:
    from tests.apps.plain import hello

    path = tmp_path / "admin.sock"
    with running_server(hello, admin_listen=f"127.0.0.1:0 unix:{path}") as server:
        assert wait_until(lambda: is_healthy(server.server.admin_addresses[0]))
        assert is_healthy(str(path))
        assert len(server.server.addresses) == 1, "the admin addresses are none of the application's"
    assert not path.exists()


def test_ipv6_and_an_inherited_socket() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    inherited = socket.socket(socket.AF_INET6)
    try:
        inherited.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    inherited.listen(8)
    from tests.apps.plain import hello

    with inherited, running_server(hello, admin_listen=f"[::1]:0 fd:{inherited.fileno()}") as server:
        assert wait_until(lambda: server.server.pulse is not None)
        assert [is_healthy((host, port)) for host, port, *_ in server.server.admin_addresses] == [True, True]


def test_an_address_in_use_stops_the_start_and_names_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        run = subprocess.run(
            [sys.executable, "-m", "waitressd", "--listen=127.0.0.1:0", f"--admin-listen={address}", APP],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parent.parent.parent,
        )
    assert run.returncode == 1
    assert re.search(rf"admin_listen: cannot listen on {re.escape(address)}: Address already in use", run.stderr)


def test_sighup_takes_new_tokens_and_keeps_the_old_where_the_file_is_broken(tmp_path: Path) -> None:
    old, new = "o" * 24, "n" * 24
    tokens = tmp_path / "tokens"

    def give_out(text: str, mode: int = 0o600) -> None:
        tokens.write_text(text, encoding="ascii")
        tokens.chmod(mode)

    def status(token: str) -> int:
        with Client(address) as client:
            return ask(client, "/live", f"Authorization: Bearer {token}").status

    give_out(f"read {old}\n")
    with server_process([write(tmp_path, f"admin_token_file = {tokens}")]) as server:
        address = admin_port(server)
        assert wait_until(lambda: status(old) == 200)
        give_out(f"read {new}\n")
        server.signal(signal.SIGHUP)
        assert wait_until(lambda: status(new) == 200)
        assert status(old) == 401
        give_out(f"read {old}\n", 0o644)
        server.signal(signal.SIGHUP)
        server.wait_for_output(r"ERROR admin_token_file = \S+: other accounts may use it.*the former tokens stay")
        assert (status(new), status(old)) == (200, 401)
        assert server.terminate() == 0
        assert old not in server.output
        assert new not in server.output


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            "admin_expose = all\nadmin_listen = 0.0.0.0:9100",
            "8 [server:main]: admin_expose = all: other machines reach",
        ),
        ("admin_control = drain", "9 [server:main]: admin_control = drain: whoever reaches 127.0.0.1:0 could use it"),
        ("admin_token_file = {folder}/open", "9 [server:main]: admin_token_file = {folder}/open: other accounts may"),
        (
            "admin_token_file = {folder}/short",
            "9 [server:main]: admin_token_file = {folder}/short: line 1: a token has",
        ),
        (
            "admin_token_file = {folder}/read\nadmin_control = drain",
            "10 [server:main]: admin_control = drain: whoever reaches 127.0.0.1:0 could use it: write control TOKEN",
        ),
    ],
)
def test_what_is_unsafe_does_not_start(more: str, complaint: str, tmp_path: Path) -> None:
    for name, text, mode in (("open", "r" * 24, 0o644), ("short", "r" * 19, 0o600), ("read", "r" * 24, 0o600)):
        (tmp_path / name).write_text(f"read {text}\n", encoding="ascii")
        (tmp_path / name).chmod(mode)
    name = write(tmp_path, more.format(folder=tmp_path))
    if "admin_listen" in more:  # in the place of the others
        text = Path(name).read_text(encoding="utf-8")
        Path(name).write_text(re.sub(r"admin_listen =\n.*\n.*\n", "", text, count=1), encoding="utf-8")
        complaint = complaint.replace("8 [", "6 [")
    for flags in ([], ["--check-config"]):
        run = subprocess.run(
            [sys.executable, "-m", "waitressd", *flags, name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
        )
        assert run.returncode == 2
        assert f"shop.ini:{complaint.format(folder=tmp_path)}" in run.stderr
        assert "r" * 19 not in run.stderr


def test_what_is_not_there_names_what_is() -> None:
    from tests.apps.plain import hello

    with (
        running_server(hello, admin_listen="127.0.0.1:0") as server,
        Client(server.server.admin_addresses[0]) as client,
    ):
        answer = ask(client, "/nothing")
        assert answer.status == 404
        assert set(json.loads(answer.body)["endpoints"]) >= {"/index", "/live", "/ready"}
