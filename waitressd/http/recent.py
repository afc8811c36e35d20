"""What the last connections began with, for the next one that begins the same.

Clients that open a connection for each request, such as health checks and some proxies, say the same each time and are
mostly answered the same; the memory of their own connection never helps them. What is kept here is of no client: fields
that are the same octet by octet, and heads of responses. Nothing that was made for one connection gets to another.
"""

from dataclasses import replace
from typing import Final

from waitressd.http.events import Request
from waitressd.http.grammar import CRLF, HEAD_END
from waitressd.http.head import parse_head
from waitressd.http.limits import Limits
from waitressd.http.repeated import KNOWN_BYTES, SameLines, same_lines
from waitressd.http.response import ResponseHead

Answer = tuple[str, list[tuple[str, str]], ResponseHead]
"""What an application has said, and the head that was made of it."""

_REQUEST_LINE_BYTES: Final = 512  # longer heads are not looked for


class Recent:
    """What is remembered for the connections of one listener.

    `parse` is for the holder of the dispatcher role; `answer` is read and stored as a whole, by any thread.
    """

    __slots__ = ("_lines", "_same", "answer")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        """What the application answered last to the first request of a connection."""
        self._lines = b""  # the field lines of the last first request that was not known
        self._same: SameLines | None = None  # once two in a row were the same

    def parse(self, head: bytes | bytearray, limits: Limits) -> Request:
        """Parse the first head of a connection. Raises HttpError."""
        same = self._same
        if same is not None:
            request = same.parse(head + HEAD_END, 0, limits)
            if request is not None:
                request.known = None  # what is made of the fields belongs to one connection
                return request
        request = parse_head(head, limits)
        if len(head) <= KNOWN_BYTES + _REQUEST_LINE_BYTES:
            lines = bytes(head[head.find(CRLF) :])
            if lines == self._lines:
                self._same = same_lines(replace(request), lines)
            self._lines = lines
        return request
