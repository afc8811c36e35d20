"""Between the server and its request logs: makes the records, names the requests, hands the records over."""

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from waitressd.http.errors import ClientDisconnected, HttpError, Overdue, RequestTimeout
from waitressd.http.events import Request
from waitressd.peer import Origin
from waitressd.requestlog.context import RequestFilter, current
from waitressd.requestlog.hook import IsolatedHook
from waitressd.requestlog.ids import is_request_id, is_traceparent, make_ids
from waitressd.requestlog.record import RequestRecord

OWN_LOGGERS: Final = ("waitressd", "waitressd.queue", "waitressd.request_log")

Environ = dict[str, Any]
Identify = Callable[[Request, Origin], Environ | None]
Application = Callable[[Environ, Callable[..., Any]], Any]


class RequestLogs:
    """All request logs of one server, and what its listeners share."""

    def __init__(self, hooks: Sequence[IsolatedHook]) -> None:
        self.hooks: Final = tuple(hooks)
        self.takers: Final = tuple(hook for hook in hooks if hook.takes_records)
        self.connections: Final = itertools.count(1)
        self._filter = RequestFilter()
        self._is_open = False

    def start(self, server: Any) -> None:  # noqa: ANN401 - the server, which this layer does not know
        """Let every hook open what it needs. Raises OSError; then nothing stays open."""
        self._is_open = True
        try:
            for hook in self.hooks:
                hook.start(server)
        except BaseException:  # border: plugin, and the error goes on
            self.close()
            raise
        for name in OWN_LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    def lost_records(self) -> dict[str, int]:
        """Return how many records each log that takes any has not taken, by its name. Any thread."""
        return {hook.name: hook.lost_count for hook in self.takers}

    def reopen(self) -> None:
        """Let every hook let go of renamed files. Any thread; never raises."""
        for hook in self.hooks:
            hook.reopen()

    def close(self) -> None:
        """Close every hook, the second time nothing. Never raises."""
        if not self._is_open:
            return
        self._is_open = False
        for name in OWN_LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)
        for hook in self.hooks:
            hook.close()


class RequestLogger:
    """What the channels and tasks of one listener call. Any thread.

    `trusts` says whether the peer of that address may name the request; `identify` says who the client of a refused
    request is, by the environ that the application would have got.
    """

    def __init__(self, logs: RequestLogs, trusts: Callable[[str], bool], identify: Identify) -> None:
        self._hooks = logs.takers
        self._connections = logs.connections
        self._trusts = trusts
        self._identify = identify

    # -- for the channel

    def connect(self) -> int:
        """Return the number of a new connection."""
        return next(self._connections)

    open = RequestRecord
    """Make the record of a request: origin, number of the connection, number on the connection, head."""

    enter = staticmethod(current.set)
    """The code of the request with this record runs in this thread from here on; None when it has ended."""

    def finish(self, record: RequestRecord) -> None:
        """Hand a complete record to the logs. May block; never raises."""
        if not record.client:
            self._complete_refused(record)
        for hook in self._hooks:
            hook.take(record)

    def finish_soon(self, record: RequestRecord) -> None:
        """Have a complete record handed to each log by a thread that may wait for it. Never waits."""
        if not record.client:
            self._complete_refused(record)
        for hook in self._hooks:
            hook.take_soon(record)

    # -- for the task

    def watch(self, application: Application) -> Application:
        """Return the application with one thing before it: its environ gets the names of the request."""

        def watched(environ: Environ, start_response: Callable[..., Any]) -> Any:  # noqa: ANN401 - PEP 3333 says so
            record = current.get()
            if record is not None:
                record.environ = environ
                record.client = environ["REMOTE_ADDR"]
                if "HTTP_TRACEPARENT" in environ or "HTTP_X_REQUEST_ID" in environ:
                    self._adopt(record, environ)
                    request_id, traceparent = record.request_id, record.traceparent
                else:
                    record.request_id, record.traceparent = request_id, traceparent = make_ids()
                environ["waitressd.request_id"] = request_id
                environ["waitressd.traceparent"] = traceparent
            return application(environ, start_response)

        return watched

    def fail(self, error: BaseException) -> None:
        """Note what ended the answer of the current request."""
        record = current.get()
        if record is None or record.ended_at:  # a record that was handed over does not change any more
            return
        if isinstance(error, Overdue | RequestTimeout):  # what was answered in place of the task says it all
            return
        if isinstance(error, HttpError) and record.environ is None:
            record.refusal = error
            record.ended_by = "refused"
        elif isinstance(error, ClientDisconnected):
            record.ended_by = "client"
        else:
            record.exception = error
            record.ended_by = "error"

    def _adopt(self, record: RequestRecord, environ: Environ) -> None:
        """Name a request as others have named it, as far as they may."""
        request_id, traceparent = make_ids()
        if "HTTP_TRACEPARENT" in environ and is_traceparent(environ["HTTP_TRACEPARENT"]):
            traceparent = environ["HTTP_TRACEPARENT"]
        if "HTTP_X_REQUEST_ID" in environ:
            given = environ["HTTP_X_REQUEST_ID"]
            origin = record.origin
            if origin.is_peer_known and is_request_id(given) and self._trusts(origin.peer.address):
                request_id = given
            else:
                environ["HTTP_X_REQUEST_ID"] = request_id  # so the field joins the same lines as the log
        record.request_id, record.traceparent = request_id, traceparent

    def _complete_refused(self, record: RequestRecord) -> None:
        """Name a request that the application never saw."""
        environ = self._identify(record.request, record.origin) if record.request is not None else None
        if environ is None:
            environ = {"REMOTE_ADDR": record.origin.peer.address}
        record.client = environ["REMOTE_ADDR"]
        if not record.request_id:  # else a line of the log has named it
            self._adopt(record, environ)
