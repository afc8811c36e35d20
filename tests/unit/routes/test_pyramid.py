"""Pyramid names the route of a request: the pattern, or the class of the context with its view."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.routes import Ask, asked

pytest.importorskip("pyramid")


class Folder(dict[str, Any]):
    """What has children."""


class Page:
    """What has none."""


def say(request: Any) -> Any:
    """Tell the route that is known while the view runs."""
    return _text(request, request.environ.get("waitressd.route", "none"))


def _text(request: Any, text: str) -> Any:
    request.response.text = text
    return request.response


def fail(_request: Any) -> Any:
    raise RuntimeError("a defect of the application")


def apology(request: Any) -> Any:
    request.response.status_int = 500
    return request.response


def missing(request: Any) -> Any:
    from pyramid.httpexceptions import HTTPNotFound

    raise HTTPNotFound


def with_part(context: Any, request: Any) -> Any:
    """Have another view make a part of the page."""
    from pyramid.view import render_view_to_response

    render_view_to_response(context, request, name="edit")
    return _text(request, request.environ["waitressd.route"])


def find_root(request: Any) -> Any:
    """Keep the route that is known before there is a context."""
    request.seen = request.environ.get("waitressd.route")
    return Folder()


class Nobody:
    """A policy that allows nothing."""

    def permits(self, *_what: Any) -> bool:
        return False

    def identity(self, _request: Any) -> None:
        return None

    authenticated_userid = identity


def build(**settings: Any) -> Any:
    from pyramid.config import Configurator
    from pyramid.wsgi import wsgiapp2

    tree = Folder(docs=Folder(readme=Page()))
    config = Configurator(settings=settings, root_factory=lambda _request: tree)
    config.add_view(say, context=Page)  # before the adapter is there
    config.include("waitressd.routes.pyramid")
    config.set_security_policy(Nobody())
    config.add_view(say, name="edit", context=Folder)
    config.add_view(with_part, name="parts", context=Folder)
    config.add_view(fail, name="fail", context=Folder)
    config.add_view(say, name="secret", context=Folder, permission="read")
    config.add_view(say, name="posted", context=Folder, request_method="POST")
    config.add_view(say, name="posted", context=Folder, request_method="PUT")
    config.add_exception_view(apology, context=RuntimeError)
    for name, pattern, view in (
        ("user", "users/{id}", say),
        ("number", r"/numbers/{n:\d+}", say),
        ("broken", "/broken/{id}", fail),
        ("absent", "/absent/{id}", missing),
        ("long", "/{id}/" + 300 * "x", say),
    ):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name)
    config.add_route("slow", "/slow/{id}", factory=find_root)
    config.add_view(lambda request: _text(request, request.seen), route_name="slow")
    config.add_route("mounted", "/mounted/*subpath")
    config.add_view(wsgiapp2(_other), route_name="mounted")
    config.add_static_view("static", str(Path(__file__).parent))
    return config.make_wsgi_app()


def _other(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asked(build()) as ask:
        yield ask


def test_a_route_is_its_pattern(ask: Ask) -> None:
    assert ask.route("/users/17") == ask.seen("/users/18") == "/users/{id}"
    assert ask.route("/numbers/17") == r"/numbers/{n:\d+}"
    assert ask.route("/static/test_pyramid.py") == "/static/*subpath"
    assert ask.route("/mounted/a/b") == "/mounted/*subpath"


def test_it_is_known_before_the_context_is_looked_for(ask: Ask) -> None:
    assert ask.seen("/slow/17") == "/slow/{id}"


def test_a_context_is_its_class_with_the_view(ask: Ask) -> None:
    assert ask.route("/docs/edit") == ask.seen("/docs/edit") == "Folder:edit"
    assert ask.route("/docs/readme") == ask.seen("/docs/readme") == "Page"


def test_views_inside_of_a_view_change_nothing(ask: Ask) -> None:
    assert ask.seen("/docs/parts") == "Folder:parts"


def test_errors_have_the_route_where_they_happened(ask: Ask) -> None:
    assert ask.route("/broken/17", status=500) == "/broken/{id}"
    assert ask.route("/absent/17", status=404) == "/absent/{id}"
    assert ask.route("/docs/fail", status=500) == "Folder:fail"
    assert ask.route("/docs/secret", status=403) == "Folder:secret"


def test_what_the_client_made_up_is_never_a_route(ask: Ask) -> None:
    for target in ("/made-up", "/docs/made-up", "/docs/readme/edit", "/docs/posted", "/numbers/x"):
        assert ask.route(target, status=404) is None


def test_a_long_one_is_cut() -> None:
    with asked(build()) as ask:
        assert ask.route("/17/" + 300 * "x") == ("/{id}/" + 300 * "x")[:200]


def test_where_it_is_mounted_is_a_setting() -> None:
    with asked(build(**{"waitressd.route_prefix": "/shop/"})) as ask:
        assert ask.route("/users/17") == "/shop/users/{id}"
        assert ask.route("/docs/edit") == "Folder:edit"


def test_an_ini_file_can_include_it() -> None:
    from tests.apps.pyramid_app import main

    with asked(main(**{"pyramid.includes": "waitressd.routes.pyramid"})) as ask:
        assert ask.route("/wiki/front") == "/wiki/{name}"
        assert ask.route("/broken", status=500) == "/broken"
