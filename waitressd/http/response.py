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
_LENGTH_IS_OURS: Final = frozenset({204, 205})
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
    start: str
    """The status line, with its line end."""
    lines: str = ""
    """Field lines, each with its line end, names spelled as the application spells them."""
    content_length: int | None = None
    """What the application declares; its line is in `lines`."""
    has_date: bool = False
    has_server: bool = False
    asks_close: bool = False
    known: tuple[str, int, str, bytes] | None = None
    """Date, body length and Server line of the last response with this head on a kept connection, and its octets.

    None for a head that is not likely to come again.
    """


# Status -> code and status line, field -> field line, for what was found valid before. Only plain fields are
# remembered, and no cookies: a memo is no place for what belongs to one user.
_STATUSES: Final[dict[str, tuple[int, str]]] = {}
_LINES: Final[dict[tuple[str, str], str]] = {}
# The arguments of start_response -> the head they make, if every field of it is remembered. The requests of all threads
# share the heads in here, so a head does not change; `known` is replaced as a whole.
_HEADS: Final[dict[tuple[object, ...], ResponseHead]] = {}
_NEVER_SENT: Final = ("", -1, "", b"")
_HEAD_FIELDS: Final = 8  # more of them are no longer likely to come again just so
# Valid field name, as spelled -> what it means.
_NAMES: Final[dict[str, FieldPolicy]] = {}


def build_head(status: str, fields: Iterable[tuple[str, str]]) -> ResponseHead:
    """Build the head of a final response from the arguments of `start_response`.

    PEP 3333 asks for a list of tuples; any other iterable of pairs means the same and is taken as well, since servers
    have always done that. Raises ResponseError, naming the culprit, for anything that cannot be sent.
    """
    key = (status, *fields) if type(fields) is list and len(fields) <= _HEAD_FIELDS else None
    if key is not None:
        # Most responses of an application have one of a few heads, and finding one takes a third of the time of
        # checking it (two fields, measured). What is found was checked: a class derived from str cannot bring other
        # text in.
        try:
            head = _HEADS.get(key)
        except TypeError:  # not hashable, so something is wrong with it
            key = head = None
        if head is not None:
            return head
    return _build_new_head(status, fields, key)


def _build_new_head(status: str, fields: Iterable[tuple[str, str]], key: tuple[object, ...] | None) -> ResponseHead:
    if type(status) is not str or (known := _STATUSES.get(status)) is None:
        known = _learn_status(status)
    code, start = known
    head = ResponseHead(code, start)
    may_return = key is not None and type(status) is str and len(status) <= MEMO_TEXT_LENGTH
    lines = ""
    for field in fields if type(fields) is list else _iterate(fields):
        try:
            line = _LINES.get(field)
        except TypeError:  # not hashable: a pair in a list, or something that cannot be sent
            line = None
        if line is None:
            line = _add_field(field, head)
            may_return = may_return and _may_return(field)
        lines += line
    head.lines = lines
    if key is not None and may_return:
        if len(_HEADS) >= MEMO_ENTRIES:
            _HEADS.clear()
        head.known = _NEVER_SENT
        _HEADS[key] = head
    return head


