"""What can go wrong between a client, the application and us, as exceptions.

Four classes for four guilty parties: the client's message, the application's response, our own code, the network.
"""

from http import HTTPStatus
from typing import Final

REASONS: Final[dict[int, str]] = {status.value: status.phrase for status in HTTPStatus} | {
    # The names of RFC 9110; the standard library learned some of them only later.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


class HttpError(Exception):
    """A request that is answered with an error status, after which the connection closes.

    `detail` is one sentence for the client and the operator. It never contains what the client sent: an answer
    that repeats its input is a tool for attacking somebody else. `fields` go into the answer (`Retry-After`, `Allow`).
    """

    def __init__(self, status: int, detail: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {REASONS.get(status, 'Error')}: {detail}")
        self.status = status
        self.detail = detail
        self.fields = fields

    @property
    def reason(self) -> str:
        """The reason phrase that belongs to the status."""
        return REASONS.get(self.status, "Error")


class ResponseError(Exception):
    """The application's status or fields cannot be sent; the text names what and why. Nothing has left yet."""


class ProtocolMisuse(Exception):  # noqa: N818  # a fault of the calling code, not of a message
    """A move that is not in the transition table: a bug of ours, never caused by a peer or by the application."""


class ClientDisconnected(Exception):  # noqa: N818  # an event rather than an error: clients may leave
    """A write found that the client has left; whatever else the response holds need not be made."""
