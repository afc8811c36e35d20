"""Django's live servers on this server: ``server_thread_class = LiveServerThread`` in a ``LiveServerTestCase``."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections
from django.test import testcases

from waitressd.server import create_server


class _HttpServer:
    """What Django's thread calls of a server of the standard library."""

    def __init__(self, address: tuple[str, int], overrides: Mapping[str, Any]) -> None:
        self._overrides = overrides
        self._handler: Any = None
        host, port = address
        # localhost may be two addresses, and Django connects to the port of the first.
        self._server = create_server(self._application, host=host, port=port, shutdown_timeout=5.0)
        self.server_address = (self._server.effective_host, self._server.effective_port)
        self._ended = threading.Event()

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - by PEP 3333
        # A database in memory is one connection, which the test's thread shares with those of requests.
        for alias, connection in self._overrides.items():
            connections[alias] = connection
        found: Iterable[bytes] = self._handler(environ, start_response)
        return found

    def set_app(self, handler: object) -> None:
        """Take the application."""
        self._handler = handler

    def serve_forever(self) -> None:
        """Serve until `shutdown`. The live server's thread."""
        try:
            self._server.run()
        finally:
            self._ended.set()

    def shutdown(self) -> None:
        """Stop, and wait until that is done. The test's thread."""
        self._server.close()
        self._ended.wait()

    def server_close(self) -> None:
        """Do nothing: nothing is left open by `shutdown`."""


class LiveServerThread(testcases.LiveServerThread):  # type: ignore[misc]  # Django has no types
    """Django's thread for a live server, with this server in it."""

    def _create_server(self, connections_override: Mapping[str, Any] | None = None) -> _HttpServer:
        return _HttpServer((self.host, self.port), connections_override or {})
