"""One request through the application: the border where everything the application raises is caught.

Knows PEP 3333 and what an operator wants to read about a failure. Each request runs in one thread from the call to
`close`; that thread always lives on. Each request also has a context of its own (`contextvars`), a copy of the one that
the thread has: what the application sets in it is seen by this request alone, to its last `close`.
"""

import logging
import traceback
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.wsgi.answer import Answer, AnswerState, Transport
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.environ import Environ, EnvironBuilder

__all__ = ["Application", "TaskSettings", "Transport", "WsgiHandler"]

log = logging.getLogger("waitressd")

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_FAILURE_FIELDS: Final = [("Content-Type", "text/plain; charset=utf-8")]
_FAILURE_TEXT: Final = "The server encountered an unexpected internal server error"


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What the operator decided about tasks.

    `signature` names the server at the end of an error answer. `log_disconnects` is waitress's `log_socket_errors`;
    an application's own OSError is always logged.
    """

    expose_tracebacks: bool = False
    log_disconnects: bool = True
    signature: str = "waitressd"


class WsgiHandler:
    """Runs requests through the application. Built once per listener; any number of threads may call it at once."""

    __slots__ = ("_application", "_environs", "_settings")

    def __init__(self, application: Application, environs: EnvironBuilder, settings: TaskSettings) -> None:
        self._application = application
        self._environs = environs
        self._settings = settings

    def __call__(self, request: Request, body: BinaryIO | None, transport: Transport) -> None:
        """Answer one request; never raises. `body` is closed afterwards.

        Where `transport.connection.response_done` is false on return, the answer broke off and the channel must
        abort the connection, so that the client sees it.
        """
        context = copy_context()
        context.run(self._answer, context, request, body, transport)

    def _answer(self, context: Context, request: Request, body: BinaryIO | None, transport: Transport) -> None:
        answer = Answer(request, transport)
        answer.context = context
        environ: Environ | None = None
        try:
            environ = self._environs.build(request, body, transport.origin, transport.is_gone)
            environ["wsgi.early_hints"] = answer.early_hints
            answer.respond(self._application(environ, answer.start_response))
        except BaseException as error:  # border: the application may raise anything, and this thread lives on
            answer.close_result()
            self._on_failure(answer, environ, transport, error)
        else:
            answer.close_result()
        if body is not None:
            _close_body(body)

    def _on_failure(self, answer: Answer, environ: Environ | None, transport: Transport, error: BaseException) -> None:
        """Say what happened once, and answer 500 if nothing has left; otherwise the answer stays broken off."""
        client = (environ and environ.get("REMOTE_ADDR")) or transport.origin.peer
        try:
            if isinstance(error, HttpError) and environ is None:
                # The environ was refused: proxies.py has logged whose field it was.
                transport.write(transport.connection.encode_error(error, http_date()))
            elif isinstance(error, ClientDisconnected) or answer.state is AnswerState.FAILED:
                self._on_disconnect(answer, client)
            else:
                log.error("Exception while serving %s for %s", answer.describe(), client, exc_info=error)
                if answer.state < AnswerState.SENT:
                    head = build_head("500 Internal Server Error", _FAILURE_FIELDS)
                    answer.send_failure(head, self._failure_body(error))
                else:
                    answer.break_off()
        except ClientDisconnected:
            self._on_disconnect(answer, client)
        except BaseException:  # border: whatever goes wrong while answering 500 ends this connection only
            log.exception("The failure of %s for %s could not be answered", answer.describe(), client)

    def _on_disconnect(self, answer: Answer, client: object) -> None:
        answer.fail()
        if self._settings.log_disconnects:
            log.info("The client %s left before the answer to %s was complete", client, answer.describe())

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
