"""The route of a request for Pyramid: ``pyramid.includes = waitressd.routes.pyramid``.

For a route it is its pattern. Where the context was found by traversal it is the class of the context with the name of
its view, ``Folder:edit``, or ``Folder`` for the view without a name. A request for which there is no view has none.
Where the application is mounted below a path, the setting ``waitressd.route_prefix`` says which.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pyramid.events import BeforeTraversal
from pyramid.viewderivers import INGRESS

from waitressd.routes import KEY, LONGEST, name_route

PREFIX_SETTING: Final = "waitressd.route_prefix"

View = Callable[[Any, Any], Any]


def includeme(config: Any) -> None:  # noqa: ANN401 - Pyramid publishes no types
    """Have the application name its routes; Pyramid calls this for ``config.include("waitressd.routes.pyramid")``."""
    prefix = (config.registry.settings or {}).get(PREFIX_SETTING, "")
    config.add_subscriber(partial(_on_route, prefix), BeforeTraversal)
    config.add_view_deriver(_derive, "waitressd_route", under=INGRESS, over="secured_view")


def _on_route(prefix: str, event: Any) -> None:  # noqa: ANN401 - as above
    """Name the route as soon as it has been matched: finding its context may take long, too."""
    request = event.request
    route = getattr(request, "matched_route", None)
    if route is not None:
        name_route(request.environ, prefix, route.pattern)


def _derive(view: View, info: Any) -> View:  # noqa: ANN401 - as above
    """Have a view that is found by traversal name itself.

    Not when the context is found: the name of the view is then whatever the client has asked for. A view is registered.
    """
    if info.options.get("route_name") is not None or info.exception_only:
        return view
    name = info.options.get("name") or ""

    def named(context: Any, request: Any) -> Any:  # noqa: ANN401 - as above
        if _is_for(request, context, name):
            kind = type(context).__qualname__
            request.environ[KEY] = (f"{kind}:{name}" if name else kind)[:LONGEST]
        return view(context, request)

    return named


def _is_for(request: Any, context: Any, name: str) -> bool:  # noqa: ANN401 - as above
    """Tell the view of a request from those of its parts and of its exceptions, which run inside of it."""
    return (
        getattr(request, "context", None) is context
        and request.view_name == name
        and getattr(request, "matched_route", None) is None
    )
