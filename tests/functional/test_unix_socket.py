"""The file of a Unix socket: made with its permissions, taken over from a dead server, never from a living one."""

import socket
import stat
from pathlib import Path

import pytest

import waitressd
from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import running_server, server_process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.sock"


def test_it_is_made_serves_and_is_removed(path: Path) -> None:
    with running_server(hello, unix_socket=str(path)), Client(str(path)) as client:
        assert stat.S_ISSOCK(path.stat().st_mode)
        for _ in range(3):
            assert client.get("/").body == b"Hello, world!"
    assert not path.exists()


@pytest.mark.parametrize("permissions", ["600", "660", "666"])
def test_its_permissions_are_a_setting(path: Path, permissions: str) -> None:
    with running_server(hello, unix_socket=str(path), unix_socket_perms=permissions):
        assert stat.S_IMODE(path.stat().st_mode) == int(permissions, 8)


def test_the_file_of_a_dead_server_is_taken_over(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    with running_server(hello, unix_socket=str(path)), Client(str(path)) as client:
        assert client.get("/").status == 200


def test_the_file_of_a_killed_server_is_taken_over(path: Path) -> None:
    arguments = [f"--unix-socket={path}", "tests.apps.plain:hello"]
    with server_process(arguments) as killed:
        killed.process.kill()
        killed.wait()
        with server_process(arguments), Client(str(path)) as client:
            assert client.get("/").status == 200


def test_the_file_of_a_living_server_is_not(path: Path) -> None:
    with running_server(hello, unix_socket=str(path)), Client(str(path)) as client:
        with pytest.raises(OSError, match=str(path)):
            waitressd.create_server(hello, unix_socket=str(path))
        assert client.get("/").status == 200
        with Client(str(path)) as another:
            assert another.get("/").status == 200


def test_something_else_is_never_removed(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(OSError, match=str(path)):
        waitressd.create_server(hello, unix_socket=str(path))
    assert path.read_text() == "precious"


def test_the_file_of_a_successor_is_left_alone(path: Path) -> None:
    with running_server(hello, unix_socket=str(path)):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()
