"""The commands against a server of this tree, started from the ini file that they are given."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the system has no Unix sockets")

ROOT: Final = Path(__file__).parent.parent.parent
INI: Final = """\
[app:main]
use = call:tests.support.configapp:factory
[server:main]
use = egg:waitressd
listen = unix:%(here)s/web.sock
admin_listen = unix:%(here)s/admin.sock
{more}
"""


class Site:
    """A folder with an ini file, and a server that was started from it."""

    def __init__(self, folder: Path, more: str) -> None:
        self.folder = folder
        (folder / "site.ini").write_text(INI.format(more=more), encoding="utf-8")
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.server: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status and what it has written."""
        done = subprocess.run(
            [sys.executable, "-m", "waitressd", *words], cwd=self.folder, env=self._environ, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def add_to_path(self, folder: Path) -> None:
        """Let the server import from a folder."""
        self._environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])

    def document(self, *words: str) -> dict[str, Any]:
        """Run a command that prints a document, and return that."""
        status, out, err = self.command(*words, "--json", "site.ini")
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def start(self) -> None:
        """Start the server."""
        self.server = subprocess.Popen(
            [sys.executable, "-m", "waitressd", "site.ini"], cwd=self.folder, env=self._environ, stderr=subprocess.PIPE
        )

    def end(self) -> int:
        """Wait until the server has ended; return its status."""
        assert self.server
        assert self.server.stderr
        self.server.stderr.read()
        self.server.stderr.close()
        return self.server.wait()


@contextmanager
def site(folder: Path, more: str = "") -> Iterator[Site]:
    """Make a site; its server is gone at the end."""
    found = Site(folder, more)
    try:
        yield found
    finally:
        if found.server and found.server.returncode is None:
            found.server.kill()
            found.end()


def test_a_deploy(tmp_path: Path) -> None:
    """Waits for the start, asks, drains, and sees that nobody is there any more."""
    with site(tmp_path, "admin_control = drain") as here:
        status, out, err = here.command("ready", "--wait=100ms", "site.ini")
        assert (status, out) == (3, "")
        assert "there is no such socket" in err
        here.start()
        assert here.command("ready", "--wait=30", "site.ini") == (0, "ready\n", "")
        assert here.command("live", "site.ini") == (0, "live\n", "")
        assert here.document("ready")["ready"] is True
        status, out, _ = here.command("drain", "site.ini")
        assert (status, out.endswith("finishes what it has begun, and ends\n")) == (0, True)
        assert here.end() == 0
        assert here.command("live", "site.ini")[0] == 3


def test_a_server_that_leaves_is_not_ready(tmp_path: Path) -> None:
    with site(tmp_path, "drain_delay = 30\nadmin_control = drain") as here:
        here.start()
        assert here.command("ready", "--wait=30", "site.ini")[0] == 0
        assert here.command("drain", "site.ini")[0] == 0

        def leaves() -> bool:
            status, out, _ = here.command("ready", "site.ini")
            return status == 1 and out.startswith("not ready: leaving (since ")

        assert wait_until(leaves, 30)
        assert here.command("live", "site.ini")[0] == 0


def test_what_is_not_allowed_is_status_3(tmp_path: Path) -> None:
    with site(tmp_path, "admin_expose = probes") as here:
        here.start()
        assert here.command("ready", "--wait=30", "site.ini")[0] == 0
        for words, says in (
            (["drain"], "admin_control does not list this"),
            (["requests"], "see admin_expose"),
            (["requests", "1-2-3"], "see admin_expose"),
            (["top"], "see admin_expose"),
        ):
            status, out, err = here.command(*words, "site.ini")
            assert (status, out) == (3, "")
            assert err.count("\n") == 1
            assert says in err


def test_tokens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with site(tmp_path, f"    127.0.0.1:{port}\nadmin_control = drain\nadmin_token_file = %(here)s/tokens") as here:
        (tmp_path / "tokens").write_text(f"read {'r' * 24}\ncontrol {'c' * 24}\n", encoding="utf-8")
        (tmp_path / "tokens").chmod(0o600)
        (tmp_path / "reader").write_text("r" * 24, encoding="utf-8")
        here.start()
        assert here.command("ready", "--wait=30", "site.ini")[0] == 0
        address = f"127.0.0.1:{port}"
        assert "--token-file FILE" in here.command("ready", address)[2]
        assert here.command("ready", "--token-file=tokens", address)[0] == 0
        assert here.command("ready", "--token-file=reader", address)[0] == 0
        status, _, err = here.command("drain", "--token-file=reader", address)
        assert (status, "does not give the right" in err) == (3, True)
        assert here.command("drain", "--token-file=tokens", address)[0] == 0
        assert here.end() == 0


