"""The states of one connection and every move between them.

Two machines, one for what we read and one for what we send, and one for what follows the response; `connection.py` and
`encoder.py` join them (as in RFC 9112, 9.3: one request and its response, then the next). A move that is not in a table
is a bug of the caller: ProtocolMisuse.
"""

from enum import IntEnum
from typing import Final


class Reading(IntEnum):
    """What of the current request is still to come."""

    IDLE = 0  # between requests, or in the middle of a head
    HELD = 1  # the head is known; the client holds the body back until it is told to go on
    BODY = 2  # the head is known; the next octets are the body's
    DONE = 3  # the request is here in whole; what follows it waits for the response
    ERROR = 4  # the request broke a rule; nothing that follows is ever looked at
    CLOSED = 5  # no further request will be read


class ReadEvent(IntEnum):
    """What moves the request side."""

    HEAD = 0  # a request head that announces a body
    EXPECT = 1  # the same, of a client that waits for 100 Continue before it sends the body
    WHOLE = 2  # a request head without a body
    GO_ON = 3  # the client was told to go on, or has begun without being told
    DATA = 4  # octets of the body
    END = 5  # the end of the body
    BROKEN = 6  # a broken rule
    EOF = 7  # the client will send no more
    NEXT = 8  # request and response are done, the connection stays
    CLOSE = 9  # the connection ends, for whatever reason


class Sending(IntEnum):
    """What of the current response is still to be sent."""

    WAIT = 0  # no response is owed
    READY = 1  # a response is owed; interim ones may go first
    BODY = 2  # the final head has been sent, its body has not ended
    DONE = 3  # the response has been sent in whole
    CLOSED = 4  # nothing more will be sent
    BROKEN = 5  # the response ended before it was complete, which the client must see from the connection's end


class SendEvent(IntEnum):
    """What moves the response side."""

    REQUEST = 0  # a request head was accepted
    REFUSED = 1  # a request was refused; only an error response may follow
    INTERIM = 2  # a 1xx response
    HEAD = 3  # a final head whose body follows
    WHOLE = 4  # a final head together with all of its body
    DATA = 5  # octets of the body
    END = 6  # the end of the body
    SHORT = 7  # the end of the body before its Content-Length
    NEXT = 8  # request and response are done, the connection stays
    CLOSE = 9  # the connection ends, for whatever reason


class Persistence(IntEnum):
    """What follows the current response."""

    KEPT = 0  # the next request, if the client sends one
    DRAINING = 1  # the same, but the next response head says that the connection ends
    LAST = 2  # the end of the connection


class PersistenceEvent(IntEnum):
    """What decides about the end of a connection."""

    DRAIN = 0  # the server is stopping
    LEAVE = 1  # the client, the application or an error wants the end


READING_TRANSITIONS: Final[dict[tuple[Reading, ReadEvent], Reading]] = {
    (Reading.IDLE, ReadEvent.HEAD): Reading.BODY,
    (Reading.IDLE, ReadEvent.EXPECT): Reading.HELD,
    (Reading.IDLE, ReadEvent.WHOLE): Reading.DONE,
    (Reading.IDLE, ReadEvent.BROKEN): Reading.ERROR,
    (Reading.IDLE, ReadEvent.EOF): Reading.CLOSED,
    (Reading.IDLE, ReadEvent.CLOSE): Reading.CLOSED,
    (Reading.HELD, ReadEvent.GO_ON): Reading.BODY,
    (Reading.HELD, ReadEvent.EOF): Reading.ERROR,
    (Reading.HELD, ReadEvent.CLOSE): Reading.CLOSED,
    (Reading.BODY, ReadEvent.DATA): Reading.BODY,
    (Reading.BODY, ReadEvent.END): Reading.DONE,
    (Reading.BODY, ReadEvent.BROKEN): Reading.ERROR,
    (Reading.BODY, ReadEvent.EOF): Reading.ERROR,
    (Reading.BODY, ReadEvent.CLOSE): Reading.CLOSED,
    (Reading.DONE, ReadEvent.NEXT): Reading.IDLE,
    (Reading.DONE, ReadEvent.CLOSE): Reading.CLOSED,
    (Reading.ERROR, ReadEvent.CLOSE): Reading.CLOSED,
    (Reading.CLOSED, ReadEvent.CLOSE): Reading.CLOSED,
}

SENDING_TRANSITIONS: Final[dict[tuple[Sending, SendEvent], Sending]] = {
    (Sending.WAIT, SendEvent.REQUEST): Sending.READY,
    (Sending.WAIT, SendEvent.REFUSED): Sending.READY,
    (Sending.WAIT, SendEvent.CLOSE): Sending.CLOSED,
    (Sending.READY, SendEvent.REFUSED): Sending.READY,
    (Sending.READY, SendEvent.INTERIM): Sending.READY,
    (Sending.READY, SendEvent.HEAD): Sending.BODY,
    (Sending.READY, SendEvent.WHOLE): Sending.DONE,
    (Sending.READY, SendEvent.CLOSE): Sending.BROKEN,
    (Sending.BODY, SendEvent.REFUSED): Sending.BODY,
    (Sending.BODY, SendEvent.DATA): Sending.BODY,
    (Sending.BODY, SendEvent.END): Sending.DONE,
    (Sending.BODY, SendEvent.SHORT): Sending.BROKEN,
    (Sending.BODY, SendEvent.CLOSE): Sending.BROKEN,
    (Sending.DONE, SendEvent.NEXT): Sending.WAIT,
    (Sending.DONE, SendEvent.CLOSE): Sending.CLOSED,
    (Sending.CLOSED, SendEvent.CLOSE): Sending.CLOSED,
    (Sending.BROKEN, SendEvent.CLOSE): Sending.BROKEN,
}

PERSISTENCE_TRANSITIONS: Final[dict[tuple[Persistence, PersistenceEvent], Persistence]] = {
    (Persistence.KEPT, PersistenceEvent.DRAIN): Persistence.DRAINING,
    (Persistence.KEPT, PersistenceEvent.LEAVE): Persistence.LAST,
    (Persistence.DRAINING, PersistenceEvent.DRAIN): Persistence.DRAINING,
    (Persistence.DRAINING, PersistenceEvent.LEAVE): Persistence.LAST,
    (Persistence.LAST, PersistenceEvent.DRAIN): Persistence.LAST,
    (Persistence.LAST, PersistenceEvent.LEAVE): Persistence.LAST,
}
