"""Every setting reaches the part that keeps it."""

from dataclasses import replace

import pytest

from tests.apps.plain import hello
from waitressd import create_server
from waitressd.config.adjustments import Adjustments
from waitressd.http.limits import Limits
from waitressd.net.progress import Deadlines
from waitressd.wiring import bounds, channel_settings, deadlines

LOOPBACK = "127.0.0.1:0"


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("channel_timeout", "channel_timeout"),
        ("request_header_timeout", "request_header_timeout"),
        ("request_body_min_rate", "request_body_min_rate"),
        ("queue_timeout", "queue_timeout"),
        ("send_timeout", "send_timeout"),
        ("response_min_rate", "response_min_rate"),
        ("min_rate_grace", "min_rate_grace"),
        ("linger_timeout", "linger_timeout"),
    ],
)
def test_every_deadline_is_a_setting(setting: str, field: str) -> None:
    found = deadlines(Adjustments.from_keywords(**{setting: 7}))
    assert getattr(found, field) == 7
    assert getattr(deadlines(Adjustments()), field) != 7


def test_the_defaults_of_the_settings_are_those_of_the_deadlines_and_limits() -> None:
    """Whoever builds the inner layers without settings, as tests do, gets what an operator gets."""
    assert deadlines(Adjustments()) == Deadlines()
    server = create_server(hello, listen=LOOPBACK)
    try:
        settings = channel_settings(server.adjustments, hello, server._listeners[0], None)
        assert settings.limits == Limits()
    finally:
        server.close()


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
