"""Which routes an application names: asked over the wire, seen in the environ that the server made."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.servers import RunningServer, running_server

Environ = dict[str, Any]


class Ask:
    """Asks for pages, and keeps the environ of each request as the server has it."""

    def __init__(self, application: Any, environs: list[Environ]) -> None:
        self._application = application
        self._environs = environs
        self.server: RunningServer

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Be the application that is served."""
        self._environs.append(environ)
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer

    def route(self, target: str, status: int = 200) -> str | None:
        """Return the route that was named when the request was over."""
        self._get(target, status)
        route: str | None = self._environs[-1].get("waitressd.route")
        return route

    def seen(self, target: str) -> str:
        """Return what a page says."""
        return self._get(target, 200).decode()

    def _get(self, target: str, status: int) -> bytes:
        with self.server.connect() as client:
            answer = client.request(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert answer.status == status
        return answer.body


@contextmanager
def asked(application: Any) -> Iterator[Ask]:
    """Serve the application while the block runs."""
    ask = Ask(application, [])
    with running_server(ask, threads=2) as ask.server:
        yield ask
