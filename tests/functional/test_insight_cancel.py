"""Ending a request from the admin address: its client gets a whole answer, and one that is not there is not found."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.insight import Insight
from tests.support.servers import running_server
from tests.support.waiting import wait_until

SAYS_SO = "X-Waitressd-Control: 1"


def test_a_request_is_cancelled_by_its_id(tmp_path: Path) -> None:
    release = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        release.wait(30)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    path = str(tmp_path / "admin.sock")
    with running_server(application, threads=1, admin_listen=f"unix:{path}", admin_control="cancel") as server:
        insight = Insight(server, path)
        try:
            with server.connect() as client, server.connect() as queued, Client(path) as operator:
                client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                insight.wait_for("/requests", lambda found: found["total"] == 1)
                queued.send(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
                rows = insight.wait_for("/requests", lambda found: found["total"] == 2)["requests"]
                ids = {row["target"]: row["id"] for row in rows}
                for target, hears in (("/b", queued), ("/a", client)):
                    cancelled = ask(
                        operator, f"/control/cancel?id={ids[target]}", SAYS_SO, method="POST", host="localhost"
                    )
                    assert cancelled.status == 202, cancelled.body
                    answer = hears.receive()
                    assert answer.status in (503, 504), answer
                    assert answer.closes
                again = ask(operator, f"/control/cancel?id={ids['/b']}", SAYS_SO, method="POST", host="localhost")
                assert again.status == 404
                # Its thread is still in the application, and that is said.
                (row,) = insight.wait_for("/requests", lambda found: found["total"] == 1)["requests"]
                assert (row["id"], row["overdue"], row["answered_status"]) == (ids["/a"], True, 504)
        finally:
            release.set()
        assert wait_until(lambda: insight.get("/requests")["total"] == 0)