def test_an_application_port_is_no_admin_address(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.start()
        assert here.command("ready", "--wait=30", "site.ini")[0] == 0
        status, out, err = here.command("requests", "unix:web.sock")
        assert (status, out) == (3, "")
        assert "is this its admin_listen?" in err


def ask_and_leave(path: Path, targets: list[str]) -> list[socket.socket]:
    """Ask on a connection each, and do not wait for the answers."""
    connections = []
    for target in targets:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        connections.append(connection)
    return connections


APPLICATION: Final = """\
import time

def totals():
    time.sleep(60)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        environ["waitressd.route"] = "/reports/{name}"
        totals()
    start_response("500 Internal Server Error", [])
    return [b"no"]

def factory(global_conf, **settings):
    return application
"""


@contextmanager
def hung_site(tmp_path: Path) -> Iterator[Site]:
    """A server with two threads that both hang, and three requests behind them."""
    (tmp_path / "hanging.py").write_text(APPLICATION, encoding="utf-8")
    with site(tmp_path, "threads = 2\nshutdown_timeout = 1") as here:
        text = (tmp_path / "site.ini").read_text(encoding="utf-8")
        text = text.replace("call:tests.support.configapp:factory", "call:hanging:factory")
        (tmp_path / "site.ini").write_text(text, encoding="utf-8")
        here.add_to_path(tmp_path)
        here.start()
        assert here.command("ready", "--wait=30", "site.ini")[0] == 0
        connections = ask_and_leave(tmp_path / "web.sock", ["/fails"])
        connections[0].recv(1000)
        connections += ask_and_leave(tmp_path / "web.sock", ["/hang?secret=1"] * 5)
        try:
            assert wait_until(lambda: here.document("requests")["total"] == 5, 30)
            yield here
        finally:
            for connection in connections:
                connection.close()


def test_a_server_whose_threads_all_hang(tmp_path: Path) -> None:
    """Every command shows the same requests, and where they are."""
    with hung_site(tmp_path) as here:
        rows = here.document("requests", "--stack")["requests"]
        assert sorted(row["phase"] for row in rows) == ["application"] * 2 + ["queued"] * 3
        text = here.command("requests", "--group", "site.ini")[1]
        for row in rows:
            assert row["id"] in text.split()
        assert "secret" not in text
        assert "hanging.py:4 totals" in text
        assert "3rd in the queue" in text
        hung = next(row["id"] for row in rows if row["phase"] == "application")
        status, text, _ = here.command("requests", hung, "site.ini")
        assert status == 0
        assert "  > hanging.py:4 " in text
        assert "        time.sleep(60)" in text.split("\n")
        assert here.command("requests", "1-999999-1", "site.ini")[0] == 1
        assert here.command("requests", "--older=1000", "--fail-empty", "site.ini")[0] == 1
        assert hung in here.command("threads", "--stack", "site.ini")[1]
        assert here.command("connections", "site.ini")[1].startswith("6 connections of at most ")
        assert "GET /fails" in here.command("slow", "site.ini")[1]
        assert wait_until(lambda: "WD03" in here.command("stats", "site.ini")[1], 30)
        assert {"WD03"} <= {finding["code"] for finding in here.document("stats")["findings"]}
        top = here.command("top", "site.ini")[1]
        assert "WD03" in top
        assert all(row["id"] in top.split() for row in rows)


def test_a_profile_of_it(tmp_path: Path) -> None:
    with hung_site(tmp_path) as here:
        status, out, err = here.command("profile", "1", "-o", "hang.speedscope.json", "site.ini")
        assert (status, out, err) == (0, "", "")
        profile = json.loads((tmp_path / "hang.speedscope.json").read_text(encoding="utf-8"))
        assert any("totals" in frame["name"] for frame in profile["shared"]["frames"])
        status, out, _ = here.command("profile", "1", "site.ini")
        stacks = [line for line in out.splitlines() if not line.endswith(" 0")]
        assert stacks
        assert all(line.startswith("/reports/{name};") and ":totals:4 " in line for line in stacks)
