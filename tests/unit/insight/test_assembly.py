"""What a server has of insight, put together."""

import json

from tests.apps.plain import hello
from tests.support.admin import ask
from tests.support.client import Client
from tests.support.servers import running_server
from tests.support.waiting import wait_until
from waitressd.config.insighttable import EXPOSABLE


def test_every_endpoint_of_a_server_is_in_a_group_that_can_be_exposed() -> None:
    with running_server(hello, admin_listen="127.0.0.1:0") as server:
        assert wait_until(lambda: server.server.pulse is not None)
        with Client(server.server.admin_addresses[0]) as client:
            rows = json.loads(ask(client, "/index").body)["endpoints"]
    assert {row["group"] for row in rows} <= set(EXPOSABLE)
    assert {"/live", "/ready", "/requests", "/connections", "/threads", "/slow", "/stats", "/config"} <= {
        row["path"] for row in rows
    }


def test_what_may_be_changed_is_listed_where_it_may() -> None:
    with (
        running_server(hello, admin_listen="127.0.0.1:0") as server,
        Client(server.server.admin_addresses[0]) as client,
    ):
        rows = json.loads(ask(client, "/index").body)["endpoints"]
        assert not [row for row in rows if row["group"] == "control"]
