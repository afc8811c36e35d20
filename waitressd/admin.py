"""What a server has of insight, or has not.

Everything else about it is imported where there is an admin address alone: it costs other servers neither time nor
memory.
"""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from waitressd.config.adjustments import Adjustments
from waitressd.net.listener import Listener
from waitressd.wsgi.clock import http_date

if TYPE_CHECKING:
    from waitressd.insight.view import ServerView


class Answers(Protocol):
    """What answers at the admin addresses of one server. The thread that owns the server, but for `reload`."""

    @property
    def addresses(self) -> list[Any]:
        """Where it is asked, as `getsockname` says it."""

    def open(self, listeners: Sequence[Listener]) -> None:
        """Take the listeners of the admin addresses. Raises ConfigError for one that strangers reach."""

    def start(self, view: "ServerView") -> None:
        """Begin to answer. Raises OSError."""

    def adopt(self, sock: socket.socket) -> None:
        """Answer what the master of a worker asks on this connection. Any thread."""

    def reload(self) -> None:
        """Read again what SIGHUP means. Any thread that may wait for a disk."""

    def close(self) -> None:
        """Answer no more, and close the listeners. Twice is harmless."""

    def let_go(self) -> None:
        """Close the listeners in a child that was only forked."""


class NothingToAnswer:
    """What a server without an admin address has."""

    addresses: Final[list[Any]] = []

    def open(self, listeners: Sequence[Listener]) -> None:
        """See Answers."""

    def start(self, view: "ServerView") -> None:
        """See Answers."""

    def adopt(self, sock: socket.socket) -> None:
        """Close it, so that whoever asks need not wait."""
        sock.close()

    def reload(self) -> None:
        """See Answers."""

    def close(self) -> None:
        """See Answers."""

    def let_go(self) -> None:
        """See Answers."""


def answers_of(adjustments: Adjustments) -> Answers:
    """Return what answers at the admin addresses of a configuration. Raises ConfigError with all that is unsafe."""
    if not adjustments.admin_addresses:
        return NothingToAnswer()
    from waitressd.insight.assembly import Insight  # noqa: PLC0415 - see the module

    return Insight(adjustments, http_date)
