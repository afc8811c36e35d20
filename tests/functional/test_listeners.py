"""One server listens on as many addresses of as many kinds as it is told to."""

import json
import socket
from pathlib import Path

import pytest

import waitressd
from tests.apps.plain import echo, hello
from tests.support.client import Client
from tests.support.leaks import open_descriptors
from tests.support.servers import running_server


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


def test_port_0_is_chosen_by_the_system_and_can_be_asked_for() -> None:
    with running_server(hello, host="127.0.0.1", port=0) as running:
        server = running.server
        host, port = server.getsockname()
        assert (host, port > 0) == ("127.0.0.1", True)
        assert server.addresses == [(host, port)]
        assert server.effective_listen == [(host, port)]
        assert (server.effective_host, server.effective_port) == (host, port)
        with Client((host, port)) as client:
            assert client.get("/").status == 200


@needs_ipv6
def test_ipv4_ipv6_and_a_unix_socket_in_one_server(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with running_server(echo, listen=f"127.0.0.1:0 [::1]:0 unix:{path}") as running:
        v4, v6, unix = running.server.addresses
        assert (v4[0], v6[0], unix) == ("127.0.0.1", "::1", path)
        wanted = {"127.0.0.1": "127.0.0.1", "::1": "::1", path: None}
        for address in (v4[:2], v6[:2], unix):
            with Client(address) as client:
                environ = json.loads(client.get("/").body)["environ"]
                remote = wanted[address if isinstance(address, str) else address[0]]
                assert remote is None or environ["REMOTE_ADDR"] == remote
                if not isinstance(address, str):
                    assert environ["SERVER_PORT"] == str(address[1])


def test_two_addresses() -> None:
    with running_server(hello, listen="127.0.0.1:0 127.0.0.2:0") as running:
        assert [host for host, _ in running.server.addresses] == ["127.0.0.1", "127.0.0.2"]
        for address in running.server.addresses:
            with Client(address) as client:
                assert client.get("/").status == 200


def test_sockets_that_the_caller_has_bound() -> None:
    with socket.socket() as first, socket.socket() as second:
        for sock in (first, second):
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in (first, second)]
        with running_server(hello, sockets=[first, second]) as running:
            assert [address[1] for address in running.server.addresses] == ports
            for port in ports:
                with Client(("127.0.0.1", port)) as client:
                    assert client.get("/").status == 200


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            waitressd.create_server(hello, host="127.0.0.1", port=port)


def test_one_address_in_use_gives_the_others_back() -> None:
    with socket.socket() as sock, socket.socket() as probe:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        with pytest.raises(OSError, match=str(sock.getsockname()[1])):
            waitressd.create_server(hello, listen=f"127.0.0.1:{free} 127.0.0.1:{sock.getsockname()[1]}")
        with pytest.raises(ConnectionRefusedError):
            Client(("127.0.0.1", free))


def test_the_path_prefix_and_the_scheme_are_settings() -> None:
    with running_server(echo, url_prefix="/app", url_scheme="https") as running, running.connect() as client:
        environ = json.loads(client.get("/app/page").body)["environ"]
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/page")
        assert environ["wsgi.url_scheme"] == "https"


def test_a_thousand_connections_one_after_the_other_leave_no_descriptor() -> None:
    with running_server(hello) as running:
        before = len(open_descriptors())
        for _ in range(1000):
            with running.connect() as client:
                assert client.get("/", "Connection: close").status == 200
        assert len(open_descriptors()) < before + 20
