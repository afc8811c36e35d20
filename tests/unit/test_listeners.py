"""What a configuration names and the machine does not have is said before anything is opened."""

import errno
import getpass
import os
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.listeners import adopt_listeners, check_system, open_admin_listeners, open_listeners
from waitressd.net.listener import ADMIN, HTTP, HTTPS, REDIRECT, open_unix
from waitressd.server import Server


def application(environ: Any, start_response: Any) -> list[bytes]:
    """Never called."""
    raise AssertionError


def complaint(**settings: str) -> str:
    adjustments = Adjustments.from_keywords(listen="unix:/nowhere/a.sock", **settings)
    with pytest.raises(ConfigError) as caught:
        check_system(adjustments)
    with pytest.raises(ConfigError):
        Server(adjustments, application)
    return str(caught.value)


def test_the_folder_for_temporary_files(tmp_path: Path) -> None:
    assert complaint(spool_directory="/no/such") == "spool_directory = /no/such: there is no such folder"
    file = tmp_path / "file"
    file.touch(mode=0o755)
    assert complaint(spool_directory=str(file)) == f"spool_directory = {file}: this is a file, not a folder"
    check_system(Adjustments.from_keywords(spool_directory=str(tmp_path)))


def test_a_name_that_stands_for_no_address() -> None:
    adjustments = Adjustments.from_keywords(listen="127.0.0.1:0 no-such-host.invalid:80")
    with pytest.raises(ConfigError) as caught:
        check_system(adjustments)
    assert str(caught.value).startswith("listen = no-such-host.invalid:80: the host cannot be resolved: ")
    with pytest.raises(ConfigError, match=r"^host = no-such-host\.invalid:80: "):
        check_system(Adjustments.from_keywords(host="no-such-host.invalid", port=80))


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="needs root, to become somebody else")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    code = (
        "import os, sys; from waitressd.listeners import check_system\n"
        "from waitressd.config.adjustments import Adjustments\n"
        "adjustments = Adjustments.from_keywords(spool_directory=sys.argv[1]); os.setuid(65534)\n"
        "try: check_system(adjustments)\n"
        "except ValueError as error: print(error)\n"
    )
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout == f"spool_directory = {folder}: this account cannot write there\n"


def test_the_owner_of_unix_sockets() -> None:
    assert complaint(unix_socket_owner="no-such-user") == (
        "unix_socket_owner = no-such-user: there is no user no-such-user on this machine"
    )
    assert complaint(unix_socket_owner="0:no-such-group") == (
        "unix_socket_owner = 0:no-such-group: there is no group no-such-group on this machine"
    )
    check_system(Adjustments.from_keywords(listen="unix:/a", unix_socket_owner=getpass.getuser()))


def test_two_names_of_one_address_are_one_listener() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(Adjustments.from_keywords(listen=f"127.0.0.1:{port} localhost:{port}"), application)
    server.open()
    try:
        assert [item for item in server.effective_listen if item[0] == "127.0.0.1"] == [("127.0.0.1", port)]
    finally:
        server.close()


def test_a_socket_file_whose_owner_cannot_be_set_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    path = tmp_path / "a.sock"
    with pytest.raises(OSError, match=r"cannot listen on unix:.*: Operation not permitted"):
        open_unix(str(path), 16, mode=0o600, owner=(12345, -1))
    assert not path.exists()


def test_all_at_once() -> None:
    assert len(complaint(unix_socket_owner="no-such-user", spool_directory="/no/such").split("\n")) == 2


def test_worker_processes_need_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")  # as on Windows
    text = "this system cannot fork, so there is a single process"
    assert complaint(workers="4") == f"workers = 4: {text}"
    assert complaint(supervise="on") == f"supervise = true: {text}"
    check_system(Adjustments.from_keywords(workers="auto"))  # one, here


def test_worker_processes_share_sockets_that_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        check_system(Adjustments.from_keywords(sockets=[listening], workers=4))
        check_system(Adjustments.from_keywords(sockets=[listening, bound]))
        with pytest.raises(ConfigError, match=r"^sockets: workers share them, so each must listen already$"):
            check_system(Adjustments.from_keywords(sockets=[listening, bound], workers="auto"))


