"""The listener of the metrics: a second, small server in this process with threads of its own.

So it answers even if every thread of the application hangs, and a slow or hostile scraper delays no request.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.requestlog.options import OptionError

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
OpenServer = Callable[..., Any]
"""What builds and binds a server: `waitressd.server.create_server`, which this layer does not know."""

_STOP_SECONDS: Final = 1.0  # what the listener waits for a scrape that has begun


class MetricsListener:
    """The small server, from the moment it is made. Raises OSError naming the address, or ConfigError."""

    def __init__(
        self, open_server: OpenServer, application: Application, listen: str, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """`sockets` are those of the address if they are open already."""
        settings = _settings(listen)
        if sockets:
            del settings["listen"]
            settings["sockets"] = sockets
        self._server: Final = open_server(application, **settings)
        if not sockets:
            self._server.print_listen("Metrics on http://{}:{}/metrics")
        self._thread: Final = threading.Thread(target=self._server.run, name="metrics", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Any:  # noqa: ANN401 - as getsockname gives it
        """Where it is."""
        return self._server.getsockname()

    def hand_over(self) -> list[socket.socket]:
        """Stop, and return the sockets that scrapers wait at. Raises OSError: no descriptor is left."""
        sockets = [listener.socket for listener in self._server.hand_over()]
        self.close()
        return sockets

    def close(self) -> None:
        """Stop it; twice is harmless."""
        self._server.close()
        self._thread.join(_STOP_SECONDS + 1)


def check_listen(listen: str) -> None:
    """Raise OptionError if it does not say where to listen."""
    try:
        Adjustments.from_keywords(**_settings(listen))
    except ConfigError as error:
        raise OptionError(*(("listen", problem.text) for problem in error.problems)) from None


def _settings(listen: str) -> dict[str, Any]:
    return {"listen": listen, "threads": 1, "ident": "", "connection_limit": 32, "shutdown_timeout": _STOP_SECONDS}
