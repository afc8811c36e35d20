"""How much one client may make us hold or look at.

Knows numbers only. The numbers that an operator may set are fields of `Limits`; the ones that no operator has a
reason to change are constants here. Every one of them is inclusive: a message of exactly that size is served.
"""

from dataclasses import dataclass
from typing import Final

# A method longer than this is answered 501 (RFC 9112, 3); the longest registered one has 17 octets.
METHOD_BYTES: Final = 64
# Empty lines before a request line that are read over (RFC 9112, 2.2 asks for at least one).
BLANK_LINES: Final = 4
# Digits of a Content-Length. 18 digits always fit into 64 bits, wherever the number goes from here.
LENGTH_DIGITS: Final = 18
# Hexadecimal digits of a chunk size, leading zeros included.
CHUNK_SIZE_DIGITS: Final = 16
# Entries of a memo filled from what peers or the application say, and the longest text it takes in.
MEMO_ENTRIES: Final = 1024
MEMO_TEXT_LENGTH: Final = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits an operator can set, under the names of the settings."""

    max_request_header_size: int = 65536
    """Request line, field lines and the blank line; the trailer section of a chunked body counts against it too."""

    max_request_line_size: int = 8190
    """The request line without its line end (RFC 9112, 3 recommends that at least 8000 octets be accepted)."""

    max_request_fields: int = 128
    """Field lines of one head; those of a trailer section are counted on their own."""

    max_request_body_size: int = 1 << 30
    """Decoded octets of one request body."""

    chunk_extension_bytes: int = 16384
    """Chunk extensions of one request body, all chunks together (RFC 9112, 7.1.1)."""
