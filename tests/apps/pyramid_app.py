"""A small wiki in the manner of Pyramid's tutorials: views, routes, sessions, uploads, static files, subscribers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPNotFound
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory

STATIC: Final = Path(__file__).parent / "static"


def view_page(request: Any) -> dict[str, Any]:
    """Show a page, and count the visits of this browser."""
    name = request.matchdict["name"]
    if name not in request.registry.pages:
        raise HTTPNotFound(f"no page {name}")
    request.session["visits"] = request.session.get("visits", 0) + 1
    url = request.route_url("page", name=name)
    return {"name": name, "text": request.registry.pages[name], "visits": request.session["visits"], "url": url}


def save_page(request: Any) -> Response:
    """Save a page from a form and go to it."""
    name = request.matchdict["name"]
    request.registry.pages[name] = request.POST["text"]
    return HTTPFound(location=request.route_url("page", name=name))


def upload(request: Any) -> dict[str, Any]:
    """Take a file from a form of several parts."""
    field = request.POST["file"]
    content = field.file.read()
    field.file.close()
    return {"filename": field.filename, "length": len(content), "sum": sum(content), "note": request.POST["note"]}


def stream(request: Any) -> Response:
    """Answer with pieces that are made while they are sent."""

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            yield b"line %d\n" % number

    return Response(app_iter=pieces(), content_type="text/plain")


def download(request: Any) -> Response:
    """Answer with a file, which Pyramid hands to wsgi.file_wrapper."""
    return FileResponse(str(STATIC / "style.css"), request=request)


def forbidden(request: Any) -> Response:
    """Refuse, by an exception that is a response."""
    raise HTTPForbidden


def broken(request: Any) -> Response:
    """Fail as applications do."""
    raise RuntimeError("a defect of the application")


def main(global_config: Any = None, **settings: Any) -> Any:
    """Build the application: PasteDeploy's app factory."""
    config = Configurator(settings=settings, session_factory=SignedCookieSessionFactory("a secret for tests"))
    config.registry.pages = {"front": "Welcome"}
    config.add_route("page", "/wiki/{name}")
    config.add_view(view_page, route_name="page", request_method="GET", renderer="json")
    config.add_view(save_page, route_name="page", request_method="POST")
    for name, view, renderer in (
        ("upload", upload, "json"),
        ("stream", stream, None),
        ("download", download, None),
        ("forbidden", forbidden, None),
        ("broken", broken, None),
    ):
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name, renderer=renderer)
    config.add_static_view("static", str(STATIC))
    return config.make_wsgi_app()
