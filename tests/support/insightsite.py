"""A server with the page of the admin address, and with documents that a test may change while they are shown."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from tests.support.insightscenes import STACK, Document, Scene
from tests.support.servers import RunningServer, running_server
from waitressd.insight.answers import Query
from waitressd.insight.page import page_endpoint


class Site:
    """A WSGI application: the page at '/', a document of the scene at each other path.

    `scene` may be replaced or changed by the test's thread at any time; `asked` is what the browser wanted, in order.
    """

    def __init__(self, scene: Scene, port: int = 0) -> None:
        self.scene = scene
        self.asked: list[str] = []
        self.refusals: dict[str, tuple[str, Document]] = {}
        self.port = port
        self._page = page_endpoint()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(f"{path}?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else path)
        if path == "/":
            answer = self._page.answer(Query("GET", "/", {}, ""))
            start_response("200 OK", [("Content-Type", answer.content_type), *answer.fields])
            return list(answer.body)
        status, document = self._document(path.removeprefix("/"))
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps(document).encode()]

    def _document(self, path: str) -> tuple[str, Document]:
        name, _, child = path.partition("/")
        if name in self.refusals:
            return self.refusals[name]
        if name == "index":
            return "200 OK", {"endpoints": [self._endpoint("/"), *map(self._endpoint, self.scene)]}
        if child:
            return self._one_request(child)
        if name not in self.scene:
            return "404 Not Found", {"error": f"There is no /{path}."}
        return "200 OK", self.scene[name]

    @staticmethod
    def _endpoint(path: str) -> Document:
        group = path.strip("/") or "page"
        return {"path": f"/{path.strip('/')}", "group": group, "method": "GET", "has_children": False}

    def _one_request(self, request_id: str) -> tuple[str, Document]:
        document = self.scene["requests"]
        found = [row for row in document["requests"] if row["id"] == request_id]
        if not found:
            return "404 Not Found", {"error": "There is no such request."}
        head = {key: document[key] for key in ("at", "server", "version", "life", "workers")}
        stack = STACK if found[0]["phase"] == "application" else None
        return "200 OK", head | {"stacks_missing": None} | deepcopy(found[0]) | {"stack": stack}


@contextmanager
def running_site(site: Site) -> Iterator[RunningServer]:
    """Serve the site while the block runs; at the same port as before, if it ran before."""
    with running_server(site, listen=f"127.0.0.1:{site.port}", threads=4) as server:
        site.port = server.port
        yield server
