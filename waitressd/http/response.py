"""The head of a response, built from what an application says (RFC 9110, section 5; RFC 9112, section 4; PEP 3333).

Knows which statuses and fields may be sent and which are the server's own business; does not know the request and does
not decide the framing. An application's text reaches the wire only in a `ResponseHead`, and only `build_head` makes
one: so every `ResponseHead` holds validated text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from waitressd.http.errors import ResponseError
from waitressd.http.grammar import WHITE_SPACE, is_field_value, is_token, split_list
from waitressd.http.limits import LENGTH_DIGITS, MEMO_ENTRIES, MEMO_TEXT_LENGTH

# 3DIGIT SP reason, the SP also when the reason is empty (RFC 9112, 4). 1xx is never an application's final status, and
# above 599 there is no valid one: a client would take it for a server's error (RFC 9110, 15).
_STATUS: Final = re.compile(r"([2-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*+").fullmatch

# Statuses whose response ends with its head, whatever the application yields (RFC 9110, 6.4.1). Of these only 205 says
# so with Content-Length: 0 (RFC 9110, 15.3.6).
NO_CONTENT: Final = frozenset({204, 205, 304})
_UPGRADE_REQUIRED: Final = 426
_NOT_MODIFIED: Final = 304


class FieldPolicy(Enum):
    """What a field of the application means to the server."""

    PLAIN = "plain"  # nothing: goes out as it is
    LENGTH = "length"  # Content-Length
    DATE = "date"  # ours is left out
    SERVER = "server"  # ours is left out
    CONNECTION = "connection"  # `close` is honoured; options are ours to send
    UPGRADE = "upgrade"  # goes out with 426, which must name the protocols it wants (RFC 9110, 15.5.22)
    DROPPED = "dropped"  # says of the connection or of trailers what only the server can know
    REFUSED = "refused"  # would change the framing or the protocol (PEP 3333, "hop-by-hop")


# Looked up once: a member of an Enum's class is found by Python code in CPython 3.11.
_POLICY_PLAIN: Final = FieldPolicy.PLAIN
_POLICY_LENGTH: Final = FieldPolicy.LENGTH
_POLICIES: Final = {
    "content-length": FieldPolicy.LENGTH,
    "date": FieldPolicy.DATE,
    "server": FieldPolicy.SERVER,
    "connection": FieldPolicy.CONNECTION,
    "keep-alive": FieldPolicy.DROPPED,
    "proxy-connection": FieldPolicy.DROPPED,
    "transfer-encoding": FieldPolicy.REFUSED,
    "te": FieldPolicy.REFUSED,
    "trailer": FieldPolicy.DROPPED,
    "trailers": FieldPolicy.REFUSED,
    "upgrade": FieldPolicy.UPGRADE,
    "proxy-authenticate": FieldPolicy.REFUSED,
    "proxy-authorization": FieldPolicy.REFUSED,
}


@dataclass(slots=True, eq=False)
class ResponseHead:
    """A validated status and validated fields, encoded except for what the connection adds."""

    code: int
    is_usual: bool
    """Whether its status allows content, and the server adds its date and its name."""
    octets: bytes = b""
    """Status line and field lines, each with its line end, names spelled as the application spells them."""
    content_length: int | None = None
    """What the application declares; its line is in `octets`."""
    has_date: bool = False
    has_server: bool = False
    asks_close: bool = False

    @property
    def start(self) -> str:
        """The status line, with its line end."""
        return self._split()[0]

    @property
    def lines(self) -> str:
        """The field lines, each with its line end."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        start, end, lines = self.octets.decode("latin-1").partition("\r\n")
        return start + end, lines


# Status -> code, whether it allows content, and status line; and field name as spelled -> what it means, for what was
# found valid before: an application has few of either.
_STATUSES: Final[dict[str, tuple[int, bool, str]]] = {}
_NAMES: Final[dict[str, FieldPolicy]] = {}


def build_head(status: str, fields: Iterable[tuple[str, str]]) -> ResponseHead:
    """Build the head of a final response from the arguments of `start_response`.

    PEP 3333 asks for a list of tuples; any other iterable of pairs means the same and is taken as well, since servers
    have always done that. Raises ResponseError, naming the culprit, for anything that cannot be sent.
    """
    known = _STATUSES.get(status) if type(status) is str else None
    code, has_content, start = known or _learn_status(status)
    head = ResponseHead(code, has_content)
    lines = [start]
    for field in fields if type(fields) is list else _iterate(fields):
        # Nearly every field is a pair of plain texts, and what is printable has no control: seen here, without a call,
        # in half of the time. Whatever is not like that is looked at more closely; what is printable and beyond
        # latin-1 cannot be encoded.
        if type(field) is tuple and len(field) == 2:
            name, value = field
            if type(name) is not str or type(value) is not str or not value.isprintable():
                name, value = _check_field(field)
        else:
            name, value = _check_field(field)
        policy = _NAMES.get(name) or _learn_name(name)
        if policy is _POLICY_PLAIN:
            lines.append(f"{name}: {value}\r\n")
        elif policy is _POLICY_LENGTH:
            lines.append(_add_length(name, value, head))
        else:
            _check_value(name, value)
            lines.append(_add_special(policy, name, value, head))
    text = "".join(lines)
    try:
        head.octets = text.encode("latin-1")
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\r\n")[2]
        raise _value_refusal(line.partition(":")[0]) from None
    return head


