"""The answer to a client that keeps its body back until it hears whether it is wanted (RFC 9110, 10.1.1).

A refusal that is known as a whole goes out instead of 100 Continue, and the upload is spared. For any other answer
the body is asked for before its head leaves: 100 cannot be said behind it, and the application may still want to read.
"""

from collections.abc import Callable
from typing import Protocol

from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Request
from waitressd.http.response import ResponseHead
from waitressd.wsgi.answer import Answer, AnswerState, ExcInfo, Transport


class KeptBackBody(Protocol):
    """A request body that its client has not sent yet. The task's thread."""

    @property
    def is_lost(self) -> bool:
        """Whether it will never come: the connection is somebody else's by now."""

    def ask(self) -> None:
        """Have the client send it, and wait until it is here. Raises ClientDisconnected: it will never come."""


class AskingAnswer(Answer):
    """An answer that asks for the body in time, and says nothing any more once it is lost. Threads as in Answer."""

    __slots__ = ("_body",)

    def __init__(self, request: Request, transport: Transport, body: KeptBackBody) -> None:
        super().__init__(request, transport)
        self._body = body

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """As in Answer. An application that says that it succeeded has the body in any case."""
        if status[:1] == "2":
            self._body.ask()
        return super().start_response(status, headers, exc_info)

    def early_hints(self, hints: list[tuple[str, str]]) -> None:
        """As in Answer."""
        self._check()
        super().early_hints(hints)

    def send_whole(self, head: ResponseHead, body: bytes) -> None:
        """As in Answer."""
        self._check()
        super().send_whole(head, body)

    def _send(self, data: bytes, body_length: int | None = None) -> None:
        if self.state is AnswerState.STARTED:
            self._body.ask()
        super()._send(data, body_length)

    def _check(self) -> None:
        if self._body.is_lost:
            raise ClientDisconnected("the client did not send the body that it announced")
