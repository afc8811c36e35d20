"""The route of a request for Django: ``waitressd.routes.django.RouteMiddleware``, first in ``MIDDLEWARE``.

It is the pattern of ``urlpatterns`` that was matched, with a slash before it: ``/users/<int:id>/``. A request for
which there is none has no route. Where the project is mounted below a path, the setting ``WAITRESSD_ROUTE_PREFIX`` says
which.
"""

from collections.abc import Callable
from typing import Any

from django import conf

from waitressd.routes import name_route


class RouteMiddleware:
    """Names the route of each request before its view runs. Django makes one; any thread may call it."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._prefix: str = getattr(conf.settings, "WAITRESSD_ROUTE_PREFIX", "")

    def __call__(self, request: Any) -> Any:  # noqa: ANN401 - Django publishes no types
        """Pass the request on."""
        return self._get_response(request)

    def process_view(self, request: Any, *_view: object) -> None:  # noqa: ANN401 - as above
        """Name the route; Django calls this when it has found the view, be it a function or a coroutine."""
        # Django leaves the "^" of a regular expression away as well, where a pattern stands before it.
        name_route(request.META, self._prefix, request.resolver_match.route.removeprefix("^"))
