"""A handler that is watched: it tells an observer about every failure.

Used only where somebody listens; without a request log the plain one serves.
"""

from typing import Protocol

from waitressd.wsgi.environ import Environ, EnvironBuilder
from waitressd.wsgi.response import Response, Transport
from waitressd.wsgi.task import Application, TaskSettings, WsgiHandler


class TaskObserver(Protocol):
    """Whoever wants to know about tasks. Called in the thread of the task; must not raise."""

    def watch(self, application: Application, /) -> Application:
        """Return the application with whatever the observer does before it."""

    def fail(self, error: BaseException, /) -> None:
        """Take note of what the application raised, or of a client that left."""


class ObservedHandler(WsgiHandler):
    """Runs requests through a watched application, and tells what they raised."""

    __slots__ = ("_observer",)

    def __init__(
        self, application: Application, environs: EnvironBuilder, tasks: TaskSettings, observer: TaskObserver
    ) -> None:
        super().__init__(observer.watch(application), environs, tasks)
        self._observer = observer

    def _on_failure(
        self, response: Response, environ: Environ | None, transport: Transport, error: BaseException
    ) -> None:
        self._observer.fail(error)
        super()._on_failure(response, environ, transport, error)
