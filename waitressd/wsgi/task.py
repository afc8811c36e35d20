"""One request through the application: the border where everything the application raises is caught.

Knows PEP 3333 and what an operator wants to read about a failure. Each request runs in one thread from the call to
`close`; that thread always lives on. The transport calls the handler in a context of its own (`contextvars`).
"""

import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

from waitressd import forks
from waitressd.http.errors import ClientDisconnected, HttpError, Overdue, RequestTimeout
from waitressd.http.events import Request
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.environ import Environ, EnvironBuilder
from waitressd.wsgi.response import Response, ResponseState, Transport

__all__ = ["Application", "TaskSettings", "Transport", "WsgiHandler"]

log = logging.getLogger("waitressd")

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_FAILURE_FIELDS: Final = [("Content-Type", "text/plain; charset=utf-8")]
_FAILURE_TEXT: Final = "The server encountered an unexpected internal server error"


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What the operator decided about tasks.

    `signature` names the server at the end of an error response. `log_disconnects` is waitress's `log_socket_errors`;
    an application's own OSError is always logged.
    """

    expose_tracebacks: bool = False
    log_disconnects: bool = True
    signature: str = "waitressd"


class TaskObserver(Protocol):
    """What wants to know about tasks, as a request log does. Called in the thread of the task; must not raise."""

    def watch(self, application: Application, /) -> Application:
        """Return the application with whatever the observer does before it."""

    def fail(self, error: BaseException, /) -> None:
        """Take note of what the application raised, or of a client that left."""


class WsgiHandler:
    """Runs requests through the application. Built once per listener; any number of threads may call it at once."""

    __slots__ = ("_application", "_environs", "_observer", "_settings")

    def __init__(
        self,
        application: Application,
        environs: EnvironBuilder,
        settings: TaskSettings,
        observer: TaskObserver | None = None,
    ) -> None:
        self._application = application if observer is None else observer.watch(application)
        self._environs = environs
        self._observer = observer
        self._settings = settings

    def __call__(self, request: Request, body: BinaryIO | None, transport: Transport) -> None:
        """Respond to one request; never raises. `body` is closed afterwards.

        If the encoder's response is not done on return, it broke off, and the connection must be aborted so that the
        client sees it.
        """
        response = Response(request, transport)
        environ: Environ | None = None
        try:
            environ = self._environs.build(request, body, transport.origin, transport)
            environ["wsgi.early_hints"] = response.early_hints
            transport.environ = environ
            response.respond(self._application(environ, response.start_response))
        except BaseException as error:  # border: the application may raise anything, and this thread lives on
            # A child that has returned finds its client gone, which is no failure of its own.
            forks.end_stray(None if isinstance(error, ClientDisconnected) else error)
            response.close_result()
            self._on_failure(response, environ, transport, error)
        else:
            if response.close is not None:
                response.close_result()
        if body is not None:
            _close_body(body)

    def _on_failure(
        self, response: Response, environ: Environ | None, transport: Transport, error: BaseException
    ) -> None:
        """Say what happened once, and answer 500 if nothing has left; otherwise the response stays broken off."""
        transport.fail(error)
        if self._observer is not None:
            self._observer.fail(error)
        client = (environ and environ.get("REMOTE_ADDR")) or transport.origin.peer
        try:
            if isinstance(error, HttpError) and environ is None:
                # The environ was refused: proxies.py has logged whose field it was.
                transport.write(transport.encoder.encode_error(error, http_date()))
            elif isinstance(error, RequestTimeout) and transport.is_gone():
                response.fail()  # the server has said where it was raised, and has told the client
            elif isinstance(error, ClientDisconnected) or response.state is ResponseState.FAILED:
                self._on_disconnect(response, client, error)
            else:
                log.error("Exception while serving %s for %s", response.describe(), client, exc_info=error)
                if response.state < ResponseState.SENT:
                    head = transport.encoder.build_head("500 Internal Server Error", _FAILURE_FIELDS)
                    response.send_failure(head, self._failure_body(error))
                else:
                    response.break_off()
        except ClientDisconnected as disconnect:
            self._on_disconnect(response, client, disconnect)
        except BaseException:  # border: whatever goes wrong while answering 500 ends this connection only
            log.exception("The failure of %s for %s could not be answered", response.describe(), client)

    def _on_disconnect(self, response: Response, client: object, error: BaseException) -> None:
        response.fail()
        if self._settings.log_disconnects and not isinstance(error, Overdue):  # of which the server has said more
            log.info("The client %s left before the response to %s was complete", client, response.describe())

    def _failure_body(self, error: BaseException) -> bytes:
        detail = _FAILURE_TEXT
        if self._settings.expose_tracebacks:
            detail = "".join(traceback.format_exception(error))
        text = f"Internal Server Error\r\n\r\n{detail}\r\n\r\n(generated by {self._settings.signature})\r\n"
        return text.encode("utf-8", "backslashreplace")


def _close_body(body: BinaryIO) -> None:
    try:
        body.close()
    except BufferError:  # the application keeps a view of it, and with that its memory
        pass
    except OSError:  # a temporary file that cannot write what the application put into it is gone all the same
        log.warning("A request body's temporary file could not be closed", exc_info=True)
