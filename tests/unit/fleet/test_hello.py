"""What a process that has loaded the application says of itself."""

import json
from typing import Any

import pytest

from tests.apps.plain import hello as application
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.cores import find_cores
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import PROTOCOL, LinkError
from waitressd.fleet.loaded import hello_of
from waitressd.server import Server

SETTINGS: dict[str, Any] = {
    "listen": "127.0.0.1:8081 unix:/run/a.sock",
    "proxy_protocol": "v2",
    "proxy_protocol_listen": "127.0.0.1:8081",
    "trusted_proxy": "127.0.0.1",
    "trusted_proxy_count": 1,
    "unix_socket_perms": "660",
    "backlog": 77,
    "threads": 3,
    "shutdown_timeout": 12.5,
    "worker_boot_timeout": 33,
    "workers": 3,
}

OF_WORKERS = {"workers", "proxy_protocol", "proxy_protocol_listen", "trusted_proxy", "trusted_proxy_count"}


def said(**settings: Any) -> Hello:
    """Return the hello of a server with these settings."""
    return hello_of(Server(Adjustments.from_keywords(**settings), application))


@pytest.mark.parametrize("settings", [{}, SETTINGS, {"host": "::1", "port": 0}, {"worker_boot_timeout": 0.25}])
def test_what_concerns_the_master_arrives_as_it_was(settings: dict[str, Any]) -> None:
    wanted = Adjustments.from_keywords(**settings)
    sent = said(**settings)
    arrived = Hello.from_fields(json.loads(json.dumps(sent.fields())))
    assert {**arrived.fields(), "metrics": tuple(arrived.metrics)} == sent.fields()
    found = arrived.adjustments
    for name in settings.keys() - OF_WORKERS:
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.listeners == wanted.listeners
    assert arrived.workers == wanted.worker_count(find_cores().workers)


def test_settings_that_this_version_does_not_know_are_left_aside() -> None:
    fields = said(port=8081).fields()
    fields["settings"]["new_in_the_next_version"] = "on"
    assert Hello.from_fields(fields).adjustments.port == 8081
    fields["new_field"] = 1
    assert Hello.from_fields(fields).workers == 1


@pytest.mark.parametrize("protocol", [None, 0, PROTOCOL + 1, str(PROTOCOL)])
def test_another_protocol_is_refused_in_words(protocol: object) -> None:
    fields = said().fields() | {"protocol": protocol}
    with pytest.raises(LinkError, match="another version of the server"):
        Hello.from_fields(fields)
    del fields["protocol"]
    with pytest.raises(LinkError, match="another version of the server"):
        Hello.from_fields(fields)
