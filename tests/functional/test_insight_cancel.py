"""POST /control/cancel ends one request for its client, by the id that /requests has shown."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.apps.plain import hello
from tests.support.admin import ask
from tests.support.client import Client
from tests.support.servers import running_server
from tests.support.waiting import wait_until

CONTROL = "X-Waitressd-Control: 1"


def test_a_request_is_ended_by_its_id(tmp_path: Path) -> None:
    gate = threading.Event()

    def hangs(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert gate.wait(30)
        return hello(environ, start_response)

    path = str(tmp_path / "admin")
    with (
        running_server(hangs, threads=2, admin_listen=f"unix:{path}", admin_control="cancel") as server,
        server.connect() as client,
        Client(path) as admin,
    ):

        def requests() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(ask(admin, "/requests").body)["requests"]
            return found

        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wait_until(lambda: [row["phase"] for row in requests()] == ["application"])
        name = requests()[0]["id"]
        assert ask(admin, "/control/cancel?id=9-9-9", CONTROL, method="POST").status == 404
        assert ask(admin, f"/control/cancel?id={name}", CONTROL, method="POST").status == 202
        assert client.receive().status == 504
        assert wait_until(lambda: [row["answered_status"] for row in requests()] == [504])
        gate.set()
        assert wait_until(lambda: not requests())