def _iterate(fields: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Return what can be iterated. What an iterator of the application raises is the application's error."""
    try:
        return iter(fields)
    except TypeError:
        raise ResponseError(f"The response fields must be a list of pairs, not {type(fields).__name__}.") from None


def build_lines(fields: Iterable[tuple[str, str]]) -> str:
    """Field lines for an interim response (RFC 9110, 15.2): only fields that mean nothing to the server.

    Raises ResponseError like `build_head`.
    """
    lines = []
    for field in _iterate(fields):
        name, value = _check_field(field)
        if _learn_name(name) is not _POLICY_PLAIN:
            raise ResponseError(f"The field {name!r} cannot be sent in an interim response.")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def _learn_status(status: object) -> tuple[int, bool, str]:
    """What the memo has of a status, for one that is not in it yet."""
    if not isinstance(status, str):
        raise ResponseError(f"The response status must be str, not {type(status).__name__}.")
    status = str.__str__(status)
    valid = _STATUS(status)
    if valid is None:
        raise ResponseError(
            f"The response status {status!r} is not three digits from 200 to 599, a space, and a reason in latin-1."
        )
    code = int(valid[1])
    known = code, code not in NO_CONTENT, f"HTTP/1.1 {status}\r\n"
    if len(status) <= MEMO_TEXT_LENGTH:
        if len(_STATUSES) >= MEMO_ENTRIES:
            _STATUSES.clear()
        _STATUSES[status] = known
    return known


def _check_field(field: object) -> tuple[str, str]:
    """Return name and value of a field as plain strings, if the value can be sent."""
    if not isinstance(field, (tuple, list)) or len(field) != 2:
        raise ResponseError(f"A response field must be a pair of name and value, not {field!r:.80}.")
    name, value = field
    if type(name) is not str or type(value) is not str:
        if not isinstance(name, str) or not isinstance(value, str):
            raise ResponseError(f"Name and value of the response field {name!r:.80} must be str, not {value!r:.80}.")
        # Classes derived from str may encode themselves as they like; what is checked must be what is sent.
        name, value = str.__str__(name), str.__str__(value)
    _check_value(name, value)
    return name, value


def _check_value(name: str, value: str) -> None:
    if not is_field_value(value):
        raise _value_refusal(name)


def _value_refusal(name: str) -> ResponseError:
    return ResponseError(f"The value of the response field {name!r} has a control or a character beyond latin-1.")


def _learn_name(name: str) -> FieldPolicy:
    """Return the policy of a name that is not in the memo yet, if it can be sent."""
    if not is_token(name):
        raise ResponseError(f"The response field name {name!r:.80} is not a token (RFC 9110, 5.1).")
    policy = _POLICIES.get(name.lower(), _POLICY_PLAIN)
    if len(name) <= MEMO_TEXT_LENGTH:
        if len(_NAMES) >= MEMO_ENTRIES:
            _NAMES.clear()
        _NAMES[name] = policy
    return policy


def _add_special(policy: FieldPolicy, name: str, value: str, head: ResponseHead) -> str:
    """Return the line of a field that means something to the server, '' if it is not to be sent."""
    if policy is FieldPolicy.UPGRADE and head.code == _UPGRADE_REQUIRED:
        # A sender of Upgrade must name it in Connection too (RFC 9110, 7.8); that field may have several lines.
        return f"{name}: {value}\r\nConnection: upgrade\r\n"
    if policy is FieldPolicy.REFUSED or policy is FieldPolicy.UPGRADE:
        raise ResponseError(f"The field {name!r} belongs to the connection; applications must not send it (PEP 3333).")
    if policy is FieldPolicy.DATE and not head.has_date:
        head.has_date, head.is_usual = True, False
        return f"{name}: {value}\r\n"
    if policy is FieldPolicy.SERVER and not head.has_server:
        head.has_server, head.is_usual = True, False
        return f"{name}: {value}\r\n"
    if policy is FieldPolicy.CONNECTION and "close" in split_list(value):
        head.asks_close, head.is_usual = True, False
    return ""


def _add_length(name: str, value: str, head: ResponseHead) -> str:
    """Take the declared length (RFC 9110, 8.6); return its line, '' where the status forbids or fixes the length.

    With 304 a length is that of the response that 200 would have been. 0 is never meant so: frameworks set it because
    there is no content, and caches that take it over would cut what they have stored.
    """
    if not value.isdigit():
        value = value.strip(WHITE_SPACE)
    if not (value.isdigit() and value.isascii()) or len(value) > LENGTH_DIGITS:
        raise ResponseError(f"The Content-Length {value!r:.80} of the response is not a number of bytes.")
    length = int(value)
    if head.content_length is not None:
        if head.content_length != length:
            raise ResponseError("The response has two different Content-Length fields.")
        return ""
    head.content_length = length
    if head.code in NO_CONTENT and (not length or head.code != _NOT_MODIFIED):
        return ""
    return f"{name}: {value}\r\n"
