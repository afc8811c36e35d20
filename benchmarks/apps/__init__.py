"""The applications that are served: plain WSGI here, one module for each framework beside it.

Nothing in here knows which server runs it.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

GREETING: Final = b"Hello, world!"
PAGE: Final = b"0123456789abcdef" * 640
CHUNK: Final = b"x" * 1024
CHUNK_COUNT: Final = 200
READ_BYTES: Final = 65536
TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
GREETING_FIELDS: Final = [TEXT, ("Content-Length", str(len(GREETING)))]

_count = itertools.count(1)


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 13 bytes."""
    start_response("200 OK", list(GREETING_FIELDS))
    return [GREETING]


def page(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 10 KiB."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))])
    return [PAGE]


def unique(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer up to 2 KiB, with an entity tag and a cookie that come only once, and another length each time."""
    number = next(_count)
    body = PAGE[: 200 + number * 577 % 1849]
    fields = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "private, no-cache"),
        ("ETag", f'"{number:x}-{len(body):x}"'),
        ("Set-Cookie", f"seen={number}; Path=/; HttpOnly; SameSite=Lax"),
    ]
    start_response("200 OK", fields)
    return [body]


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole body and answer how long it was."""
    count = 0
    stream = environ["wsgi.input"]
    while data := stream.read(READ_BYTES):
        count += len(data)
    body = b"%d" % count
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Answer 200 chunks of 1 KiB, without saying how many."""
    start_response("200 OK", [TEXT])
    for _ in range(CHUNK_COUNT):
        yield CHUNK


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer the file named by BENCHMARK_FILE, through the server's file wrapper where it has one."""
    file = open(os.environ["BENCHMARK_FILE"], "rb")  # noqa: SIM115, PTH123 - the server closes it
    size = os.fstat(file.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        return iter(lambda: file.read(READ_BYTES), b"")
    wrapped: Iterable[bytes] = wrapper(file, READ_BYTES)
    return wrapped


def block_1_ms(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Wait as a short database query does."""
    time.sleep(0.001)
    return hello(environ, start_response)


def block_10_ms(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Wait as a longer database query does."""
    time.sleep(0.010)
    return hello(environ, start_response)


def block_1_in_100(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer at once, but for one request in a hundred, which waits 50 ms."""
    if next(_count) % 100 == 0:
        time.sleep(0.050)
    return hello(environ, start_response)


def burn_1_ms(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Compute for one millisecond of this thread's CPU time, however long that takes."""
    _burn(1)
    return hello(environ, start_response)


def burn_2_ms(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Compute for two milliseconds of this thread's CPU time, however long that takes."""
    _burn(2)
    return hello(environ, start_response)


def _burn(milliseconds: int) -> None:
    end = time.thread_time_ns() + milliseconds * 1_000_000
    while time.thread_time_ns() < end:
        pass
