"""What comes out of a connection: requests, pieces of their bodies, and three signals."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


@dataclass(slots=True, eq=False)
class Request:
    """One request head, as a WSGI environ wants it.

    `fields` is keyed by CGI name ('HTTP_HOST', 'CONTENT_TYPE'); values are latin-1 text without the white space
    around them, repeated fields joined in order by ', ' (Cookie by '; '). Fields whose name has an underscore, the
    field `Proxy`, and Transfer-Encoding are not in it. For an absolute-form target HTTP_HOST is the target's authority
    (RFC 9112, 3.2.2).
    """

    method: str
    target: str
    """The request target as it was sent."""
    path: str
    """Percent-decoded, each octet one latin-1 character; '*' for `OPTIONS *`."""
    query: str
    """What follows the first '?', as it was sent."""
    version: str
    """'HTTP/1.1' or 'HTTP/1.0': the version by which the request is treated."""
    fields: dict[str, str]
    content_length: int | None = None
    """Octets of a length-framed body, else None."""
    keep_alive: bool = True
    """The client's word on whether the connection may stay open (RFC 9112, 9.3)."""
    expects_continue: bool = False
    """A body is announced and the client waits for `100 Continue` before sending it (RFC 9110, 10.1.1)."""
    complete: bool = True
    """No body follows: there will be no Body and no EndOfBody event."""
    known: "Request | None" = None
    """A request whose field lines have come again on the connection: `fields` are its own, or begin with them."""
    added: dict[str, str] | None = None
    """Those of the fields that `known` does not have, where `fields` only begin with its own."""
    basis: dict[str, Any] | None = None
    """What the WSGI side has made of the fields, kept for the requests that share them; see `known`."""


@dataclass(slots=True)
class Body:
    """Some octets of the request body, without its transfer coding; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfBody:
    """The request body has come in whole, trailer section included."""


class Signal(Enum):
    """What `next_event` says when it has no part of a request to give."""

    NEED_DATA = "need data"  # feed more, or say that no more comes
    PAUSED = "paused"  # the request is complete and its response is not: nothing further is looked at
    CLOSED = "closed"  # nothing will ever come out again


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED
CLOSED: Final = Signal.CLOSED
END_OF_BODY: Final = EndOfBody()

Event = Request | Body | EndOfBody | Signal
