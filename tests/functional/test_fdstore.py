"""A service whose listening sockets are kept by its manager while it restarts."""

import contextlib
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Address, Client
from tests.support.manager import Manager
from tests.support.servers import ROOT, ServerProcess, free_port
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="systemd is of Linux")

APPLICATION = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


@contextlib.contextmanager
def service(manager: Manager, folder: Path, *words: str) -> Iterator[ServerProcess]:
    """Serve until the block ends."""
    (folder / "kept_app.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "waitressd", "--threads=2", *words, "kept_app:app"]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    with manager.running(command, folder, environment, ServerProcess) as running:
        yield running


def ask(address: Address) -> Client:
    """Ask, and do not wait for the answer."""
    client = Client(address)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return client


def answer_of(client: Client) -> int:
    """Return the process that has answered."""
    with client:
        return int(client.receive().body)


needs_a_fleet = pytest.mark.skipif(not can_adopt(), reason="needs a parent of orphans")


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=needs_a_fleet)])
@pytest.mark.parametrize("end", ["terminate", "kill"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_who_comes_while_it_restarts_waits(workers: str, end: str, kind: str, manager: Manager, tmp_path: Path) -> None:
    port = free_port()
    path = str(tmp_path / "app.sock")
    address: Address = ("127.0.0.1", port) if kind == "tcp" else path
    words = ["--workers", workers, "--listen", f"127.0.0.1:{port}" if kind == "tcp" else f"unix:{path}"]
    with service(manager, tmp_path, *words) as first:
        manager.wait_for_kept(1)
        assert answer_of(ask(address))
        if end == "terminate":
            assert first.terminate() == 0
        else:
            first.kill()
        waiting = [ask(address) for _ in range(5)]
    with service(manager, tmp_path, *words) as second:
        for client in waiting:
            assert answer_of(client) != first.pid
        assert answer_of(ask(address))
        manager.wait_for_kept(1)
        assert second.terminate() == 0
    assert kind != "unix" or Path(path).exists()


@pytest.mark.parametrize("size", [0, 1])
def test_what_is_not_kept_ends_as_ever(size: int, manager: Manager, tmp_path: Path) -> None:
    """Without a store, or where it is too small: the last ones are served, and later ones learn it at once."""
    manager.store_size = size
    ports = [free_port() for _ in range(size + 1)]
    with service(manager, tmp_path, "--listen", " ".join(f"127.0.0.1:{port}" for port in ports)) as running:
        manager.wait_for_kept(size)
        assert running.terminate() == 0
    with pytest.raises(ConnectionRefusedError):
        Client(("127.0.0.1", ports[-1]))
    assert len(manager.kept) == size


def test_what_the_configuration_names_no_more_is_given_up(manager: Manager, tmp_path: Path) -> None:
    """Also where the new address covers the old one, which must not be in use any more then."""
    port = free_port()
    with service(manager, tmp_path, "--listen", f"127.0.0.1:{port}") as running:
        manager.wait_for_kept(1)
        assert running.terminate() == 0
    before = set(manager.kept)
    with service(manager, tmp_path, "--listen", f"*:{port}", "--no-ipv6"):
        manager.wait_for("FDSTORE=1", manager.mark() - 1)
        manager.wait_for_kept(1)
        assert not before & set(manager.kept)
        assert answer_of(ask(("127.0.0.1", port)))


def test_a_port_that_the_system_chooses_is_not_kept(manager: Manager, tmp_path: Path) -> None:
    with service(manager, tmp_path, "--listen", f"127.0.0.1:0 127.0.0.1:{free_port()}"):
        manager.wait_for_kept(1)


def test_a_kept_unix_socket_gets_the_mode_that_is_asked_for_now(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with service(manager, tmp_path, "--listen", f"unix:{path}", "--unix-socket-perms=600") as running:
        manager.wait_for_kept(1)
        assert running.terminate() == 0
    with service(manager, tmp_path, "--listen", f"unix:{path}", "--unix-socket-perms=660"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("what", ["gone", "another's"])
def test_a_kept_unix_socket_without_its_file_is_opened_anew(what: str, manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with service(manager, tmp_path, "--listen", f"unix:{path}") as running:
        manager.wait_for_kept(1)
        assert running.terminate() == 0
    path.unlink()
    if what == "another's":
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(tmp_path / "other"))
        (tmp_path / "other").rename(path)
    with service(manager, tmp_path, "--listen", f"unix:{path}") as running:
        assert answer_of(ask(str(path))) == running.pid
        manager.wait_for_kept(1)
        assert running.terminate() == 0
    with service(manager, tmp_path, "--listen", f"unix:{path}") as running:
        assert answer_of(ask(str(path))) == running.pid


def test_what_is_no_listening_socket_is_left_out(manager: Manager, tmp_path: Path) -> None:
    """Somebody else may keep what he likes, under our names, too."""
    port = free_port()
    name = f"waitressd-127.0.0.1%3A{port}"
    reading, writing = os.pipe()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent = socket.socket()
    manager.kept = {name: reading, "another": writing, "waitressd-b": udp.detach(), "waitressd-c": silent.detach()}
    with service(manager, tmp_path, "--listen", f"127.0.0.1:{port}") as running:
        assert answer_of(ask(("127.0.0.1", port))) == running.pid
        manager.wait_for("FDNAME=waitressd-c")
        manager.wait_for_kept(2)
        assert set(manager.kept) == {name, "another"}
