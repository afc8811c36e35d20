"""Flask names the route of a request: the rule that was matched."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.routes import Ask, asked

pytest.importorskip("flask")

from flask import Blueprint, Flask, abort, request

from waitressd.routes.flask import init_app


def build(prefix: str = "") -> Flask:
    app = Flask(__name__)
    pages = Blueprint("pages", __name__, url_prefix="/pages")

    @app.before_request
    def refuse() -> Any:
        return ("", 403) if request.args.get("refuse") else None

    @app.get("/users/<int:id>")
    @pages.get("/<name>/")
    def say(**_arguments: Any) -> str:
        return str(request.environ.get("waitressd.route"))

    @app.get("/broken/<number>")
    def fail(number: str) -> str:
        raise RuntimeError("a defect of the application")

    @app.get("/missing/<number>")
    def missing(number: str) -> str:
        abort(404)

    @app.errorhandler(RuntimeError)
    def apologize(_error: RuntimeError) -> Any:
        return request.environ["waitressd.route"], 500

    app.register_blueprint(pages)
    app.add_url_rule("/" + "x" * 300, "long", lambda: "")
    init_app(app, prefix=prefix)
    return app


@pytest.fixture
def ask() -> Iterator[Ask]:
    with asked(build()) as ask:
        yield ask


def test_a_route_is_its_rule(ask: Ask) -> None:
    assert ask.route("/users/17") == ask.seen("/users/18") == "/users/<int:id>"
    assert ask.route("/pages/front/") == "/pages/<name>/"


def test_errors_have_the_route_where_they_happened(ask: Ask) -> None:
    assert ask.route("/broken/17", status=500) == "/broken/<number>"
    assert ask.route("/missing/17", status=404) == "/missing/<number>"
    assert ask.route("/users/17?refuse=1", status=403) == "/users/<int:id>"


def test_what_the_client_made_up_is_never_a_route(ask: Ask) -> None:
    for target in ("/made-up", "/users/x"):
        assert ask.route(target, status=404) is None
    assert ask.route("/static/made-up", status=404) == "/static/<path:filename>"
    assert ask.route("/pages/front", status=308) is None


def test_a_long_one_is_cut(ask: Ask) -> None:
    assert ask.route("/" + "x" * 300) == "/" + "x" * 199


def test_applications_that_are_mounted_say_where() -> None:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    application = DispatcherMiddleware(build(), {"/shop": build(prefix="/shop")})
    with asked(application) as ask:
        assert ask.route("/shop/users/17") == ask.seen("/shop/users/18") == "/shop/users/<int:id>"
        assert ask.route("/users/17") == "/users/<int:id>"
