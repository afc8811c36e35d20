"""Admin addresses: what is checked before a server starts, and what they let through."""

import contextlib
import logging
import socket
from pathlib import Path

import pytest

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.insight.addresses import AdminAddresses
from waitressd.listeners import open_admin_listeners
from waitressd.metrics import request_log
from waitressd.net.listener import Listener, adopt, open_tcp, open_unix


def insight(**settings: object) -> AdminAddresses:
    adjustments = Adjustments.from_keywords(listen="127.0.0.1:0", **settings)
    return AdminAddresses(adjustments, lambda: "")


def tokens(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "tokens"
    path.write_text(text, encoding="ascii")
    path.chmod(mode)
    return str(path)


def test_a_token_file_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    path = tokens(tmp_path, f"read {READ_TOKEN}\n", 0o644)
    with pytest.raises(ConfigError, match=f"admin_token_file = {path}: other accounts may use it"):
        insight(admin_listen="127.0.0.1:0", admin_token_file=path)


def test_a_port_where_something_may_be_changed_needs_a_control_token(tmp_path: Path) -> None:
    path = tokens(tmp_path, f"read {READ_TOKEN}\n")
    settings = {"admin_listen": "127.0.0.1:0", "admin_token_file": path, "admin_control": "drain"}
    with pytest.raises(ConfigError, match=f"admin_control = drain: .*write control TOKEN into {path}"):
        insight(**settings)
    tokens(tmp_path, f"control {CONTROL_TOKEN}\n")
    insight(**settings)


def test_a_name_that_leads_to_this_machine_alone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    from waitressd.insight import addresses as module

    found: list[tuple[int, tuple[object, ...]]] = [(socket.AF_INET, ("127.0.1.1", 9100))]
    monkeypatch.setattr(module, "resolve", lambda *_: found)
    settings = {"admin_listen": "shop:9100", "admin_expose": "stats"}
    insight(**settings)
    found.append((socket.AF_INET, ("192.0.2.1", 9100)))
    with pytest.raises(ConfigError, match="admin_expose = stats: other machines reach shop:9100, and would be shown"):
        insight(**settings)


def test_what_an_address_lets_through_depends_on_where_it_is(tmp_path: Path) -> None:
    made = insight(admin_listen=f"unix:{tmp_path}/a 127.0.0.1:0 fd:9", admin_hosts="shop")
    listeners: list[Listener] = [open_unix(f"{tmp_path}/a", 8, mode=0o600), *open_tcp("127.0.0.1", 0, 8)]
    anywhere = socket.socket()
    anywhere.bind(("0.0.0.0", 0))
    listeners.append(adopt(anywhere, 8))
    made.open(listeners)
    try:
        unix, loopback, network = (door for _, door in made._doors)
        assert (unix.is_unix, loopback.is_unix) == (True, False)
        assert "requests" in unix.exposed & loopback.exposed
        assert network.exposed == {"probes", "metrics"}
        assert loopback.hosts == {"shop"}
        assert made.addresses[0] == f"{tmp_path}/a"
    finally:
        made.close()
        made.close()
    assert not (tmp_path / "a").exists()


def test_the_address_of_a_request_log_shows_metrics_alone(caplog: pytest.LogCaptureFixture) -> None:
    log = request_log({}, listen="127.0.0.1:0")
    made = insight(request_log=log, admin_expose="all", admin_control="drain", admin_hosts="shop")
    made.open(open_admin_listeners(made._adjustments))
    ((listener, door),) = made._doors
    assert door.exposed == {"probes", "metrics"}
    assert not door.control
    assert door.hosts == {"shop"}
    with caplog.at_level(logging.INFO), contextlib.closing(made):
        made.start_with([])
        assert caplog.messages == [f"Metrics on http://{listener.name}/metrics"]


def test_an_inherited_socket_that_strangers_reach_stops_the_start() -> None:
    made = insight(admin_listen="fd:9", admin_expose="stats")
    anywhere = socket.socket()
    anywhere.bind(("0.0.0.0", 0))
    listener = adopt(anywhere, 8)
    with pytest.raises(ConfigError, match="admin_expose = stats: other machines reach 0"):
        made.open([listener])
    listener.close()
    made.close()


def test_an_inherited_port_needs_a_control_token_too() -> None:
    made = insight(admin_listen="fd:9", admin_control="drain")
    listener = open_tcp("127.0.0.1", 0, 8)[0]
    with pytest.raises(ConfigError, match="admin_control = drain: "):
        made.open([listener])
    listener.close()
