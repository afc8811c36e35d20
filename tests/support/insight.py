"""A server with an admin address, and its answers as values."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.client import Address, Client
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until


@dataclass
class Insight:
    """A server, and who asks it how it is."""

    server: RunningServer
    address: Address

    def get(self, path: str) -> dict[str, Any]:
        """Ask for a document."""
        with Client(self.address) as client:
            response = client.get(path)
        assert response.status == 200, response.body
        document: dict[str, Any] = json.loads(response.body)
        return document

    def status(self, path: str) -> int:
        """Ask, and return the status alone."""
        with Client(self.address) as client:
            return int(client.get(path).status)

    def findings(self) -> dict[str, dict[str, Any]]:
        """Return what is the matter, by codes."""
        return {finding["code"]: finding for finding in self.get("/stats")["findings"]}

    def wait_for(
        self, path: str, condition: Callable[[dict[str, Any]], object], seconds: float = 10.0
    ) -> dict[str, Any]:
        """Ask again and again until the condition holds for the document; return that."""
        documents: list[dict[str, Any]] = []

        def holds() -> object:
            documents.append(self.get(path))
            return condition(documents[-1])

        assert wait_until(holds, seconds), documents[-1]
        return documents[-1]

    def wait_for_finding(self, code: str, seconds: float = 10.0) -> dict[str, Any]:
        """Wait until this is the matter."""
        assert wait_until(lambda: code in self.findings(), seconds), self.get("/stats")
        return self.findings().get(code, {})

    def wait_until_over(self, code: str, seconds: float = 10.0) -> None:
        """Wait until it is not the matter any more."""
        assert wait_until(lambda: code not in self.findings(), seconds), self.get("/stats")


@contextmanager
def insight_into(application: Any, **settings: Any) -> Iterator[Insight]:
    """Serve an application while the block runs, with an admin address on a free port."""
    with running_server(application, admin_listen="127.0.0.1:0", **settings) as server:
        host, port = server.server.admin_addresses[0][:2]
        yield Insight(server, (host, port))
