"""What a client that speaks plain HTTP says to a port that speaks TLS: enough to tell it where to go.

This is no parser of requests: what was sent in clear is not served, and may have been read by others already.
"""

import re
from typing import Final

from waitressd.http.grammar import is_host

# The method and what follows, as far as it is here. Methods of others than upper case letters are not in use.
_REQUEST_LINE: Final = re.compile(rb"[A-Z]{1,32}+(?: [\x21-\x7e\x80-\xff]*+(?: [ -~]*+)?+)?+(?:\r?\n|\Z)").match
_HOST: Final = re.compile(rb"\n[Hh][Oo][Ss][Tt]:[ \t]*+([A-Za-z0-9.:\[\]_-]++)[ \t]*+\r?\n").search
_PORT: Final = re.compile(r":[0-9]*+\Z")
HTTPS_PORT: Final = 443


def asks_in_clear(data: bytes) -> bool:
    """Whether the first octets of a connection are those of a request, be it without its end."""
    return _REQUEST_LINE(data) is not None


def https_address(data: bytes, default_host: str, port: int | None) -> str:
    """Return the https URL of the host that the head of a request names, else of `default_host`; "" without either.

    The path is left out, and whatever of a host is not made of the letters of names.
    """
    found = _HOST(data)
    host = found[1].decode("ascii") if found is not None else ""
    if not host or not is_host(host):
        host = default_host
    host = _PORT.sub("", host)
    if not host:
        return ""
    return f"https://{host}/" if port in (None, HTTPS_PORT) else f"https://{host}:{port}/"
