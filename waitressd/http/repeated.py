"""Field lines that have come before on the same connection, and are not parsed again.

Many clients send the same field lines with each request: then only the request line is parsed (a quarter of the time
for a browser's head, measured). Others change the last of them, such as cookies and entity tags: then those before are
known. What a client does not repeat is not looked for any more, for looking costs time, too.
"""

from itertools import takewhile
from typing import Final

from waitressd.http.events import Request
from waitressd.http.grammar import CRLF, FIELD_OCTETS, WHITE_SPACE
from waitressd.http.head import KEYS, common_line, decode_path, parse_fields, set_meaning
from waitressd.http.limits import Limits

# Field lines up to this size are compared with those of the client's next request.
KNOWN_BYTES: Final = 2048
# So many lines must be the same, or comparing them costs more than it saves.
KNOWN_LINES: Final = 2
# What frames a body, or asks for an answer to its head, is read anew each time.
_FRAMING: Final = frozenset({"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"})


class SameLines:
    """All field lines of a request, with the line end before them; and the request, which has HTTP/1.1 and a path."""

    __slots__ = ("lines", "request")

    def __init__(self, lines: bytes, request: Request) -> None:
        self.lines = lines
        self.request = request

    def parse(self, head: bytes | bytearray, limits: Limits) -> Request | None:
        """Parse a head with the same field lines; None if they are not, or the request line is unusual.

        Both requests share one `fields`, which must not be changed. Raises HttpError for a broken escape in the path.
        """
        lines, known = self.lines, self.request
        length = len(head) - len(lines)
        if not head.endswith(lines) or length > limits.max_request_line_size:
            return None
        common = common_line(head[:length].decode("latin-1"))  # has no line end, so nothing else hides in there
        if common is None:
            return None
        method, target, path, query = common.groups("")
        if "%" in path:
            path = decode_path(path)
        return Request(
            method, target, path, query, "HTTP/1.1", known.fields,
            known.content_length, known.keep_alive, known.expects_continue, known.complete, known,
        )  # fmt: skip


class SameStart:
    """The first field lines of a client's requests, with the line end before them; and a request that has only them."""

    __slots__ = ("_start", "lines", "request")

    def __init__(self, lines: bytes, request: Request) -> None:
        self.lines = lines
        self.request = request
        self._start = lines + CRLF

    def parse(self, head: bytes | bytearray, limits: Limits) -> Request | None:
        """Parse a head whose field lines begin like that; None if they do not, or anything of it is unusual.

        Raises HttpError: a rule is broken. Not all rules are looked at where the result is None.
        """
        known = self.request
        end = head.find(CRLF)
        if not head.startswith(self._start, end) or end > limits.max_request_line_size:
            return None
        common = common_line(head[:end].decode("latin-1"))
        if common is None:
            return None
        fields = known.fields.copy()
        rest = head[end + len(self._start) :]
        lines = rest.decode("latin-1").split("\r\n")
        count = len(fields) + len(lines)
        # As in parse_head: one look at all octets finds those that no line may have.
        if len(rest.translate(None, FIELD_OCTETS)) != 2 * len(lines) - 2 or count > limits.max_request_fields:
            return None
        keys = KEYS
        try:
            for line in lines:
                name, value = line.split(":", 1)
                fields[keys[name]] = value.strip(WHITE_SPACE)
        except (KeyError, ValueError):
            return None
        if len(fields) != count:
            return None
        method, target, path, query = common.groups("")
        if "%" in path:
            path = decode_path(path)
        request = Request(method, target, path, query, "HTTP/1.1", fields, None, True, False, True, known)
        set_meaning(request, limits)
        return request


Known = SameLines | SameStart


def learn(known: Known | None, request: Request, head: bytes | bytearray) -> Known | None:
    """Return what to look for in the next head of a client, whose `head` meant `request` and was not `known`.

    None if nothing. What is looked for only becomes less, so a client that repeats nothing is soon left alone.
    """
    lines = bytes(head[head.find(CRLF) :])
    if known is None:
        is_usual = len(lines) <= KNOWN_BYTES and request.target[0] == "/" and request.version == "HTTP/1.1"
        return SameLines(lines, request) if is_usual else None
    same = _common_start(known.lines, lines)
    if len(same) == len(lines):
        same = same[: same.rfind(CRLF)]  # one line at least is left to follow
    if isinstance(known, SameStart) and len(same) == len(known.lines):
        return None  # it was something else
    names = same.decode("latin-1").split("\r\n")[1:]
    if len(names) < KNOWN_LINES:
        return None
    fields = parse_fields(names)
    if len(fields) != len(names) or "HTTP_HOST" not in fields or not _FRAMING.isdisjoint(fields):
        return None
    return SameStart(same, Request("GET", "/", "/", "", "HTTP/1.1", fields))


def _common_start(ours: bytes, theirs: bytes) -> bytes:
    """Return the whole lines with which both begin, the line end before each included."""
    pairs = zip(ours.split(CRLF), theirs.split(CRLF), strict=False)
    return CRLF.join(line for line, other in takewhile(lambda pair: pair[0] == pair[1], pairs))
