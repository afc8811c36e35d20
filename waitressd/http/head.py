"""A request head as a value (RFC 9112, sections 2 to 5): the octets before the blank line in, a Request out.

Knows the whole syntax and all limits of a head; does not know how the octets arrived. The common case is a few
operations that each look at the whole block in C; everything else, above all errors, is in separate functions.
"""

import re
from typing import Final, NamedTuple

from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.framing import decide_framing
from waitressd.http.grammar import FIELD_OCTETS, WHITE_SPACE, decode_percent, is_host, is_token, split_list
from waitressd.http.limits import MEMO_ENTRIES, MEMO_TEXT_LENGTH, METHOD_BYTES, Limits

# Request lines that need no second look: a registered method, an origin-form target, HTTP/1.1.
common_line: Final = re.compile(
    r"(GET|POST|HEAD|PUT|DELETE|OPTIONS|PATCH) ((/[!-\"$->@-~]*+)\??([!-\"$-~]*+)) HTTP/1\.1"
).fullmatch
# VCHAR without "#": a fragment is never sent (RFC 9112, 3.2).
_TARGET_OCTETS: Final = re.compile(r"[!-\"$-~]++").fullmatch
_VERSION: Final = re.compile(r"HTTP/([0-9])\.([0-9])").fullmatch
_ABSOLUTE_FORM: Final = re.compile(r"(?i:https?)://([^/?]*+)([^?]*+)(?:\?(.*+))?").fullmatch

# Fields that are one value by definition; a second line is an attempt to be read in two ways (RFC 9110, 5.3).
_SINGLE: Final = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE"})

# Field name as received -> environ key. Only validated names get in, so a hit also proves that the name is a token.
KEYS: Final[dict[str, str]] = {}
# Host values that were found valid.
_HOSTS: Final[set[str | None]] = set()


class StartLine(NamedTuple):
    """A request line, taken apart."""

    method: str
    target: str
    path: str
    query: str
    version: str
    authority: str | None = None
    """The authority of an absolute-form target, else None."""


def parse_head(block: bytes | bytearray, limits: Limits) -> Request:
    """Parse the octets of a request head, without the blank line that ends it.

    Raises HttpError for the first rule that is found broken.
    """
    lines = block.decode("latin-1").split("\r\n")
    line = lines.pop(0)
    # After deleting all octets that a line may hold, only the line ends may be left. More than that is an octet which
    # is not allowed in a head: a bare CR or LF, NUL, another control (RFC 9112, 2.2; RFC 9110, 5.5).
    if len(block.translate(None, FIELD_OCTETS)) != 2 * len(lines):
        raise octet_refusal(block)
    authority = None
    common = common_line(line)
    if common is not None and len(line) <= limits.max_request_line_size:
        method, target, path, query = common.groups()
        if "%" in path:
            path = decode_path(path)
        version = "HTTP/1.1"
    else:
        method, target, path, query, version, authority = parse_start_line(line, limits)
    if len(lines) > limits.max_request_fields:
        raise HttpError(431, "The request has too many header fields.")
    fields = parse_fields(lines)
    host = fields.get("HTTP_HOST")
    if host not in _HOSTS:
        _check_host(host, version)
    if authority is not None:
        fields["HTTP_HOST"] = authority
    request = Request(method, target, path, query, version, fields)
    set_meaning(request, limits)
    return request


def octet_refusal(start: bytes | bytearray) -> HttpError:
    """The error for an octet that has no place in a head, which begins with `start`."""
    if start.startswith(b"\0"):  # one octet is enough: however the header arrives, the text is the same
        text = "The request head begins with NUL, as a PROXY header of version 2 does, and proxy_protocol is off here."
        return HttpError(400, text)
    return HttpError(400, "The request head has a control character, or a line that does not end with CR LF.")


# -- request line (RFC 9112, 3) --


