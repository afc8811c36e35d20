"""A handler that is watched: it tells an observer about each environ and each failure.

Used only where somebody listens; without a request log the plain classes serve.
"""

from collections.abc import Callable
from typing import BinaryIO, Protocol

from waitressd.http.events import Request
from waitressd.http.proxyprotocol import ProxyHeader
from waitressd.wsgi.answer import Answer, Transport
from waitressd.wsgi.environ import Environ, EnvironBuilder, EnvironSettings
from waitressd.wsgi.task import Application, TaskSettings, WsgiHandler


class TaskObserver(Protocol):
    """Whoever wants to know about tasks. Called in the thread of the task; must not raise."""

    def annotate(self, environ: Environ, /) -> None:
        """Take note of a new environ, and add to it what else the application shall know."""

    def fail(self, error: BaseException, /) -> None:
        """Take note of what the application raised, or of a client that left."""


class ObservedEnvironBuilder(EnvironBuilder):
    """Builds environs and shows each to an observer before the application sees it."""

    __slots__ = ("_annotate",)

    def __init__(self, settings: EnvironSettings, observer: TaskObserver) -> None:
        super().__init__(settings)
        self._annotate = observer.annotate

    def build(
        self,
        request: Request,
        body: BinaryIO | None,
        peer: str,
        is_gone: Callable[[], bool],
        proxied: ProxyHeader | None = None,
    ) -> Environ:
        """See EnvironBuilder."""
        environ = super().build(request, body, peer, is_gone, proxied)
        self._annotate(environ)
        return environ


class ObservedHandler(WsgiHandler):
    """Runs requests and tells what they raised."""

    __slots__ = ("_observer",)

    def __init__(
        self, application: Application, settings: EnvironSettings, tasks: TaskSettings, observer: TaskObserver
    ) -> None:
        super().__init__(application, ObservedEnvironBuilder(settings, observer), tasks)
        self._observer = observer

    def _on_failure(self, answer: Answer, environ: Environ | None, transport: Transport, error: BaseException) -> None:
        self._observer.fail(error)
        super()._on_failure(answer, environ, transport, error)
