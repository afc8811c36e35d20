"""The environ of a request (PEP 3333, "environ Variables"; RFC 3875 for the CGI ones).

Knows what a listener is called and what a request says. `proxies.py` decides who the client behind a trusted proxy is,
once, before the application sees anything.
"""

import io
import os
import sys
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

from waitressd.http.events import Request
from waitressd.peer import Origin
from waitressd.wsgi.filewrapper import FileWrapper
from waitressd.wsgi.proxies import DEFAULT_PORTS, TrustedProxies, has_proxy_keys
from waitressd.wsgi.proxyheader import apply_proxy_header
from waitressd.wsgi.tlskeys import add_tls

Environ = dict[str, Any]

# Filled by every request. Their places in the template save the copy from growing, which costs more than the copy.
_PER_REQUEST: Final = (
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "REQUEST_METHOD",
    "REQUEST_URI",
    "SERVER_PROTOCOL",
    "PATH_INFO",
    "QUERY_STRING",
    "wsgi.input",
    "wsgi.early_hints",
    "waitressd.client_disconnected",
    "waitress.client_disconnected",
    "waitressd.set_request_timeout",
)


class Caller(Protocol):
    """What an application may ask of the server about its request."""

    def is_gone(self) -> bool:
        """Tell whether the client has left."""

    def set_request_timeout(self, seconds: float, /) -> None:
        """Give the request a time limit of its own, counted from its start; 0 for none."""


class DiscardingStream(io.TextIOBase):
    """The `wsgi.errors` of a process without standard error, as under pythonw: takes every text. Any thread."""

    def writable(self) -> bool:
        """Return True: it is there to be written to."""
        return True

    def write(self, text: str, /) -> int:
        """Drop the text."""
        return len(text)


_NOWHERE: Final = DiscardingStream()


@dataclass(frozen=True, slots=True)
class EnvironSettings:
    """What one listener and the operator say about every request that comes through it.

    `server_port` is None for a Unix socket: the environ then names the scheme's port, for CGI knows no other.
    `is_multiprocess` says whether other processes may run the application at the same time (PEP 3333).
    `url_prefix` is '' or begins with '/' and does not end with one. `software` is the value of SERVER_SOFTWARE.
    """

    server_name: str = "waitressd.invalid"
    server_port: int | None = None
    url_scheme: str = "http"
    is_secure: bool = False  # the listener speaks TLS itself
    url_prefix: str = ""
    software: str = ""
    is_multiprocess: bool = False
    proxies: TrustedProxies = field(default_factory=TrustedProxies)


class EnvironBuilder:
    """Builds environs for the requests of one listener. Immutable after construction; any thread may call `build`."""

    __slots__ = ("_prefix", "_prefix_slash", "_proxies", "_template")

    def __init__(self, settings: EnvironSettings) -> None:
        self._prefix = settings.url_prefix
        self._prefix_slash = settings.url_prefix + "/"
        self._proxies = settings.proxies
        self._template: Environ = dict.fromkeys(_PER_REQUEST, "") | {
            "SERVER_NAME": settings.server_name,
            "SERVER_PORT": _port_text(settings),
            "SERVER_SOFTWARE": settings.software or "waitressd",
            "SCRIPT_NAME": settings.url_prefix,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if settings.is_secure else settings.url_scheme,
            "wsgi.multithread": True,
            "wsgi.multiprocess": settings.is_multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.errors": None,
        }
        if settings.is_secure:
            self._template["HTTPS"] = "on"

    def build(self, request: Request, body: BinaryIO | None, origin: Origin, caller: Caller) -> Environ:
        """Return the environ of one request, a dictionary of its own.

        The caller adds what only it knows: `wsgi.early_hints`.

        Raises HttpError: a trusted proxy sent fields that cannot be understood.
        """
        # What a connection has said before begins each environ with the same keys, which saves half of the time of
        # building it (measured).
        known = request.known
        unjudged: dict[str, str] | None = request.fields
        basis = known.basis if known is not None else None
        if basis is None:
            environ = self._begin(request, origin, caller)
            if known is not None and not has_proxy_keys(known.fields):
                known.basis = self._begin(known, origin, caller)
        else:
            environ = basis.copy()
            unjudged = request.added
            if unjudged:
                environ.update(unjudged)
        environ["REQUEST_METHOD"] = request.method
        environ["REQUEST_URI"] = request.target
        environ["PATH_INFO"] = request.path
        environ["QUERY_STRING"] = request.query
        errors = sys.stderr  # looked up each time: applications and tests replace it
        environ["wsgi.errors"] = errors if errors is not None else _NOWHERE
        if body is None:
            environ["wsgi.input"] = io.BytesIO()
        else:
            environ["wsgi.input"] = body
            if "CONTENT_LENGTH" not in environ:
                environ["CONTENT_LENGTH"] = _length_text(body)
        if origin.proxied is not None:
            apply_proxy_header(environ, origin.proxied)
        if self._prefix:
            self._strip_prefix(environ)
        if unjudged and has_proxy_keys(unjudged):
            if origin.is_peer_known:
                self._proxies.rewrite(environ)
            else:
                self._proxies.distrust(environ)
        return environ

    def _begin(self, request: Request, origin: Origin, caller: Caller) -> Environ:
        """Return what an environ has of its connection and of the request's fields."""
        environ, peer = self._template.copy(), origin.peer
        # First, so that no field can replace what follows; their names are HTTP_*, CONTENT_TYPE and CONTENT_LENGTH.
        environ.update(request.fields)
        environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = peer.address
        if peer.port is None:
            del environ["REMOTE_PORT"]  # a Unix socket has none, so there is no key either
        else:
            environ["REMOTE_PORT"] = str(peer.port)
        environ["SERVER_PROTOCOL"] = request.version
        environ["waitressd.client_disconnected"] = environ["waitress.client_disconnected"] = caller.is_gone
        environ["waitressd.set_request_timeout"] = caller.set_request_timeout
        if origin.tls is not None:
            add_tls(environ, origin.tls)
        return environ

    def _strip_prefix(self, environ: Environ) -> None:
        # A path outside the prefix is kept whole, with SCRIPT_NAME the prefix all the same: a proxy that cuts the
        # prefix off passes on such paths.
        path = environ["PATH_INFO"]
        if path == self._prefix:
            environ["PATH_INFO"] = ""
        elif path.startswith(self._prefix_slash):
            environ["PATH_INFO"] = path[len(self._prefix) :]


def _port_text(settings: EnvironSettings) -> str:
    if settings.server_port is None:
        return DEFAULT_PORTS.get("https" if settings.is_secure else settings.url_scheme, "80")
    return str(settings.server_port)


def _length_text(body: BinaryIO) -> str:
    """Return the length of a body that came chunked; frameworks that know only CONTENT_LENGTH read it then."""
    length_bytes = body.seek(0, os.SEEK_END)
    body.seek(0)
    return str(length_bytes)