def parse_start_line(line: str, limits: Limits) -> StartLine:
    """Parse a request line: `method SP request-target SP HTTP-version`, and nothing more lenient."""
    check_start_line(line, len(line), limits)
    words = line.split(" ")
    if len(words) != 3:
        if words[0] == "PROXY":
            raise HttpError(400, "The connection begins with a PROXY header, and proxy_protocol is off here.")
        raise HttpError(400, "A request line must be: method, one space, target, one space, version.")
    method, target, version = words
    digits = _VERSION(version)
    if digits is None:
        raise HttpError(400, "The HTTP version of the request line is malformed.")
    if digits[1] != "1":
        raise HttpError(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
    # A higher minor version is served as the highest one we know (RFC 9110, 2.5).
    version = "HTTP/1.0" if digits[2] == "0" else "HTTP/1.1"
    if not _TARGET_OCTETS(target):
        raise HttpError(400, "The request target has an octet that must be percent-encoded.")
    path, query, authority = _parse_target(method, target)
    return StartLine(method, target, path, query, version, authority)


def check_start_line(start: str, length: int, limits: Limits) -> None:
    """Refuse a request line, whole or not, for what its start (METHOD_BYTES + 1 octets or more) and length tell."""
    method, space, _ = start.partition(" ")
    if (method or space) and not is_token(method):
        raise HttpError(400, "The request method is not a token.")
    if len(method) > METHOD_BYTES:
        raise HttpError(501, "The request method is longer than any that this server knows.")
    if length > limits.max_request_line_size:
        raise HttpError(414, "The request line is longer than this server accepts.")


def _parse_target(method: str, target: str) -> tuple[str, str, str | None]:
    """Path, query and authority of a request target in one of its four forms (RFC 9112, 3.2)."""
    authority = None
    if method == "CONNECT":
        raise _connect_refusal(target)
    if target[0] == "/":
        path, _, query = target.partition("?")
    elif target == "*" and method == "OPTIONS":
        path, query = "*", ""
    else:
        path, query, authority = _parse_absolute_form(method, target)
    return decode_path(path) if "%" in path else path, query, authority


def decode_path(path: str) -> str:
    """The path as the application gets it.

    A query is never decoded here, so a lone percent sign in one is left to the application: browsers and curl send it.
    """
    try:
        return decode_percent(path)
    except ValueError:
        raise HttpError(
            400, "A percent sign in the path of the request target is not followed by two hexadecimal digits."
        ) from None


def _parse_absolute_form(method: str, target: str) -> tuple[str, str, str]:
    """Path, query and authority of `http://authority/path?query` (RFC 9112, 3.2.2)."""
    form = _ABSOLUTE_FORM(target)
    if form is None:
        raise HttpError(400, "The request target has none of the forms that its method allows.")
    authority, path, query = form.groups()
    # Neither user information nor an empty host may stand in an http URI (RFC 9110, 4.2.1 and 4.2.4).
    if not is_host(authority) or authority.startswith(":") or not authority:
        raise HttpError(400, "The authority of the request target is not a host and an optional port.")
    if not path and query is None and method == "OPTIONS":
        # What the last proxy on the way should have sent as "*" (RFC 9112, 3.2.4).
        path = "*"
    return path or "/", query or "", authority


def _connect_refusal(target: str) -> HttpError:
    """The error for CONNECT: never handed to the application, whose 2xx would promise a tunnel (RFC 9110, 9.3.6)."""
    host, _, port = target.rpartition(":")
    if not host or not is_host(target) or not port or len(port) > 5 or not 0 < int(port) < 65536:
        return HttpError(400, "The target of CONNECT must be a host and a port.")
    return HttpError(501, "This server is no proxy: CONNECT is not supported.")


# -- field lines (RFC 9112, 5) --


def parse_fields(lines: list[str]) -> dict[str, str]:
    """Turn field lines into environ keys and values; their octets are checked already."""
    fields: dict[str, str] = {}
    keys = KEYS
    try:
        for line in lines:
            name, value = line.split(":", 1)
            fields[keys[name]] = value.strip(" \t")
    except (KeyError, ValueError):
        return _parse_unusual_fields(lines)
    return fields if len(fields) == len(lines) else _parse_unusual_fields(lines)


def _parse_unusual_fields(lines: list[str]) -> dict[str, str]:
    """Turn field lines into environ keys and values where names are new, repeated or left out, or lines malformed."""
    fields: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise HttpError(400, _describe_bad_line(line))
        key = KEYS.get(name) or _learn_name(name)
        if key in fields:
            _repeat(key, value, fields, repeated)
        elif key:
            fields[key] = value.strip(WHITE_SPACE)
    for key, values in repeated.items():
        fields[key] = ("; " if key == "HTTP_COOKIE" else ", ").join(values)
    return fields


def _repeat(key: str, value: str, fields: dict[str, str], repeated: dict[str, list[str]]) -> None:
    """Note a further line of a field; they are joined once, at the end, so that many lines cost no more than one."""
    if key in _SINGLE:
        raise HttpError(400, "The request repeats a header field that may stand there only once.")
    repeated.setdefault(key, [fields[key]]).append(value.strip(WHITE_SPACE))


def _learn_name(name: str) -> str:
    """The environ key of a field name that is not in the memo yet, '' if the field is to be left out."""
    if not is_token(name):
        raise HttpError(400, _describe_bad_line(name))
    key = name.upper().replace("-", "_")
    # "A_B" and "A-B" would get the same key, so that a client could speak in a proxy's name; "Proxy" would become
    # HTTP_PROXY, which many libraries take for their configuration.
    if "_" in name or key == "PROXY":
        return ""
    if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        key = "HTTP_" + key
    if len(name) <= MEMO_TEXT_LENGTH:
        if len(KEYS) >= MEMO_ENTRIES:
            KEYS.clear()
        KEYS[name] = key
    return key


def _describe_bad_line(line: str) -> str:
    """What is wrong with a field line, or with the part before its colon."""
    if line.startswith((" ", "\t")):
        # RFC 9112, 5.2: obsolete line folding may be refused, preferably with a text that says so.
        return "A header field is folded over several lines, which is obsolete and not accepted."
    if is_token(line.rstrip(WHITE_SPACE)):
        return "A header field has no colon, or white space before it."
    return "The name of a header field is not a token."


def _check_host(host: str | None, version: str) -> None:
    """Refuse a missing or malformed Host (RFC 9112, 3.2), remember a good one."""
    if host is None:
        if version != "HTTP/1.0":
            raise HttpError(400, "An HTTP/1.1 request needs a Host field.")
        return
    if not is_host(host):
        raise HttpError(400, "The Host field is not a host and an optional port.")
    if len(host) <= MEMO_TEXT_LENGTH:
        if len(_HOSTS) >= MEMO_ENTRIES:
            _HOSTS.clear()
        _HOSTS.add(host)


# -- fields with a meaning for the connection --


def set_meaning(request: Request, limits: Limits) -> None:
    """Note what the fields say about the body and the connection. Raises HttpError."""
    fields = request.fields
    if "CONTENT_LENGTH" in fields or "HTTP_TRANSFER_ENCODING" in fields:
        _set_framing(request, limits)
    if "HTTP_CONNECTION" in fields or request.version == "HTTP/1.0":
        request.keep_alive = wants_keep_alive(fields.get("HTTP_CONNECTION", ""), request.version)
    if "HTTP_EXPECT" in fields:
        _set_expectation(request)


def _set_framing(request: Request, limits: Limits) -> None:
    """Decide how the body is framed (RFC 9112, 6.3) and take the framing out of the fields."""
    fields = request.fields
    length = decide_framing(
        request.version,
        fields.pop("HTTP_TRANSFER_ENCODING", None),
        fields.get("CONTENT_LENGTH"),
        limits.max_request_body_size,
    )
    request.content_length = length
    request.complete = length == 0
    if length is not None:
        fields["CONTENT_LENGTH"] = str(length)


def wants_keep_alive(connection: str, version: str) -> bool:
    """What the client says about the time after the response (RFC 9112, 9.3)."""
    if connection == "keep-alive":  # as most say it who say anything
        return True
    options = split_list(connection)
    if "close" in options:
        return False
    return version != "HTTP/1.0" or "keep-alive" in options


def _set_expectation(request: Request) -> None:
    """Read Expect (RFC 9110, 10.1.1), which HTTP/1.0 does not have."""
    if request.version == "HTTP/1.0":
        return
    expectations = set(split_list(request.fields["HTTP_EXPECT"]))
    if expectations - {"100-continue"}:
        raise HttpError(417, "The only expectation this server can meet is 100-continue.")
    request.expects_continue = bool(expectations) and not request.complete


def _fill_memo(names: str) -> None:
    """Know the usual field names from the start."""
    for name in names.split():
        _learn_name(name)
        _learn_name(name.lower())


_fill_memo("""
    Accept Accept-Charset Accept-Encoding Accept-Language Authorization Cache-Control Connection Content-Length
    Content-Type Cookie DNT Expect Forwarded Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since
    Keep-Alive Origin Pragma Priority Proxy Range Referer Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest
    Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC TE Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests
    User-Agent Via X-Forwarded-By X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Real-IP
    X-Request-ID X-Requested-With
""")
