"""Django names the route of a request: the pattern of urlpatterns that was matched."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.routes import Ask, asked

pytest.importorskip("django")

from django.http import Http404, HttpResponse
from django.urls import include, path, re_path

ADAPTER = "waitressd.routes.django.RouteMiddleware"


def say(request: Any, **_arguments: Any) -> HttpResponse:
    """Tell the route that is known while the view runs."""
    return HttpResponse(request.META.get("waitressd.route", "none"))


async def say_later(request: Any, **_arguments: Any) -> HttpResponse:
    """Do the same in a coroutine."""
    return HttpResponse(request.META.get("waitressd.route", "none"))


def fail(request: Any) -> HttpResponse:
    raise RuntimeError("a defect of the application")


async def fail_later(request: Any) -> HttpResponse:
    raise RuntimeError("a defect of the application")


def missing(request: Any) -> HttpResponse:
    raise Http404


class Refusing:
    """A middleware that answers by itself when the view is known, after the adapter."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self._get_response(request)

    def process_view(self, request: Any, view: Any, *_: Any) -> HttpResponse | None:
        return HttpResponse(status=403) if request.GET.get("refuse") else None


more = [path("<slug:name>/", say), re_path(r"^(?P<year>\d{4})$", say)]

urlpatterns = [
    path("", say),
    path("users/<int:id>/", say),
    path("later/<int:id>/", say_later),
    re_path(r"^years/(?P<year>\d{4})/$", say),
    path("more/", include(more)),
    path("broken/", fail),
    path("broken-later/", fail_later),
    path("missing/", missing),
    path("x" * 300, say),
]


@pytest.fixture
def serve() -> Iterator[Any]:
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    import tests.apps.django_app  # noqa: F401 - it configures Django

    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[ADAPTER, f"{__name__}.Refusing"]):
        yield get_wsgi_application


@pytest.fixture
def ask(serve: Any) -> Iterator[Ask]:
    with asked(serve()) as ask:
        yield ask


def test_a_route_is_its_pattern(ask: Ask) -> None:
    assert ask.route("/users/17/") == ask.seen("/users/18/") == "/users/<int:id>/"
    assert ask.route("/years/1999/") == r"/years/(?P<year>\d{4})/$"
    assert ask.route("/more/a-name/") == "/more/<slug:name>/"
    assert ask.route("/more/1999") == r"/more/(?P<year>\d{4})$"
    assert ask.route("/") == "/"


def test_coroutines_have_one_too(ask: Ask) -> None:
    assert ask.route("/later/17/") == ask.seen("/later/18/") == "/later/<int:id>/"


def test_errors_have_the_route_where_they_happened(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    # A record with the traceback of a coroutine would keep the thread in which Django ran it.
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)
    assert ask.route("/broken/", status=500) == "/broken/"
    assert ask.route("/broken-later/", status=500) == "/broken-later/"
    assert ask.route("/missing/", status=404) == "/missing/"
    assert ask.route("/users/17/?refuse=1", status=403) == "/users/<int:id>/"


def test_what_the_client_made_up_is_never_a_route(ask: Ask) -> None:
    for target in ("/made-up", "/users/x/", "/more/", "/users/17/more"):
        assert ask.route(target, status=404) is None


def test_a_long_one_is_cut(ask: Ask) -> None:
    assert ask.route("/" + "x" * 300) == "/" + "x" * 199


def test_where_it_is_mounted_is_a_setting(serve: Any) -> None:
    from django.test import override_settings

    with override_settings(WAITRESSD_ROUTE_PREFIX="/shop"), asked(serve()) as ask:
        assert ask.route("/users/17/") == "/shop/users/<int:id>/"
