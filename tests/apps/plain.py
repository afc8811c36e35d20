"""Small applications without a framework, used by several tests."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Say hello."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Tell what arrived: the strings of the environ, and length and digest of the body."""
    body = environ["wsgi.input"].read(-1)
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps({"environ": seen, "length": len(body), "sha256": hashlib.sha256(body).hexdigest()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def mirror(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Send the body back as it came."""
    body = environ["wsgi.input"].read(-1)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]


def named(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path that was asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


def streamed(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Answer in three pieces without saying how long they are."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b"two "
    yield b"three"


def bulk(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Answer with as many blocks of 64 KiB as the query says."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for number in range(int(environ["QUERY_STRING"])):
        yield bytes([number % 251]) * 65536
