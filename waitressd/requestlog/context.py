"""Which request a line of the log belongs to: for the server's own loggers, and for the application's.

The record of the current request is in a context variable while its task runs and while its logs are called. It is
there when at least one request log is configured.
"""

import logging
from contextvars import ContextVar
from typing import Final

from waitressd.place import here
from waitressd.requestlog.escaping import escape
from waitressd.requestlog.ids import make_ids
from waitressd.requestlog.record import RequestRecord

current: Final[ContextVar[RequestRecord | None]] = ContextVar("waitressd_request", default=None)

NOTHING: Final = "-"
SHOWN_TARGET_CHARACTERS: Final = 200


def current_request() -> RequestRecord | None:
    """Return the record of the request that this code works for; it is not complete yet. None outside of a request."""
    return current.get()


class RequestFilter(logging.Filter):
    """Adds `request_id`, `client` and `request` to every record of a logger or handler, "-" outside of a request.

    Also `worker`, the place of the worker process (0 outside of a fleet), and `pid`.

    For ``logging.config.dictConfig`` and for code. It lets every record pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; what a caller gave with `extra` stays."""
        add_request(record)
        return True


class RequestFormatter(logging.Formatter):
    """A formatter whose format may say `%(request_id)s`, `%(client)s`, `%(request)s`, `%(worker)d` and `%(pid)d`.

    For ``logging.config.fileConfig``, which knows no filters: ``class = waitressd.requestlog.RequestFormatter`` in a
    ``[formatter_NAME]`` section.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format with the attributes of the request."""
        add_request(record)
        return super().format(record)


def add_request(record: logging.LogRecord) -> None:
    """Add what is known of the current request and of this process to a log record. Any thread."""
    request = current.get()
    values = record.__dict__
    values.setdefault("worker", here.number)
    values.setdefault("pid", here.pid)
    if request is None:
        for name in ("request_id", "client", "request"):
            values.setdefault(name, NOTHING)
        return
    if not request.request_id:  # refused before it was named; its lines are joined all the same
        request.request_id, request.traceparent = make_ids()
    values.setdefault("request_id", request.request_id)
    values.setdefault("client", request.client or request.origin.peer.address)
    target = request.target
    if len(target) > SHOWN_TARGET_CHARACTERS:
        target = target[:SHOWN_TARGET_CHARACTERS] + "..."
    # What was refused may hold anything.
    values.setdefault("request", escape(f"{request.method} {target}".strip()) or NOTHING)
