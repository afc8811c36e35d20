"""The application that is served under fire: answers of every size and speed, and counts of what it began and ended."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]

BLOCK_BYTES: Final = 65536
_BINARY: Final = [("Content-Type", "application/octet-stream")]

counts: Final[Counter[str]] = Counter()
_lock: Final = threading.Lock()  # guards counts
_never: Final = threading.Event()


def _count(name: str) -> None:
    with _lock:
        counts[name] += 1


class Blocks:
    """An iterable answer whose beginning and end are counted."""

    def __init__(self, number: int) -> None:
        """Yield `number` blocks; without end if it is 0."""
        self._number = number
        _count("begun")

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while not self._number or number < self._number:
            yield bytes(BLOCK_BYTES)
            number += 1

    def close(self) -> None:
        _count("closed")


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def blocks(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Yield as many blocks as the query says, 0 for no end."""
    start_response("200 OK", list(_BINARY))
    return Blocks(int(environ["QUERY_STRING"]))


def written(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Give the same by write()."""
    write = start_response("200 OK", list(_BINARY))
    with contextlib.closing(Blocks(int(environ["QUERY_STRING"]))) as answer:
        for block in answer:
            write(block)
    return []


def hang(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Never return."""
    _count("hung")
    _never.wait()
    return []


def work(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Take as many milliseconds as the query says, as if a database did."""
    time.sleep(int(environ["QUERY_STRING"] or "20") / 1000)
    return hello(environ, start_response)


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body in blocks and say how long it was."""
    length_bytes = 0
    while block := environ["wsgi.input"].read(BLOCK_BYTES):
        length_bytes += len(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(length_bytes).encode()]


def number(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Say the query, padded, so that the place of each answer in a stream is known."""
    body = environ["QUERY_STRING"].encode().rjust(8)
    start_response("200 OK", [("Content-Length", "8")])
    return [body]


def file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a real file of 2 MiB."""
    found = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    found.truncate(2 << 20)
    start_response("200 OK", list(_BINARY))
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](found)
    return wrapped


def child(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Start a child process without closing anything for it, and say which descriptors it got."""
    script = "import os; print([os.readlink(e.path) for e in os.scandir('/proc/self/fd')][:-1])"
    done = subprocess.run([sys.executable, "-c", script], close_fds=False, stdout=subprocess.PIPE, check=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [done.stdout]


def told(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Tell the counts."""
    with _lock:
        body = json.dumps(counts).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


ROUTES: Final[dict[str, Callable[[Environ, StartResponse], Iterable[bytes]]]] = {
    "/": hello,
    "/blocks": blocks,
    "/written": written,
    "/hang": hang,
    "/work": work,
    "/upload": upload,
    "/number": number,
    "/file": file,
    "/child": child,
    "/counts": told,
}


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one of the routes."""
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
