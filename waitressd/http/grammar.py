"""The terminals of RFC 9110 and RFC 9112: which octets a token, a value, a target or a host may have.

Patterns use possessive quantifiers and no nested alternatives over the same octets, so each of them looks at every
octet once, whatever a peer sends. Text is latin-1: one character for each octet.
"""

import re
from codecs import unicode_escape_decode
from typing import Final

CRLF: Final = b"\r\n"
HEAD_END: Final = CRLF + CRLF  # of its last line, and the blank line behind it
WHITE_SPACE: Final = " \t"

_TCHAR: Final = r"!#$%&'*+\-.^_`|~0-9A-Za-z"

# token = 1*tchar (RFC 9110, 5.6.2)
is_token: Final = re.compile(rf"[{_TCHAR}]++").fullmatch
# field-value = *field-content, with obs-text and without the white space rules (RFC 9110, 5.5)
is_field_value: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*+").fullmatch
# Digits in ASCII only; str.isdigit() also knows superscripts and digits of other scripts.
is_digits: Final = re.compile(r"[0-9]++").fullmatch

# The octets that a head may have between its line ends: HTAB, SP, VCHAR, obs-text (RFC 9110, 5.5).
FIELD_OCTETS: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])

# *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] ) (RFC 9112, 7.1.1; RFC 9110, 5.6.4)
_QDTEXT: Final = r"\t \x21\x23-\x5b\x5d-\x7e\x80-\xff"
is_chunk_extension: Final = re.compile(
    rf"""(?x:
        (?: [\t\ ]*+ ; [\t\ ]*+ [{_TCHAR}]++
            (?: [\t\ ]*+ = [\t\ ]*+
                (?: [{_TCHAR}]++ | " (?: [{_QDTEXT}] | \\[\t\x20-\x7e\x80-\xff] )*+ " )
            )?+
        )*+
    )""".encode()
).fullmatch

# reg-name (which covers IPv4address) of at most one port (RFC 3986, 3.2.2; RFC 9110, 7.2)
_REG_NAME: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+(?::[0-9]*+)?+").fullmatch
_IP_LITERAL: Final = re.compile(r"\[([^\]]*+)\](?::[0-9]*+)?+").fullmatch
_IP_FUTURE: Final = re.compile(r"[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++").fullmatch
_IPV6_GROUP: Final = re.compile(r"[0-9A-Fa-f]{1,4}").fullmatch
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.|\Z)){4}(?<!\.)").fullmatch


def is_host(value: str) -> bool:
    """Whether `value` is `uri-host [ ":" port ]` (RFC 9110, 7.2). The empty value is one."""
    if _REG_NAME(value):
        return True
    literal = _IP_LITERAL(value)
    if literal is None:
        return False
    address: str = literal[1]
    return is_ipv6(address) or _IP_FUTURE(address) is not None


def is_ipv6(address: str) -> bool:
    """Whether `address` is an IPv6address (RFC 3986, 3.2.2); zone identifiers are not part of that grammar."""
    head, gap, tail = address.partition("::")
    groups = _group_count(head, last=not gap) + _group_count(tail, last=True)
    # "::" replaces at least one group; a second "::" leaves an empty group, which counts as too many.
    return groups <= 7 if gap else groups == 8


def _group_count(part: str, *, last: bool) -> int:
    """How many 16-bit groups `part` holds, more than an address can have if it is malformed."""
    if not part:
        return 0
    groups = part.split(":")
    count = len(groups)
    if last and _IPV4(groups[-1]):
        groups.pop()
        count += 1
    return count if all(map(_IPV6_GROUP, groups)) else 9


def decode_percent(text: str) -> str:
    """Replace each `%XX` in latin-1 text by the character with that code (RFC 3986, 2.1).

    Raises ValueError if a percent sign is not followed by two hexadecimal digits.
    """
    # Python's own escape of one octet is the same but for its first character, and its decoder is in C.
    escaped = text.replace("\\", "\\\\").replace("%", "\\x")
    # It takes text as well, but as UTF-8, which is the same for ASCII alone.
    return unicode_escape_decode(escaped if escaped.isascii() else escaped.encode("latin-1"))[0]


def split_list(value: str) -> list[str]:
    """The members of a comma-separated field value, lower case, empty ones left out (RFC 9110, 5.6.1)."""
    members = [member.strip(WHITE_SPACE).lower() for member in value.split(",")]
    return [member for member in members if member]
