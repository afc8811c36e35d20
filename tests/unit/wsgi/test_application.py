"""What is told about an object that cannot be a WSGI application."""

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from waitressd.wsgi.application import trouble_with


def plain(environ: Any, start_response: Any) -> list[bytes]:
    raise AssertionError  # nothing is ever called here


class Instance:
    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        raise AssertionError

    def method(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        raise AssertionError

    @classmethod
    def of_class(cls, environ: Any, start_response: Any) -> Iterable[bytes]:
        raise AssertionError


class PerRequest:
    def __init__(self, environ: Any, start_response: Any) -> None:
        raise AssertionError


class Asynchronous:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError


async def asynchronous(environ: Any, start_response: Any) -> None:
    raise AssertionError


def second_asgi(scope: Any) -> Callable[..., Any]:
    raise AssertionError


def factory(config: Any = None) -> Callable[..., Any]:
    raise AssertionError


def paste_factory(global_conf: Any, **settings: Any) -> Callable[..., Any]:
    raise AssertionError


def greedy(*args: Any, **keywords: Any) -> Any:
    raise AssertionError


@functools.wraps(asynchronous)
def adapter(environ: Any, start_response: Any) -> list[bytes]:
    raise AssertionError


class Liar:
    __signature__ = "none of your business"

    def __call__(self, *args: Any) -> None:
        raise AssertionError


def with_more(environ: Any, start_response: Any, exc_info: Any = None) -> list[bytes]:
    raise AssertionError


@pytest.mark.parametrize(
    "application",
    [
        plain, Instance(), Instance().method, Instance.of_class, PerRequest, greedy, adapter, with_more, Liar(), print,
        functools.partial(with_more, exc_info=5), lambda _e, _s: [], type, dict,
    ],
)  # fmt: skip
def test_nothing_is_said_against_what_can_be_called(application: object) -> None:
    assert trouble_with(application) == ""


@pytest.mark.parametrize("application", [Asynchronous(), asynchronous, second_asgi])
def test_an_asgi_application_is_called_by_its_name(application: object) -> None:
    assert "(ASGI)" in trouble_with(application)


@pytest.mark.parametrize(
    ("application", "shown"),
    [
        (factory, "factory takes config"),
        (paste_factory, "paste_factory takes global_conf, settings"),
        (lambda: plain, "<lambda> takes nothing"),
        (Instance, "Instance takes nothing"),
    ],
)
def test_a_factory_is_to_be_called_first(application: object, shown: str) -> None:
    said = trouble_with(application)
    assert shown in said
    assert "--call" in said


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (5, "the application must be callable, and 5 is not"),
        (None, "the application must be callable, and None is not"),
        (json, "the application must be callable, and json is a module"),
    ],
)
def test_what_cannot_be_called(application: object, said: str) -> None:
    assert trouble_with(application) == said
