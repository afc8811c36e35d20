"""What has come before on the same connection, and is not parsed again.

Many clients ask for the same again and again, such as health checks, those that poll and those that measure; many send
the same field lines with each request: then only the request line is parsed (a quarter of the time for a browser's
head, measured). Others change the last of them, such as cookies and entity tags: then those before are
known. What a client does not repeat is not looked for any more, for looking costs time, too.
"""

from dataclasses import replace
from itertools import takewhile
from typing import Final

from waitressd.http.events import Request
from waitressd.http.grammar import CRLF, FIELD_OCTETS, HEAD_END, WHITE_SPACE
from waitressd.http.head import KEYS, common_line, decode_path, parse_fields, set_meaning, wants_keep_alive
from waitressd.http.limits import Limits

# Field lines up to this size are compared with those of the client's next request.
KNOWN_BYTES: Final = 2048
# So many lines must be the same, or comparing them costs more than it saves.
KNOWN_LINES: Final = 2
# What frames a body, or asks for an answer to its head, is read anew each time.
_FRAMING: Final = frozenset({"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"})
# What `set_meaning` looks at in a request of HTTP/1.1.
_MEANING: Final = _FRAMING | {"HTTP_CONNECTION"}


class SameRequest:
    """A whole request without a body, which has HTTP/1.1 and a path, octet by octet."""

    __slots__ = ("_again", "_data", "end", "request")

    def __init__(self, head: bytes | bytearray, request: Request) -> None:
        self._data = bytes(head) + HEAD_END
        self._again: Request | None = None
        self.request = request
        self.end = len(self._data)
        """Where the last head that was parsed ended in the buffer, blank line included; as in the other classes."""

    @property
    def lines(self) -> bytes:
        """All its field lines, with the line end before them."""
        return self._data[self._data.find(CRLF) : -len(HEAD_END)]

    def parse(self, buffer: bytes | bytearray, position: int, _limits: Limits) -> Request | None:
        """Return what the buffer means if it is the same and nothing else, always one object; None if it is not."""
        if buffer != self._data or position:
            return None
        if self._again is None:
            self._again = replace(self.request, known=self.request)
        return self._again


class SameLines:
    """All field lines of a request, with the line end before them; and the request, which has HTTP/1.1 and a path."""

    __slots__ = ("_all", "end", "lines", "request")

    def __init__(self, lines: bytes, request: Request) -> None:
        self.lines = lines
        self.request = request
        self.end = 0
        self._all = lines + HEAD_END

    def parse(self, buffer: bytes | bytearray, position: int, limits: Limits) -> Request | None:
        """Parse a head with the same field lines; None if they are not, or the request line is unusual.

        Both requests share one `fields`, which must not be changed. Raises HttpError for a broken escape in the path.
        """
        known = self.request
        line_end = buffer.find(CRLF, position)
        if not buffer.startswith(self._all, line_end):
            return None
        self.end = end = line_end + len(self._all)
        if line_end - position > limits.max_request_line_size or end - position > limits.max_request_header_size:
            return None
        common = common_line(buffer[position:line_end].decode("latin-1"))
        if common is None:
            return None
        method, target, path, query = common.groups()
        if "%" in path:
            path = decode_path(path)
        return Request(
            method, target, path, query, "HTTP/1.1", known.fields,
            known.content_length, known.keep_alive, known.expects_continue, known.complete, known,
        )  # fmt: skip


