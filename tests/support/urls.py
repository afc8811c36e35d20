"""The URLs that frameworks build from an environ, and an application that tells everything about its request."""

import hashlib
import importlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from wsgiref.util import request_uri

Environ = dict[str, Any]

IDENTITY: Final = (
    "wsgi.url_scheme",
    "SERVER_NAME",
    "SERVER_PORT",
    "HTTP_HOST",
    "SCRIPT_NAME",
    "PATH_INFO",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_PORT",
)
"""The keys that say who the client is and how it came."""


def _standard(environ: Environ) -> str:
    return request_uri(environ)


def _pyramid(environ: Environ) -> str:
    from pyramid.request import Request

    url: str = Request(environ).url
    return url


def _django(environ: Environ) -> str:
    from django.core.handlers.wsgi import WSGIRequest

    url: str = WSGIRequest(environ).build_absolute_uri()
    return url


@cache
def _flask_application() -> Any:
    import flask

    def page(name: str = "") -> str:
        return flask.url_for("page", name=name, _external=True, **flask.request.args)

    application = flask.Flask(__name__)
    for rule in ("/", "/<path:name>"):
        application.add_url_rule(rule, "page", page, methods=["GET", "POST"])
    return application


def _flask(environ: Environ) -> str:
    """Return `url_for` of the view that serves the request; the parameters of the query come along."""
    said: list[str] = []
    body = _flask_application()(environ, lambda status, _fields, _exc_info=None: said.append(status))
    text = b"".join(body).decode()
    assert said == ["200 OK"], text
    return text


BUILDERS: Final[dict[str, Callable[[Environ], str]]] = {
    "wsgiref": _standard,
    "Pyramid": _pyramid,
    "Django": _django,
    "Flask": _flask,
}


def urls_of(environ: Environ) -> dict[str, str]:
    """Return the URL of a request as each framework builds it."""
    return {name: build(dict(environ)) for name, build in BUILDERS.items()}


@contextmanager
def frameworks() -> Iterator[None]:
    """Load the frameworks, and let Django take any host, for a while: other tests may have configured it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of the standard library is theirs
        for name in ("pyramid.request", "django.core.handlers.wsgi", "flask"):
            importlib.import_module(name)
    from django import conf

    holder = conf.UserSettingsHolder(conf.global_settings)
    holder.ALLOWED_HOSTS = ["*"]
    before = conf.settings._wrapped
    conf.settings._wrapped = holder
    try:
        yield
    finally:
        conf.settings._wrapped = before


def telling_application(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer with all that can be told of a request; with `bytes=N` in the query, with so many bytes instead.

    With `environ` in the query nobody builds URLs, as some frameworks refuse to do for some hosts.
    """
    body = environ["wsgi.input"].read()
    query = environ["QUERY_STRING"]
    if query.startswith("bytes="):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [pattern(int(query.removeprefix("bytes=")))]
    told = {
        "environ": {key: value for key, value in environ.items() if isinstance(value, str)},
        "urls": {} if query == "environ" else urls_of(environ),
        "body": [len(body), hashlib.sha256(body).hexdigest()],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


@cache
def pattern(size_bytes: int) -> bytes:
    """Return bytes of which no part looks like another."""
    blocks = (hashlib.sha512(number.to_bytes(8)).digest() for number in range(size_bytes // 64 + 1))
    return b"".join(blocks)[:size_bytes]
