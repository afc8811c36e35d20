"""What can go wrong between a client, the application and us, as exceptions.

One class for each party that can be at fault: the client's message, the application's response, our own code, and the
network.
"""

from typing import Any, Final

REASONS: Final[dict[int, str]] = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non-Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi-Status",
    208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    511: "Network Authentication Required",
}
"""The reason phrases of the registered final statuses (RFC 9110, 15, and the registry it founds)."""


class HttpError(Exception):
    """A request that is answered with an error status, after which the connection closes.

    `detail` is one sentence for the client and the operator. It never contains what the client sent: a response that
    repeats its input can be used to attack others. `fields` go into the response (`Retry-After`, `Allow`).
    """

    request: Any = None
    """The Request, where one was read before it was refused. (Its module needs this one.)"""

    def __init__(self, status: int, detail: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {REASONS.get(status, 'Error')}: {detail}")
        self.status = status
        self.detail = detail
        self.fields = fields

    @property
    def reason(self) -> str:
        """The reason phrase that belongs to the status."""
        return REASONS.get(self.status, "Error")

    @property
    def content(self) -> str:
        """What the client reads."""
        return f"{self.status} {self.reason}\n\n{self.detail}\n"


class Answer(HttpError):  # noqa: N818 - what says where to go is no error
    """An answer of the server's own that is no error, such as a redirect; `detail` is all of its content.

    It is raised like one: the connection ends as well.
    """

    @property
    def content(self) -> str:
        """What the client reads."""
        return self.detail


class UnfinishedError(HttpError):
    """The client has left in the middle of a request body."""


class ResponseError(Exception):
    """The application's status or fields cannot be sent; the text names what and why. Nothing has left yet."""


class ProtocolMisuse(Exception):  # noqa: N818  # a fault of the calling code, not of a message
    """A move that is not in the transition table: a bug of ours, never caused by a peer or by the application."""


class ClientDisconnected(Exception):  # noqa: N818  # an event rather than an error: clients may leave
    """A write found that the client has left; whatever else the response holds need not be made."""


class Overdue(ClientDisconnected):
    """A write found that the request was over its time: its client was answered, or cut off, without the task."""


class RequestTimeout(BaseException):  # no `Exception`, so that few handlers swallow it
    """The request is over its time: raised in its thread, at any place, with `request_timeout_interrupt`."""
