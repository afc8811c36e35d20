"""A second reading of RFC 9110 and 9112, as simple as possible: one octet after the other, no patterns, no speed.

It shares no code with the package. Where both read the same octets in the same way, a mistake would have to be made
twice. It knows whole messages only, and says no more than accepted, refused or unfinished.
"""

from dataclasses import dataclass, field
from typing import Final

DIGITS: Final = b"0123456789"
HEX: Final = b"0123456789abcdefABCDEF"
LETTERS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TCHARS: Final = b"!#$%&'*+-.^_`|~" + DIGITS + LETTERS
REG_NAME: Final = b"-._~!$&'()*+,;=" + DIGITS + LETTERS

HEAD_BYTES: Final = 65536
LINE_BYTES: Final = 8190
METHOD_BYTES: Final = 64
FIELDS: Final = 128
BODY_BYTES: Final = 1 << 30
EXTENSION_BYTES: Final = 16384
BLANK_LINES: Final = 4


class Refused(Exception):  # noqa: N818  # an outcome of reading, no mistake
    """The message breaks a rule."""


class Unfinished(Exception):  # noqa: N818  # an outcome of reading, no mistake
    """The message is not here in whole."""


@dataclass
class Message:
    """One request, in the words of this module."""

    method: bytes = b""
    target: bytes = b""
    path: bytes = b""
    query: bytes = b""
    old: bool = False
    fields: dict[bytes, bytes] = field(default_factory=dict)
    keep_alive: bool = True
    body: bytes = b""


def require(condition: bool) -> None:  # noqa: FBT001  # what is to hold
    """Refuse the message unless something holds."""
    if not condition:
        raise Refused