class SameStart:
    """The first field lines of a client's requests, with the line end before them; and a request that has only them."""

    __slots__ = ("_start", "end", "lines", "request")

    def __init__(self, lines: bytes, request: Request) -> None:
        self.lines = lines
        self.request = request
        self.end = 0
        self._start = lines + CRLF

    def parse(self, buffer: bytes | bytearray, position: int, limits: Limits) -> Request | None:
        """Parse a head whose field lines begin like that; None if they do not, or anything of it is unusual.

        Raises HttpError: a rule is broken. Not all rules are looked at where the result is None.
        """
        start = self._start
        line_end = buffer.find(CRLF, position)
        if not buffer.startswith(start, line_end):
            return None
        rest_start = line_end + len(start)
        rest_end = buffer.find(HEAD_END, rest_start)
        if rest_end < 0 or line_end - position > limits.max_request_line_size:
            return None
        self.end = end = rest_end + len(HEAD_END)
        common = common_line(buffer[position:line_end].decode("latin-1"))
        added = self._parse_rest(buffer[rest_start:rest_end], limits)
        if common is None or added is None or end - position > limits.max_request_header_size:
            return None
        known = self.request
        fields = known.fields | added
        if len(fields) != len(known.fields) + len(added):
            return None
        method, target, path, query = common.groups()
        if "%" in path:
            path = decode_path(path)
        request = Request(
            method, target, path, query, "HTTP/1.1", fields, None, known.keep_alive, False, True, known, added
        )
        if not _MEANING.isdisjoint(added):
            # Which takes fields out and normalizes others; of the known ones only Connection, which it leaves alone.
            set_meaning(request, limits)
            request.added = {key: fields[key] for key in added if key in fields}
        return request

    def _parse_rest(self, block: bytes | bytearray, limits: Limits) -> dict[str, str] | None:
        """The fields of the lines that follow the known ones; None if there is anything unusual about them."""
        # As in parse_head: one look at all octets finds those that no line may have.
        lines = block.decode("latin-1").split("\r\n")
        count, keys = len(lines), KEYS
        if (
            len(block.translate(None, FIELD_OCTETS)) != 2 * count - 2
            or len(self.request.fields) + count > limits.max_request_fields
        ):
            return None
        added: dict[str, str] = {}
        try:
            for line in lines:
                name, value = line.split(":", 1)
                added[keys[name]] = value.strip(WHITE_SPACE)
        except (KeyError, ValueError):
            return None
        return added if len(added) == count else None


Known = SameRequest | SameLines | SameStart


def learn(known: Known | None, request: Request, head: bytes | bytearray) -> Known | None:
    """Return what to look for in the next head of a client, whose `head` meant `request` and was not `known`.

    None if nothing. What is looked for only becomes less, so a client that repeats nothing is soon left alone.
    """
    if known is None:
        return _learn_first(request, head)
    lines = bytes(head[head.find(CRLF) :])
    if type(known) is SameRequest and lines == known.lines:
        return same_lines(request, lines)
    same = _common_start(known.lines, lines)
    if len(same) == len(lines):
        same = same[: same.rfind(CRLF)]  # one line at least is left to follow
    if type(known) is SameStart and len(same) == len(known.lines):
        return None  # it was something else
    names = same.decode("latin-1").split("\r\n")[1:]
    if len(names) < KNOWN_LINES:
        return None
    fields = parse_fields(names)
    if len(fields) != len(names) or "HTTP_HOST" not in fields or not _FRAMING.isdisjoint(fields):
        return None
    start = Request("GET", "/", "/", "", "HTTP/1.1", fields)
    start.keep_alive = wants_keep_alive(fields.get("HTTP_CONNECTION", ""), "HTTP/1.1")
    return SameStart(same, start)


def _learn_first(request: Request, head: bytes | bytearray) -> Known | None:
    """What to look for after the first request of a connection."""
    if request.complete and len(head) <= KNOWN_BYTES and _is_usual(request):
        return SameRequest(head, request)
    return same_lines(request, bytes(head[head.find(CRLF) :]))


def same_lines(request: Request, lines: bytes) -> SameLines | None:
    """Return how to parse heads with the field lines of a request; None if these are many, or it is an unusual one."""
    return SameLines(lines, request) if len(lines) <= KNOWN_BYTES and _is_usual(request) else None


def _is_usual(request: Request) -> bool:
    return request.target[0] == "/" and request.version == "HTTP/1.1"


def _common_start(ours: bytes, theirs: bytes) -> bytes:
    """Return the whole lines with which both begin, the line end before each included."""
    pairs = zip(ours.split(CRLF), theirs.split(CRLF), strict=False)
    return CRLF.join(line for line, other in takewhile(lambda pair: pair[0] == pair[1], pairs))
