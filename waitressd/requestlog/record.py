"""What is known of one request when it is over.

A record is filled in while the request is on its way and handed to every request log once, when the last byte is with
the kernel or the connection has ended. From then on it does not change; a plugin must not change it either.
"""

from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from waitressd.http.events import Request
from waitressd.http.proxyprotocol import ProxyHeader
from waitressd.peer import Origin, Tls
from waitressd.place import here

if TYPE_CHECKING:
    from waitressd.http.errors import HttpError
    from waitressd.http.response import ResponseHead

NEVER: Final = 0.0
"""A moment that did not come."""

_UNPREFIXED: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


class RequestRecord:
    """One request, from its first byte to its end. A hook must not change it.

    Moments end in `_at` and are monotonic seconds, 0.0 if the request did not come so far; `time` is the wall clock.
    Filled by the channel and the task that own the request, one after the other.
    """

    __slots__ = (
        "answered_at", "began_at", "body_bytes_received", "body_bytes_sent", "client", "complete_at",
        "connection", "ended_at", "ended_by", "environ", "exception", "head", "number", "origin", "refusal",
        "refused_line", "request", "request_id", "returned_at", "started_at", "time", "traceparent",
    )  # fmt: skip

    def __init__(self, origin: Origin, connection: int, number: int, request: Request | None) -> None:
        self.origin = origin
        """Where the request comes from: the peer, the listener, and what a balancer said."""
        self.connection = connection
        """The number of the connection, counted from 1 since the process began."""
        self.number = number
        """The number of the request on its connection, counted from 1."""
        self.request: Request | None = request
        self.head: ResponseHead | None = None
        self.refusal: HttpError | None = None
        """Why the server answered by itself; None if the application was called."""
        self.refused_line = b""
        """The first line of a request whose head was refused, as it came."""
        self.ended_by = ""
        """What kept the answer from being the application's, or from being complete.

        "" nothing did; "refused" the server answered by itself, `status` says why; "client" the client left; "deadline"
        the client was too slow, or no thread was free in time; "error" the application failed or its answer broke off;
        "stop" the server was stopped while the request was on its way.
        """
        self.exception: BaseException | None = None
        """What the application raised."""
        self.client = ""
        """The address of the client, as far as trusted proxies say; "localhost" for a Unix socket."""
        self.environ: dict[str, Any] | None = None
        """The environ; None if the application was not called. The application may have changed it."""
        self.request_id = ""
        """`X-Request-ID` of a trusted peer, else made here."""
        self.traceparent = ""
        """W3C trace context: as it came if it is valid, else made here."""
        self.body_bytes_received = 0
        self.body_bytes_sent = 0
        self.complete_at = self.started_at = self.answered_at = self.returned_at = self.ended_at = NEVER
        self.began_at = monotonic()
        self.time = time()
        """When the first byte came, in seconds since the epoch."""

    # -- when

    @property
    def receive_time(self) -> float | None:
        """Seconds from the first byte to the last one of the request."""
        return _between(self.began_at, self.complete_at)

    @property
    def queue_time(self) -> float | None:
        """Seconds that the complete request waited for a thread, also for one that it never got."""
        return _between(self.complete_at, self.started_at or self.ended_at)

    @property
    def application_time(self) -> float | None:
        """Seconds from calling the application to the end of its answer, waiting for a slow client included."""
        return _between(self.started_at, self.returned_at)

    @property
    def first_byte_time(self) -> float | None:
        """Seconds from the first byte of the request to the first one of the answer."""
        return _between(self.began_at, self.answered_at)

    @property
    def flush_time(self) -> float | None:
        """Seconds from the end of the application's work to the end of the request."""
        return _between(self.returned_at, self.ended_at)

    @property
    def duration(self) -> float:
        """Seconds from the first byte to the end of the request."""
        return (self.ended_at or monotonic()) - self.began_at

    # -- who

    @property
    def listener(self) -> str:
        """The address that accepted the connection: "127.0.0.1:8080" or "unix:/run/app.sock"."""
        return self.origin.listener

    @property
    def worker(self) -> int:
        """The place of the worker process that had the request, counted from 1; 0 outside of a fleet."""
        return here.number

    @property
    def pid(self) -> int:
        """The id of the process that had the request."""
        return here.pid

    @property
    def peer(self) -> str:
        """The other end of the connection: "127.0.0.1:5555", "[::1]:5555" or "unix:"."""
        return str(self.origin.peer)

    @property
    def proxied(self) -> ProxyHeader | None:
        """What a balancer said of the connection by the PROXY protocol."""
        return self.origin.proxied

    @property
    def tls(self) -> Tls | None:
        """How the connection is encrypted: version, cipher, name asked for, certificate; None for plain HTTP."""
        return self.origin.tls

    @property
    def user(self) -> str:
        """REMOTE_USER, if the application's authentication has set it, else ""."""
        return str(self.environ.get("REMOTE_USER") or "") if self.environ is not None else ""

    # -- what

    @property
    def request_line(self) -> str:
        """The request line; of a refused head what came in its place, one character for each byte."""
        if self.request is not None:
            return f"{self.request.method} {self.request.target} {self.request.version}"
        return self.refused_line.decode("latin-1")

    @property
    def method(self) -> str:
        """The method; "" if it is not known."""
        return self.request.method if self.request is not None else self._refused_part(0)

    @property
    def target(self) -> str:
        """The request target as it was sent; "" if it is not known."""
        return self.request.target if self.request is not None else self._refused_part(1)

    @property
    def version(self) -> str:
        """The protocol: "HTTP/1.1", "HTTP/1.0", or what a refused request said."""
        return self.request.version if self.request is not None else self._refused_part(2)

    @property
    def status(self) -> int:
        """The status of the answer; 0 if none was sent."""
        return self.head.code if self.head is not None else 0

    @property
    def detail(self) -> str:
        """The sentence with which the server refused the request."""
        return self.refusal.detail if self.refusal is not None else ""

    @property
    def trace_id(self) -> str:
        """The trace that the request belongs to: 32 hexadecimal digits."""
        return self.traceparent[3:35]

    def request_field(self, name: str) -> str | None:
        """Return a field of the request by its name in any case, None without it; repeated fields are joined."""
        if self.request is None:
            return None
        key = name.upper().replace("-", "_")
        return self.request.fields.get(key if key in _UNPREFIXED else f"HTTP_{key}")

    def response_field(self, name: str) -> str | None:
        """Return a field that the application set, by its name in any case, None without it; the first of several."""
        if self.head is None:
            return None
        wanted = name.lower()
        for line in self.head.lines.split("\r\n"):
            found, _, value = line.partition(":")
            if found.lower() == wanted:
                return value.strip()
        return None

    def _refused_part(self, index: int) -> str:
        parts = self.request_line.split(" ")
        return parts[index] if len(parts) == 3 and parts[2].startswith("HTTP/") else ""


def _between(start: float, end: float) -> float | None:
    return max(0.0, end - start) if start and end else None
