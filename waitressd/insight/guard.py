"""Who may ask what at an admin address: a request and what its address lets through in, a verdict out.

The order of the checks is a promise, so that each wrong request is told the first thing that is wrong with it: method,
host, foreign page, token, endpoint, and for what changes something the header and the right. Pure: no socket, no clock.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote_plus

from waitressd.http.events import Request
from waitressd.insight.answers import BadQuestion, Endpoint, Query

CONTROL: Final = "/control"
CONTROL_FIELD: Final = "X-Waitressd-Control"
MOST_PARAMETERS: Final = 32
NOT_THIS_METHOD: Final = "This is asked with GET or HEAD."

_READS: Final = ("GET", "HEAD")
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:@/\\?#\s]+)(?::([0-9]{1,5})?)?")
_SAME_SITE: Final = ("same-origin", "none")
# A browser asks its user by itself where it is offered Basic; the token is the password then.
_CHALLENGES: Final = (
    ("WWW-Authenticate", 'Basic realm="waitressd admin", charset="UTF-8"'),
    ("WWW-Authenticate", 'Bearer realm="waitressd admin"'),
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The secrets that were given out: those of readers, and those of people who may change something."""

    read: tuple[str, ...] = field(default=(), repr=False)
    control: tuple[str, ...] = field(default=(), repr=False)

    @property
    def are_given(self) -> bool:
        """Whether there are any."""
        return bool(self.read or self.control)


@dataclass(frozen=True, slots=True)
class Door:
    """What one admin address lets through."""

    name: str
    """The address as people write it."""
    exposed: frozenset[str]
    """The groups of endpoints that it answers."""
    control: frozenset[str] = frozenset()
    """What may be changed there."""
    hosts: frozenset[str] = frozenset()
    """Names that it is asked by, besides IP addresses and localhost; in lower case."""
    is_unix: bool = False
    """Whether the system says who asks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and all that its verdict depends on."""

    request: Request
    door: Door
    tokens: Tokens
    is_owner: bool
    """Whether the system says that the account of the server or root asks; never known of a port."""


class Refused(Exception):  # noqa: N818 - a verdict
    """A request that is not answered: the status, one sentence, and the setting that decides about it ("" for none)."""

    def __init__(self, status: int, text: str, setting: str = "", fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.setting = setting
        self.fields = fields


class Endpoints(Protocol):
    """The endpoints of a server."""

    def find(self, path: str, door: Door) -> Endpoint | None:
        """Return what answers a path, if the door exposes it; None if there is no such path, or not here."""


def judge(asked: Asked, endpoints: Endpoints) -> tuple[Query, Endpoint]:
    """Let a request through, as a question and what answers it. Raises Refused, or BadQuestion for its parameters."""
    request, door = asked.request, asked.door
    _check_method(request)
    _check_host(request, door)
    _check_page(request)
    _check_token(asked)
    endpoint = endpoints.find(request.path, door)
    if endpoint is None:
        raise Refused(404, "There is no such endpoint here, or it is not exposed at this address.", "admin_expose")
    if request.method == "POST":
        _check_right(asked)
    method = "GET" if request.method == "HEAD" else request.method
    parameters = read_parameters(request.query)
    return Query(method, request.path, parameters, request.fields.get("HTTP_ACCEPT", "")), endpoint


def read_parameters(query: str) -> Mapping[str, str]:
    """Take a query apart. Raises BadQuestion."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        text = f"The query must be NAME=VALUE&NAME=VALUE, in UTF-8, with {MOST_PARAMETERS} parameters at most."
        raise BadQuestion(text) from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadQuestion("A parameter is given twice.")
    return parameters


def is_control(path: str) -> bool:
    """Whether a path changes something."""
    return path == CONTROL or path.startswith(CONTROL + "/")


def _check_method(request: Request) -> None:
    allowed = ("POST",) if is_control(request.path) else _READS
    if request.method not in allowed:
        text = "This is asked with POST." if allowed == ("POST",) else NOT_THIS_METHOD
        raise Refused(405, text, fields=(("Allow", ", ".join(allowed)),))


def _check_host(request: Request, door: Door) -> None:
    """Refuse names that are not the server's: a page of the web can have its own name lead here (DNS rebinding).

    What has no name passes. The name is compared as a whole, for what begins with 127. can be a name, too. No name and
    no browser leads to a Unix socket: it was opened by its path, and may be asked by any name.
    """
    if door.is_unix:
        return
    host = _host_of(request.fields.get("HTTP_HOST", ""))
    if host is None or not (host == "localhost" or host in door.hosts or _is_ip_address(host)):
        text = "The Host field must be an IP address, localhost, or a name in admin_hosts."
        raise Refused(403, text, "admin_hosts")


def _host_of(authority: str) -> str | None:
    match = _AUTHORITY.fullmatch(authority)
    return match[1].lower() if match else None


def _is_ip_address(host: str) -> bool:
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        else:
            IPv4Address(host)
    except ValueError:
        return False
    return True


def _check_page(request: Request) -> None:
    """Refuse what a page of another origin has made a browser ask (Fetch Metadata; RFC 6454 for the older way)."""
    fields = request.fields
    site, origin = fields.get("HTTP_SEC_FETCH_SITE"), fields.get("HTTP_ORIGIN")
    is_foreign = site is not None and site not in _SAME_SITE
    if origin is not None:
        host = fields.get("HTTP_HOST", "").lower()
        is_foreign = is_foreign or origin.lower() not in (f"http://{host}", f"https://{host}")
    if is_foreign:
        raise Refused(403, "Pages of other sites may not ask here.")


def _check_token(asked: Asked) -> None:
    request = asked.request
    names = {unquote_plus(part.partition("=")[0]).strip().lower() for part in request.query.split("&")}
    if "token" in names:
        text = "A token does not belong into an address, which logs keep: send Authorization: Bearer TOKEN."
        raise Refused(400, text, "admin_token_file")
    if not asked.tokens.are_given or asked.is_owner:
        return
    if not _is_one_of(_given_token(request), (*asked.tokens.read, *asked.tokens.control)):
        text = "A token is needed: Authorization: Bearer TOKEN, or Basic with the token as the password."
        raise Refused(401, text, "admin_token_file", _CHALLENGES)


def _given_token(request: Request) -> str:
    scheme, _, value = request.fields.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode("latin-1").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _is_one_of(given: str, tokens: tuple[str, ...]) -> bool:
    """Compare with all of them, each in a time that does not tell how much of it is right."""
    # With OpenSSL, for which nobody is to wait who asks without a token.
    import hmac  # noqa: PLC0415 - see above

    octets = given.encode("utf-8")
    return sum(hmac.compare_digest(octets, token.encode("utf-8")) for token in tokens) > 0


def _check_right(asked: Asked) -> None:
    request, door = asked.request, asked.door
    # A form of a foreign page cannot set it, and a script there would have to ask first, which is refused (405).
    if request.fields.get("HTTP_X_WAITRESSD_CONTROL") != "1":
        raise Refused(403, f"What changes something needs the field {CONTROL_FIELD}: 1.")
    if door.is_unix and not asked.is_owner:
        raise Refused(403, "At a Unix socket, only the account of the server and root may change something.")
    if not door.is_unix and not _is_one_of(_given_token(request), asked.tokens.control):
        raise Refused(403, "This token does not give the right to change something.", "admin_token_file")
    if request.path.removeprefix(CONTROL + "/") not in door.control:
        raise Refused(403, "admin_control does not list this.", "admin_control")
