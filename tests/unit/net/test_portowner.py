"""Who holds an address."""

import socket
import sys
from pathlib import Path

import pytest

from waitressd.net.portowner import tcp_owner, unix_owner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc as it is read here")
ME = "this process itself"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_holder_of_a_port_is_named(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
        assert tcp_owner(port) == ""
        sock.listen()
        assert tcp_owner(port) == ME
    assert tcp_owner(port) == ""


def test_the_holder_of_a_unix_socket_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    assert unix_owner(path) == ""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        assert unix_owner(path) == ME


def test_where_the_system_tells_nothing_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "head\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1\n\n"
    )
    (tmp_path / "77" / "fd").mkdir(parents=True)
    (tmp_path / "77" / "fd" / "3").symlink_to("socket:[4242]")
    (tmp_path / "77" / "fd" / "4").write_text("")
    assert tcp_owner(8080, tmp_path) == ""  # the process ended before its name was read
    (tmp_path / "77" / "comm").write_text("nginx\n")
    assert tcp_owner(8080, tmp_path) == "process 77 (nginx)"
    assert tcp_owner(8081, tmp_path) == ""