class Text:
    """Octets, and how far they have been read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """Read so many octets."""
        if len(self.data) - self.at < count:
            raise Unfinished
        self.at += count
        return self.data[self.at - count : self.at]

    def line(self, limit: int) -> bytes:
        """Read a line that ends with CR LF and has no CR, LF or control in it."""
        line = b""
        while True:
            octet = self.take(1)
            if octet == b"\r":
                require(self.take(1) == b"\n")
                return line
            require(octet == b"\t" or (octet >= b" " and octet != b"\x7f"))
            line += octet
            require(len(line) <= limit)


def read_messages(data: bytes) -> tuple[list[Message], bool]:
    """Return the messages in `data` up to the first that is refused or closes, and whether one is refused."""
    text = Text(data)
    messages: list[Message] = []
    while True:
        try:
            message = read_message(text)
        except Refused:
            return messages, True
        except Unfinished:
            return messages, False
        messages.append(message)
        if not message.keep_alive:
            return messages, False


def read_message(text: Text) -> Message:
    """Read one request with its body."""
    blank = 0
    while text.data[text.at : text.at + 2] == b"\r\n":
        text.at += 2
        blank += 1
        require(blank <= BLANK_LINES)
    start = text.at
    message = Message()
    read_request_line(text.line(HEAD_BYTES), message)
    lines = []
    while line := text.line(HEAD_BYTES):
        lines.append(line)
    require(text.at - start <= HEAD_BYTES)
    require(len(lines) <= FIELDS)
    connection, framing = read_fields(lines, message)
    options = [option.strip(b" \t").lower() for option in connection.split(b",")]
    message.keep_alive = b"close" not in options and (not message.old or b"keep-alive" in options)
    read_body(text, framing, message, HEAD_BYTES - (text.at - start))
    return message


def read_request_line(line: bytes, message: Message) -> None:
    """Read method, target and version."""
    require(len(line) <= LINE_BYTES)
    require(line.count(b" ") == 2)
    message.method, message.target, version = line.split(b" ")
    require(is_token(message.method) and len(message.method) <= METHOD_BYTES)
    require(len(version) == 8 and version[:7] == b"HTTP/1." and version[7] in DIGITS)
    message.old = version == b"HTTP/1.0"
    target = message.target
    require(target != b"" and all(0x20 < octet < 0x7F and octet != 0x23 for octet in target))
    require(message.method != b"CONNECT")
    if message.method == b"OPTIONS" and target == b"*":
        message.path = b"*"
        return
    if target[:1] != b"/":
        target = read_absolute(target, message)
    path, _, message.query = target.partition(b"?")
    message.path = decode(path)


def read_absolute(target: bytes, message: Message) -> bytes:
    """Read scheme and authority, return the rest as an origin-form target."""
    scheme, colon, rest = target.partition(b"://")
    require(colon != b"" and scheme.lower() in (b"http", b"https"))
    end = 0
    while end < len(rest) and rest[end] not in b"/?":
        end += 1
    authority, rest = rest[:end], rest[end:]
    require(authority != b"" and authority[:1] != b":" and is_host(authority))
    message.fields[b"absolute"] = authority
    if rest == b"" and message.method == b"OPTIONS":
        return b"*"
    return rest if rest[:1] == b"/" else b"/" + rest


def decode(text: bytes) -> bytes:
    """Replace percent escapes."""
    decoded, at = b"", 0
    while at < len(text):
        if text[at : at + 1] == b"%":
            require(len(text) >= at + 3 and text[at + 1] in HEX and text[at + 2] in HEX)
            decoded += bytes([int(text[at + 1 : at + 3], 16)])
            at += 3
        else:
            decoded += text[at : at + 1]
            at += 1
    return decoded


def read_fields(lines: list[bytes], message: Message) -> tuple[bytes, tuple[str, int]]:
    """Read field lines; return the value of Connection, and the framing."""
    authority = message.fields.pop(b"absolute", None)
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        require(colon == b":" and is_token(name))
        if b"_" not in name and name.lower() != b"proxy":
            found.setdefault(name.lower(), []).append(value.strip(b" \t"))
    for name in (b"host", b"content-length", b"content-type"):
        require(len(found.get(name, [])) <= 1)
    require(message.old or b"host" in found)
    require(is_host(found.get(b"host", [b""])[0]))
    if authority is not None:
        found[b"host"] = [authority]
    framing = choose_framing(found, message)
    found.pop(b"transfer-encoding", None)
    if b"content-length" in found:
        found[b"content-length"] = [b"%d" % framing[1]]
    check_expectation(found, message)
    message.fields = {name: (b"; " if name == b"cookie" else b", ").join(values) for name, values in found.items()}
    return message.fields.get(b"connection", b""), framing


def check_expectation(found: dict[bytes, list[bytes]], message: Message) -> None:
    """Refuse what is expected and is not 100-continue."""
    words = [word.strip(b" \t").lower() for word in b",".join(found.get(b"expect", [])).split(b",")]
    require(message.old or {word for word in words if word} <= {b"100-continue"})


def choose_framing(found: dict[bytes, list[bytes]], message: Message) -> tuple[str, int]:
    """Say how the body is framed."""
    if b"transfer-encoding" in found:
        require(not message.old and b"content-length" not in found)
        require(b", ".join(found[b"transfer-encoding"]).lower() == b"chunked")
        return "chunked", 0
    if b"content-length" not in found:
        return "none", 0
    digits = found[b"content-length"][0]
    require(0 < len(digits) <= 18 and all(octet in DIGITS for octet in digits))
    require(int(digits) <= BODY_BYTES)
    return "length", int(digits)


def read_body(text: Text, framing: tuple[str, int], message: Message, room: int) -> None:
    """Read a body; `room` is what is left for the trailer section."""
    if framing[0] == "length":
        message.body = text.take(framing[1])
    if framing[0] != "chunked":
        return
    extensions = 0
    while True:
        line = text.line(16 + EXTENSION_BYTES)
        digits = 0
        while digits < len(line) and line[digits] in HEX:
            digits += 1
        require(1 <= digits <= 16)
        extensions += len(line) - digits
        require(extensions <= EXTENSION_BYTES)
        check_extensions(line[digits:])
        size = int(line[:digits], 16)
        if not size:
            break
        require(len(message.body) + size <= BODY_BYTES)
        message.body += text.take(size)
        require(text.take(1) == b"\r")
        require(text.take(1) == b"\n")
    lines = 0
    while line := text.line(HEAD_BYTES):
        name, colon, _ = line.partition(b":")
        require(colon == b":" and is_token(name))
        lines += 1
        room -= len(line) + 2
    require(lines <= FIELDS and room >= 2)


def check_extensions(text: bytes) -> None:
    """Refuse what is not a list of chunk extensions."""
    at = 0

    def skip(octets: bytes) -> int:
        nonlocal at
        start = at
        while at < len(text) and text[at] in octets:
            at += 1
        return at - start

    while at < len(text):
        skip(b" \t")
        require(text[at : at + 1] == b";")
        at += 1
        skip(b" \t")
        require(skip(TCHARS) > 0)
        before = at
        skip(b" \t")
        if text[at : at + 1] != b"=":
            at = before
            continue
        at += 1
        skip(b" \t")
        if text[at : at + 1] == b'"':
            at = end_of_quoted(text, at + 1)
        else:
            require(skip(TCHARS) > 0)


def end_of_quoted(text: bytes, at: int) -> int:
    """Return where a quoted string ends whose opening quote is before `at`."""
    while True:
        require(at < len(text))
        if text[at : at + 1] == b'"':
            return at + 1
        at += 2 if text[at : at + 1] == b"\\" else 1


def is_token(text: bytes) -> bool:
    """Whether this is a token."""
    return text != b"" and all(octet in TCHARS for octet in text)


def is_host(text: bytes) -> bool:
    """Whether this is a host and an optional port."""
    if text[:1] == b"[":
        address, bracket, port = text[1:].partition(b"]")
        return bracket == b"]" and is_port(port) and (is_future(address) or is_ipv6(address))
    name, colon, port = text.partition(b":")
    if not is_port(colon + port):
        return False
    try:
        decode(name)
    except Refused:
        return False
    return all(octet in REG_NAME or octet == 0x25 for octet in name)


def is_port(text: bytes) -> bool:
    """Whether this is nothing, or a colon and digits."""
    return text == b"" or (text[:1] == b":" and all(octet in DIGITS for octet in text[1:]))


def is_future(text: bytes) -> bool:
    """Whether this is an IPvFuture."""
    version, dot, rest = text[1:].partition(b".")
    return (
        text[:1] in (b"v", b"V")
        and dot == b"."
        and version != b""
        and all(octet in HEX for octet in version)
        and rest != b""
        and all(octet in REG_NAME + b":" for octet in rest)
    )


def is_ipv6(text: bytes) -> bool:
    """Whether this is an IPv6 address, by counting groups."""
    if text.count(b"::") > 1 or b":::" in text:
        return False
    head, gap, tail = text.partition(b"::")
    last = tail if gap else head
    groups = [group for part in (head, tail) if part for group in part.split(b":")]
    count = len(groups)
    if groups and last and is_ipv4(groups[-1]):
        groups.pop()
        count += 1
    if not all(1 <= len(group) <= 4 and all(octet in HEX for octet in group) for group in groups):
        return False
    return count <= 7 if gap else count == 8


def is_ipv4(text: bytes) -> bool:
    """Whether this is four numbers up to 255, without leading zeros."""
    numbers = text.split(b".")
    return len(numbers) == 4 and all(number in [b"%d" % value for value in range(256)] for number in numbers)
