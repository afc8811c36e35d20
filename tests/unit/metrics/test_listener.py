"""The small server that shows metrics."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.support.client import Client
from waitressd import create_server
from waitressd.metrics.listener import MetricsListener, check_listen
from waitressd.requestlog import OptionError


def page(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"numbers"]


def test_it_serves_until_it_is_closed() -> None:
    listener = MetricsListener(create_server, page, "127.0.0.1:0")
    address = listener.address
    with Client(address) as client:
        assert client.get("/").body == b"numbers"
    listener.close()
    listener.close()
    with pytest.raises(OSError, match="refused"):
        Client(address)


def test_an_address_in_use_is_named() -> None:
    listener = MetricsListener(create_server, page, "127.0.0.1:0")
    try:
        with pytest.raises(OSError, match=str(listener.address[1])):
            MetricsListener(create_server, page, f"127.0.0.1:{listener.address[1]}")
    finally:
        listener.close()


def test_what_is_no_address_is_said_before_anything_opens() -> None:
    check_listen("127.0.0.1:9100")
    with pytest.raises(OptionError) as caught:
        check_listen("127.0.0.1:99999")
    assert caught.value.problems[0][0] == "listen"
