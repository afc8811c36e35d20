"""The settings of time limits: what they take, how they are shown, and that what is shown can be read again."""

import re

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.timelimittable import RouteTimeout, route_timeouts

KIND = route_timeouts()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (None, ()),
        ("/hang 5", (RouteTimeout("", "/hang", 5.0),)),
        ("\n/hang 5\nPOST /upload 0\n", (RouteTimeout("", "/hang", 5.0), RouteTimeout("POST", "/upload", 0.0))),
        ("/a/* 2m /b 500ms", (RouteTimeout("", "/a/*", 120.0), RouteTimeout("", "/b", 0.5))),
        (["/users/{id} 10", "GET * 3"], (RouteTimeout("", "/users/{id}", 10.0), RouteTimeout("GET", "*", 3.0))),
        ("SEARCH 5", (RouteTimeout("", "SEARCH", 5.0),)),  # a route may have any name
    ],
)
def test_routes_are_read_and_shown(value: object, expected: tuple[RouteTimeout, ...]) -> None:
    assert KIND.parse(value) == expected
    assert KIND.parse(KIND.show(expected)) == expected


@pytest.mark.parametrize("value", ["/hang", "/hang five", "/hang 5 /other", "POST /hang x", "/hang 0.01", 5, {"/a": 5}])
def test_what_is_no_route_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not followed by seconds|^$"):
        KIND.parse(value)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a/*", "/a/", True),
        ("/a/*", "/a", False),
        ("*/b", "/a/b", True),
        ("/a*c", "/abbc", True),
        ("/users/{id}", "/users/{id}", True),
        ("/users/{id}", "/users/7", False),
        ("/a.b", "/axb", False),
        ("*", "/\n", True),
    ],
)
def test_a_star_is_any_run_of_characters(pattern: str, text: str, fits: bool) -> None:  # noqa: FBT001 - a table
    assert bool(re.compile(RouteTimeout("", pattern, 1.0).expression).fullmatch(text)) is fits


def test_there_is_no_limit_unless_it_is_asked_for() -> None:
    plain = Adjustments.from_keywords()
    assert (plain.request_timeout, plain.request_timeout_routes) == (0.0, ())
    assert (plain.request_timeout_interrupt, plain.request_timeout_spares) == (False, 0)
    assert Adjustments.from_keywords(request_timeout="2m").request_timeout == 120.0


@pytest.mark.parametrize("value", ["0.05", "-1", "soon", "90000"])
def test_a_limit_has_bounds(value: str) -> None:
    with pytest.raises(ConfigError, match=r"expected seconds, also like 500ms, 30s or 2m, 0\.1 to 86400, or 0"):
        Adjustments.from_keywords(request_timeout=value)
