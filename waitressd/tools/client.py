"""Asks the admin address of a server: one question on a connection of its own, with one deadline for all of it."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final
from urllib.parse import quote, urlencode

from waitressd.config.addresses import TcpAddress, UnixAddress
from waitressd.tools.documents import Document, NotADocumentError
from waitressd.tools.failures import NoAnswerError
from waitressd.tools.response import BadResponseError, Response, ResponseReader
from waitressd.tools.target import Target
from waitressd.tools.texts import harmless

TIMEOUT_SECONDS: Final = 2.0
_RECEIVE_BYTES: Final = 65536
_NOT_HERE: Final = (errno.ECONNREFUSED, errno.ENOENT, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    """Whether it is a POST, with the token for control."""
    extra_seconds: float = 0.0
    """How long the server takes before it answers at all."""
    expected: tuple[int, ...] = (200,)
    """The statuses that are answers; every other is a reason why there is none."""

    def encode(self, target: Target) -> bytes:
        """Write the request."""
        url = quote(self.path) + (f"?{urlencode(self.parameters, errors='surrogateescape')}" if self.parameters else "")
        address = target.address
        # Whoever opens a Unix socket knows whom it asks; the field has to be there, and localhost is always right.
        host = "localhost" if isinstance(address, UnixAddress) else str(address)
        tokens = target.tokens
        token = tokens.control or tokens.read if self.changes else tokens.read or tokens.control
        lines = [f"{'POST' if self.changes else 'GET'} {url} HTTP/1.1", f"Host: {host}", "Connection: close"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if self.changes:
            lines += ["X-Waitressd-Control: 1", "Content-Length: 0"]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1", "replace")


class Client:
    """Asks one server. Several threads may ask at the same time."""

    def __init__(self, target: Target, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.target = target
        self.timeout_seconds = timeout_seconds

    def ask(self, question: Question) -> Response:
        """Ask, and return an answer with an expected status. Raises NoAnswerError."""
        deadline = _Deadline(self.timeout_seconds + question.extra_seconds)
        try:
            response = self._exchange(question, deadline)
        except TimeoutError:
            raise NoAnswerError(
                f"{self.target}: no answer within {deadline.seconds:g} s (--timeout)", may_pass=True
            ) from None
        except OSError as error:
            raise self._unreached(error) from None
        except BadResponseError as error:
            text = f"{self.target}: {error}; is this its admin_listen?"
            raise NoAnswerError(text, may_pass="closed" in str(error)) from None
        if response.status not in question.expected:
            raise self._refused(response)
        return response

    def ask_document(self, question: Question) -> tuple[Response, Document]:
        """Ask for JSON. Raises NoAnswerError, also where the answer is something else."""
        response = self.ask(question)
        try:
            return response, Document.parse(response.body)
        except NotADocumentError:
            text = f"{self.target}: the answer (status {response.status}) is no JSON; is this its admin_listen?"
            raise NoAnswerError(text) from None

    def _exchange(self, question: Question, deadline: "_Deadline") -> Response:
        with self._connect(deadline) as connection:
            connection.settimeout(deadline.left())
            connection.sendall(question.encode(self.target))
            reader = ResponseReader()
            while True:
                connection.settimeout(deadline.left())
                response = reader.feed(connection.recv(_RECEIVE_BYTES))
                if response:
                    return response

    @contextlib.contextmanager
    def _connect(self, deadline: "_Deadline") -> Iterator[socket.socket]:
        trouble: OSError = OSError(errno.ENOENT, "there is no such address")
        for family, address in self._addresses(deadline):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(deadline.left())
                connection.connect(address)
            except OSError as error:
                connection.close()
                trouble = error
                continue
            with connection:
                yield connection
            return
        raise trouble

    def _addresses(self, deadline: "_Deadline") -> list[tuple[int, Any]]:
        address = self.target.address
        if isinstance(address, UnixAddress):
            if not hasattr(socket, "AF_UNIX"):
                raise OSError(errno.EAFNOSUPPORT, "Python knows no Unix sockets on this system")
            return [(socket.AF_UNIX, address.path)]
        return [(found[0], found[4]) for found in _resolve(address, deadline)]

    def _unreached(self, error: OSError) -> NoAnswerError:
        """Say why there is no connection, and what to do."""
        reason = error.strerror or str(error)
        if isinstance(error, socket.gaierror):
            return NoAnswerError(f"{self.target}: the name cannot be resolved: {reason}", may_pass=True)
        if error.errno in (errno.EACCES, errno.EPERM):
            text = f"{self.target}: {reason}; ask as the user of the server, or see admin_socket_mode"
            return NoAnswerError(text)
        if error.errno in _NOT_HERE:
            if error.errno == errno.ENOENT:
                reason = "there is no such socket"
            hint = "is the server running, with this admin_listen?"
            return NoAnswerError(f"{self.target}: {reason[0].lower()}{reason[1:]}; {hint}", may_pass=True)
        return NoAnswerError(f"{self.target}: {reason}", may_pass=True)

    def _refused(self, response: Response) -> NoAnswerError:
        """Say why the server gives no answer, in its own words if it has any, and what to do."""
        try:
            document = Document.parse(response.body)
        except NotADocumentError:
            document = Document({})
        said = harmless(document.text("error")).removesuffix(".") or f"status {response.status}"
        setting = harmless(document.text("setting"))
        hint = self._hint(response.status, setting)
        hint = "" if hint == f"; see {setting}" and setting in said else hint
        may_pass = response.status >= 500
        return NoAnswerError(f"{self.target}: {said}{hint}", may_pass=may_pass)

    def _hint(self, status: int, setting: str) -> str:
        tokens = self.target.tokens
        if status == 401:
            if tokens.trouble:
                return f"; {tokens.trouble}"
            if tokens.read or tokens.control:
                return "; the token is not (or no longer) one of the server's admin_token_file"
            return "; name the file with the token: --token-file FILE, or the server's ini file"
        if status == 403 and setting == "admin_hosts" and isinstance(self.target.address, TcpAddress):
            return f"; add {self.target.address.host} to admin_hosts, or ask its IP address"
        if setting:
            return f"; see {setting}"
        return "; is this its admin_listen, and is it in admin_expose?" if status == 404 else ""


class _Deadline:
    """When all of an answer has to be here."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _resolve(address: TcpAddress, deadline: _Deadline) -> list[Any]:
    """Look a host up; a name in a thread of its own, since a resolver knows no deadline. Raises OSError."""
    with contextlib.suppress(ValueError):
        ip_address(address.host.partition("%")[0])
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not found:
        raise TimeoutError
    if isinstance(found[0], list):
        return found[0]
    if isinstance(found[0], OSError):
        raise found[0]
    raise OSError(errno.EINVAL, f"{address.host} is not a host name")
