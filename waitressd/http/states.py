"""The states of one connection and every move between them.

Two machines, one for what we hear and one for what we say, and one rule that joins them (as in RFC 9112, 9.3: one
request and its response, then the next). A move that is not in a table is a bug of the caller: ProtocolMisuse.
"""

from enum import IntEnum
from typing import Final


class Reading(IntEnum):
    """What of the current request is still to come."""

    IDLE = 0  # between requests, or in the middle of a head
    BODY = 1  # the head is known; the decoder owns the next octets
    DONE = 2  # the request is here in whole; what follows it waits for the response
    ERROR = 3  # the request broke a rule; nothing that follows is ever looked at
    CLOSED = 4  # no further request will be read


class Heard(IntEnum):
    """What moves the request side."""

    HEAD = 0  # a request head that announces a body
    WHOLE = 1  # a request head without a body
    DATA = 2  # octets of the body
    END = 3  # the end of the body
    BROKEN = 4  # a broken rule
    EOF = 5  # the client will send no more
    NEXT = 6  # request and response are done, the connection stays
    CLOSE = 7  # the connection ends, for whatever reason


class Sending(IntEnum):
    """What of the current response is still to be sent."""

    WAIT = 0  # no response is owed
    READY = 1  # a response is owed; interim ones may go first
    BODY = 2  # the final head has been sent, its body has not ended
    DONE = 3  # the response has been sent in whole
    CLOSED = 4  # nothing more will be sent


class Said(IntEnum):
    """What moves the response side."""

    REQUEST = 0  # a request head was accepted
    REFUSED = 1  # a request was refused; only an error answer may follow
    INTERIM = 2  # a 1xx response
    HEAD = 3  # a final head whose body follows
    WHOLE = 4  # a final head together with all of its body
    DATA = 5  # octets of the body
    END = 6  # the end of the body
    NEXT = 7  # request and response are done, the connection stays
    CLOSE = 8  # the connection ends, for whatever reason


READING_TRANSITIONS: Final[dict[tuple[Reading, Heard], Reading]] = {
    (Reading.IDLE, Heard.HEAD): Reading.BODY,
    (Reading.IDLE, Heard.WHOLE): Reading.DONE,
    (Reading.IDLE, Heard.BROKEN): Reading.ERROR,
    (Reading.IDLE, Heard.EOF): Reading.CLOSED,
    (Reading.IDLE, Heard.CLOSE): Reading.CLOSED,
    (Reading.BODY, Heard.DATA): Reading.BODY,
    (Reading.BODY, Heard.END): Reading.DONE,
    (Reading.BODY, Heard.BROKEN): Reading.ERROR,
    (Reading.BODY, Heard.EOF): Reading.ERROR,
    (Reading.BODY, Heard.CLOSE): Reading.CLOSED,
    (Reading.DONE, Heard.NEXT): Reading.IDLE,
    (Reading.DONE, Heard.CLOSE): Reading.CLOSED,
    (Reading.ERROR, Heard.CLOSE): Reading.CLOSED,
    (Reading.CLOSED, Heard.CLOSE): Reading.CLOSED,
}

SENDING_TRANSITIONS: Final[dict[tuple[Sending, Said], Sending]] = {
    (Sending.WAIT, Said.REQUEST): Sending.READY,
    (Sending.WAIT, Said.REFUSED): Sending.READY,
    (Sending.WAIT, Said.CLOSE): Sending.CLOSED,
    (Sending.READY, Said.REFUSED): Sending.READY,
    (Sending.READY, Said.INTERIM): Sending.READY,
    (Sending.READY, Said.HEAD): Sending.BODY,
    (Sending.READY, Said.WHOLE): Sending.DONE,
    (Sending.READY, Said.CLOSE): Sending.CLOSED,
    (Sending.BODY, Said.REFUSED): Sending.BODY,
    (Sending.BODY, Said.DATA): Sending.BODY,
    (Sending.BODY, Said.END): Sending.DONE,
    (Sending.BODY, Said.CLOSE): Sending.CLOSED,
    (Sending.DONE, Said.NEXT): Sending.WAIT,
    (Sending.DONE, Said.CLOSE): Sending.CLOSED,
    (Sending.CLOSED, Said.CLOSE): Sending.CLOSED,
}