def _iterate(fields: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Return what can be iterated. What an iterator of the application raises is the application's error."""
    try:
        return iter(fields)
    except TypeError:
        raise ResponseError(f"The response fields must be a list of pairs, not {type(fields).__name__}.") from None


def _may_return(field: tuple[str, str]) -> bool:
    """Whether a valid field may be part of a remembered head: it is remembered itself, or says the length."""
    name, value = field
    return type(name) is type(value) is str and (field in _LINES or name.lower() == "content-length")


def build_lines(fields: Iterable[tuple[str, str]]) -> str:
    """Field lines for an interim response (RFC 9110, 15.2): only fields that mean nothing to the server.

    Raises ResponseError like `build_head`.
    """
    lines = []
    for field in _iterate(fields):
        name, value = _check_field(field)
        if _POLICIES.get(name.lower()) is not None:
            raise ResponseError(f"The field {name!r} cannot be sent in an interim response.")
        lines.append(_encode_line(name, value))
    return "".join(lines)


def _learn_status(status: object) -> tuple[int, str]:
    """Code and status line of a status that is not in the memo yet."""
    if not isinstance(status, str):
        raise ResponseError(f"The response status must be str, not {type(status).__name__}.")
    status = str.__str__(status)
    valid = _STATUS(status)
    if valid is None:
        raise ResponseError(
            f"The response status {status!r} is not three digits from 200 to 599, a space, and a reason in latin-1."
        )
    known = int(valid[1]), f"HTTP/1.1 {status}\r\n"
    if len(status) <= MEMO_TEXT_LENGTH:
        if len(_STATUSES) >= MEMO_ENTRIES:
            _STATUSES.clear()
        _STATUSES[status] = known
    return known


def _check_field(field: object) -> tuple[str, str]:
    """Return name and value of a field as plain strings, if they can be sent."""
    if not isinstance(field, (tuple, list)) or len(field) != 2:
        raise ResponseError(f"A response field must be a pair of name and value, not {field!r:.80}.")
    name, value = field
    if type(name) is not str or type(value) is not str:
        if not isinstance(name, str) or not isinstance(value, str):
            raise ResponseError(f"Name and value of the response field {name!r:.80} must be str, not {value!r:.80}.")
        # Classes derived from str may encode themselves as they like; what is checked must be what is sent.
        name, value = str.__str__(name), str.__str__(value)
    if name not in _NAMES and not is_token(name):
        raise ResponseError(f"The response field name {name!r:.80} is not a token (RFC 9110, 5.1).")
    if not is_field_value(value):
        raise ResponseError(f"The value of the response field {name!r} has a control or a character beyond latin-1.")
    return name, value


def _add_field(field: object, head: ResponseHead) -> str:
    """Return the line of a field that is not in the memo, '' if none is to be sent; note its meaning in `head`."""
    if type(field) is tuple and len(field) == 2:
        # Nearly every response has a length, and it is rarely that of the last one: it is checked first.
        name, value = field
        if type(name) is str and type(value) is str and _NAMES.get(name) is _POLICY_LENGTH:
            return _add_length(name, value, head)
    name, value = _check_field(field)
    policy = _NAMES.get(name)
    if policy is None:
        policy = _learn_name(name)
    if policy is _POLICY_LENGTH:
        return _add_length(name, value, head)
    if policy is not _POLICY_PLAIN:
        return _add_special(policy, name, value, head)
    line = _encode_line(name, value)
    if len(value) <= MEMO_TEXT_LENGTH and name.lower() != "set-cookie":
        if len(_LINES) >= MEMO_ENTRIES:
            _LINES.clear()
        _LINES[name, value] = line
    return line


def _learn_name(name: str) -> FieldPolicy:
    """Return the policy of a valid name that is not in the memo yet."""
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
        return _encode_line(name, value) + "Connection: upgrade\r\n"
    if policy is FieldPolicy.REFUSED or policy is FieldPolicy.UPGRADE:
        raise ResponseError(f"The field {name!r} belongs to the connection; applications must not send it (PEP 3333).")
    if policy is FieldPolicy.DATE and not head.has_date:
        head.has_date = True
        return _encode_line(name, value)
    if policy is FieldPolicy.SERVER and not head.has_server:
        head.has_server = True
        return _encode_line(name, value)
    if policy is FieldPolicy.CONNECTION and "close" in split_list(value):
        head.asks_close = True
    return ""


def _add_length(name: str, value: str, head: ResponseHead) -> str:
    """Take the declared length (RFC 9110, 8.6); return its line, '' where the status forbids or fixes the length.

    With 304 a length is that of the response that 200 would have been. 0 is never meant so: frameworks set it because
    there is no content, and caches that take it over would cut what they have stored.
    """
    if not value.isdecimal():
        value = value.strip(WHITE_SPACE)
    if not value.isdecimal() or not value.isascii() or len(value) > LENGTH_DIGITS:
        raise ResponseError(f"The Content-Length {value!r:.80} of the response is not a number of bytes.")
    length = int(value)
    if head.content_length is not None:
        if head.content_length != length:
            raise ResponseError("The response has two different Content-Length fields.")
        return ""
    head.content_length = length
    if head.code in _LENGTH_IS_OURS or (head.code == _NOT_MODIFIED and not length):
        return ""
    return _encode_line(name, value)


def _encode_line(name: str, value: str) -> str:
    return f"{name}: {value}\r\n"
