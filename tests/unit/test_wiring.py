"""Every setting reaches the part that keeps it."""

import io
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import running_server
from tests.support.waiting import wait_until
from waitressd import create_server
from waitressd.config.adjustments import Adjustments
from waitressd.dispatch.bounds import Bounds
from waitressd.http.limits import Limits
from waitressd.net.outbuf import OutputLimits
from waitressd.net.progress import Deadlines
from waitressd.place import here
from waitressd.wiring import Shared, body_spools, bounds, channel_settings, deadlines

LOOPBACK = "127.0.0.1:0"


@pytest.mark.parametrize("setting", [setting.name for setting in fields(Deadlines)])
def test_every_deadline_is_a_setting(setting: str) -> None:
    found = deadlines(Adjustments.from_keywords(**{setting: 7}))
    assert getattr(found, setting) == 7
    assert getattr(deadlines(Adjustments()), setting) != 7


def test_the_defaults_of_the_settings_are_those_of_the_deadlines_and_limits() -> None:
    """Whoever builds the inner layers without settings, as tests do, gets what an operator gets."""
    assert deadlines(Adjustments()) == Deadlines()
    server = create_server(hello, listen=LOOPBACK)
    try:
        settings = channel_settings(
            server.adjustments, Shared(hello, None, body_spools(server.adjustments)), server._listeners[0]
        )
        assert settings.limits == Limits()
    finally:
        server.close()


def test_bodies_at_all_addresses_share_one_budget() -> None:
    found: list[bool] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found.append(isinstance(environ["wsgi.input"], io.BytesIO))
        return hello(environ, start_response)

    def head(count: int) -> bytes:
        return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % count

    with (
        running_server(application, listen="127.0.0.1:0 127.0.0.2:0", inbuf_memory=400_000) as server,
        Client(server.server.addresses[0]) as first,
        Client(server.server.addresses[1]) as second,
    ):

        def is_kept_in_memory() -> bool:
            second.send(head(200_000) + bytes(200_000))
            assert second.receive().status == 200
            return found[-1]

        first.send(head(300_000) + bytes(200_000))
        assert wait_until(lambda: not is_kept_in_memory())  # once the first has its part
        first.send(bytes(100_000))
        assert first.receive().status == 200
        assert is_kept_in_memory()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_worker_is_not_the_only_process(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEP 3333, "environ Variables". Even a single supervised worker meets its successor."""
    monkeypatch.setattr(here, "number", number)
    found: list[object] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found.append(environ["wsgi.multiprocess"])
        return hello(environ, start_response)

    with running_server(application) as server, Client(server.address) as client:
        assert client.get("/").status == 200
    assert found == [number > 0]


def test_the_bounds_and_the_shortest_deadline() -> None:
    adjustments = replace(
        Adjustments(),
        connection_limit=5,
        per_client_connection_limit=3,
        queue_limit=4,
        channel_timeout=60.0,
        linger_timeout=0.0,
    )
    found = bounds(adjustments)
    assert (found.connection_limit, found.per_client_connection_limit, found.queue_limit, found.channel_timeout) == (
        5,
        3,
        4,
        60.0,
    )
    assert found.finest_deadline_seconds == 0.04
    assert bounds(replace(adjustments, linger_timeout=9.0, send_timeout=1.5)).finest_deadline_seconds == 1.5


@pytest.mark.parametrize(
    ("record", "own"),
    [
        (Deadlines, set()),
        (OutputLimits, set()),
        (Limits, {"chunk_extension_bytes"}),
        (Bounds, {"finest_deadline_seconds"}),
    ],
)
def test_the_fields_of_inner_records_have_the_names_of_settings(record: Any, own: set[str]) -> None:
    """A field with another name would keep its default, whatever the operator says."""
    settings = {setting.name for setting in fields(Adjustments)}
    assert {field.name for field in fields(record)} - settings == own