def services(**settings: object) -> list[tuple[str, str, str]]:
    listeners = open_listeners(Adjustments.from_keywords(**settings))
    try:
        return [(listener.asked, listener.service, listener.proxy_protocol) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def test_what_is_served_where(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/a"
    tls = {"tls_certificate": "/a.pem", "listen": f"127.0.0.1:0 {path}"}
    proxied = {"proxy_protocol": "v2", "trusted_proxy": "unix:", "proxy_protocol_listen": path}
    assert services(listen=f"127.0.0.1:0 {path}") == [("127.0.0.1:0", HTTP, "off"), (path, HTTP, "off")]
    assert services(**tls) == [("127.0.0.1:0", HTTPS, "off"), (path, HTTP, "off")]
    assert services(**tls, tls_listen=path, **proxied) == [("127.0.0.1:0", HTTP, "off"), (path, HTTPS, "v2")]
    assert services(**tls, redirect_listen="127.0.0.1:0") == [
        ("127.0.0.1:0", HTTPS, "off"), (path, HTTP, "off"), ("redirect 127.0.0.1:0", REDIRECT, "off"),
    ]  # fmt: skip


def test_open_sockets_speak_tls_unless_they_are_unix_sockets(tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(tmp_path / "a"))
        assert services(sockets=[tcp, unix], tls_certificate="/a.pem") == [("", HTTPS, "off"), ("", HTTP, "off")]


def test_what_another_process_has_bound_serves_the_same(tmp_path: Path) -> None:
    adjustments = Adjustments.from_keywords(
        tls_certificate="/a.pem", listen="127.0.0.1:0", redirect_listen="127.0.0.1:0"
    )
    bound = open_listeners(adjustments)
    adopted = adopt_listeners(adjustments, [(listener.asked, listener.socket.dup()) for listener in bound])
    assert [listener.service for listener in adopted] == [listener.service for listener in bound] == [HTTPS, REDIRECT]
    for listener in (*bound, *adopted):
        listener.close()


def test_the_folder_of_challenges(tmp_path: Path) -> None:
    settings = {"tls_certificate": "/a.pem", "redirect_listen": "127.0.0.1:0"}
    check_system(Adjustments.from_keywords(**settings, acme_challenge_folder=str(tmp_path)))
    with pytest.raises(ConfigError, match="there is no such folder; make it, and name it to the ACME client"):
        check_system(Adjustments.from_keywords(**settings, acme_challenge_folder=f"{tmp_path}/no"))


def test_what_is_held_is_not_opened_again(tmp_path: Path) -> None:
    """Neither a port, which would be another one, nor a file, which would be in use."""
    unix = f"unix:{tmp_path}/a.sock"
    before = open_listeners(Adjustments.from_keywords(listen=f"127.0.0.1:0 {unix}"))
    held = {listener.asked: [listener] for listener in before}
    assert sorted(held) == ["127.0.0.1:0", unix]
    after = open_listeners(Adjustments.from_keywords(listen=f"{unix} 127.0.0.1:0 127.0.0.2:0"), held)
    assert [after[0], after[1]] == [before[1], before[0]]
    assert after[2].asked == "127.0.0.2:0"
    for listener in after:
        listener.close()
    assert not (tmp_path / "a.sock").exists()


def test_an_address_that_cannot_be_bound_leaves_what_is_held_open() -> None:
    (held,) = open_listeners(Adjustments.from_keywords(listen="127.0.0.1:0"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:0 127.0.0.3:0 127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="cannot listen on"):
            open_listeners(Adjustments.from_keywords(listen=listen), {"127.0.0.1:0": [held]})
    assert held.socket.fileno() >= 0
    held.close()


def test_sockets_of_another_process_know_how_each_connection_begins() -> None:
    settings = Adjustments.from_keywords(
        listen="127.0.0.1:1 127.0.0.1:2",
        proxy_protocol="v2",
        proxy_protocol_listen="127.0.0.1:2",
        trusted_proxy="127.0.0.1",
    )
    asked = ("127.0.0.1:1", "127.0.0.1:2", "")
    sockets = [(each, socket.create_server(("127.0.0.1", 0))) for each in asked]
    adopted = adopt_listeners(settings, sockets)
    assert [(each.asked, each.proxy_protocol) for each in adopted] == [
        ("127.0.0.1:1", "off"),
        ("127.0.0.1:2", "v2"),
        ("", "v2"),  # one of `sockets`, which has no name
    ]
    for listener in adopted:
        assert not listener.socket.getblocking()
        listener.close()


def test_admin_addresses_are_opened_for_themselves(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    adjustments = Adjustments.from_keywords(
        listen="127.0.0.1:0",
        unix_socket_perms="666",
        admin_listen=f"unix:{path} 127.0.0.1:0 localhost:0",
        admin_socket_mode="640",
    )
    listeners = open_admin_listeners(adjustments)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert {listener.service for listener in listeners} == {ADMIN}
        assert [listener.asked for listener in listeners[:2]] == [f"admin unix:{path}", "admin 127.0.0.1:0"]
        held = {f"admin unix:{path}": [listeners[0]], "admin 127.0.0.1:0": [listeners[1]]}
        kept = open_admin_listeners(replace(adjustments, admin_listen=adjustments.admin_listen[:2]), held)
        assert kept == listeners[:2]
    finally:
        for listener in listeners:
            listener.close()


def test_an_admin_address_that_cannot_be_opened_leaves_none_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        adjustments = Adjustments.from_keywords(admin_listen=f"unix:{tmp_path}/a 127.0.0.1:{port}")
        with pytest.raises(OSError, match=rf"admin_listen: cannot listen on 127.0.0.1:{port}: "):
            open_admin_listeners(adjustments)
    assert not (tmp_path / "a").exists()
