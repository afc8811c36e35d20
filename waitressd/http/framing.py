"""Which body follows a request head (RFC 9112, section 6.3).

Knows two field values and a limit; does not read a body and does not know who sent it. `decide_framing` either names
the framing or refuses the request. There is no default: where a length cannot be read with certainty, two servers
begin to disagree about where the next request starts.
"""

from enum import Enum

from waitressd.http.errors import HttpError
from waitressd.http.grammar import WHITE_SPACE, is_digits, is_token
from waitressd.http.limits import LENGTH_DIGITS


class Framing(Enum):
    """How the end of a body is known."""

    NONE = "none"  # there is no body
    LENGTH = "length"  # Content-Length octets
    CHUNKED = "chunked"  # the chunked transfer coding says it
    CLOSE = "close"  # the end of the connection says it; only responses to HTTP/1.0 are framed like that


def decide_framing(version: str, coding: str | None, length: str | None, body_bytes: int) -> int | None:
    """How many octets the body of a request has; None if it is chunked.

    `coding` and `length` are the values of Transfer-Encoding and Content-Length, None where the field is missing.
    """
    if coding is not None:
        if version == "HTTP/1.0":
            # RFC 9112, 6.1: the framing is faulty, since HTTP/1.0 has no transfer codings.
            raise HttpError(400, "Transfer-Encoding is not allowed in an HTTP/1.0 request.")
        if length is not None:
            # RFC 9112, 6.1 lets us choose; a client that sends both tries to be read in two ways.
            raise HttpError(400, "Transfer-Encoding and Content-Length exclude each other.")
        check_coding(coding)
        return None
    return 0 if length is None else parse_length(length, body_bytes)


def check_coding(value: str) -> None:
    """Accept the list that is exactly one `chunked` (RFC 9112, 6.1 and 7)."""
    members = [member.strip(WHITE_SPACE).lower() for member in value.split(",")]
    if members == ["chunked"]:
        return
    if members[-1] != "chunked":
        # RFC 9112, 6.3: without chunked at the end the length cannot be known.
        raise HttpError(400, "The last transfer coding of a request must be chunked, without parameters.")
    for member in members[:-1]:
        name = member.partition(";")[0].rstrip(WHITE_SPACE)
        if name == "chunked" or not is_token(name):
            raise HttpError(400, "Transfer-Encoding must be exactly one chunked.")
    raise HttpError(501, "Transfer codings other than chunked are not supported.")


def parse_length(value: str, body_bytes: int) -> int:
    """Read a Content-Length (RFC 9112, 6.2): ASCII digits, nothing else, no list."""
    if not is_digits(value):
        raise HttpError(400, "Content-Length must be one decimal number.")
    # The digits are counted before they become a number: int() itself has limits, and they are not ours.
    if len(value) > LENGTH_DIGITS or int(value) > body_bytes:
        raise HttpError(413, "The request body is larger than this server accepts.")
    return int(value)
