"""A Pyramid application with one view."""

from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response


def _hello(_request: Any) -> Any:  # noqa: ANN401 - Pyramid publishes no types
    return Response("Hello, world!", content_type="text/plain", charset="utf-8")


def _build() -> Any:  # noqa: ANN401 - Pyramid publishes no types
    with Configurator() as config:
        config.add_route("hello", "/")
        config.add_view(_hello, route_name="hello")
        return config.make_wsgi_app()


application = _build()
