"""What a server listens on, as whoever runs or embeds it asks for it."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from waitressd.net.logs import say

if TYPE_CHECKING:
    from waitressd.net.listener import Listener


class Listening:
    """Something with listeners: where they are, in the forms that people and programs use. Any thread."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    @property
    def addresses(self) -> list[Any]:
        """The bound addresses as `getsockname` gives them: (host, port, ...) or the path of a Unix socket."""
        return [listener.socket.getsockname() for listener in self._listeners]

    @property
    def effective_listen(self) -> list[tuple[str, int | str]]:
        """The bound addresses as (host, port); ('unix', path) for a Unix socket."""
        return [
            (address[0], address[1]) if isinstance(address, tuple) else ("unix", str(address))
            for address in self.addresses
        ]

    @property
    def effective_host(self) -> str:
        """The host of the first listener."""
        return self.effective_listen[0][0]

    @property
    def effective_port(self) -> int | str:
        """The port of the first listener; with `port = 0` the one that the system chose."""
        return self.effective_listen[0][1]

    def getsockname(self) -> Any:  # noqa: ANN401 - the standard library's own type for addresses
        """Return the address of the first listener, as a socket would."""
        return self.addresses[0]

    def announce(self, template: str) -> list[str]:
        """Return a line for each listener; `template` takes the host and the port, as in 'http://{}:{}'."""
        return [
            listener.announce(template.format(f"[{host}]" if ":" in host else host, port))
            for listener, (host, port) in zip(self._listeners, self.effective_listen, strict=True)
        ]

    def print_listen(self, template: str) -> None:
        """Log what `announce` says."""
        log_lines(self.announce(template))


def log_lines(lines: Sequence[str]) -> None:
    """Log lines that `announce` has returned."""
    for line in lines:
        say(logging.INFO, "%s", line)
