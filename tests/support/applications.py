"""Applications for tests of the WSGI side, made of what they return."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest

Start = Callable[..., Callable[[bytes], None]]

PLAIN: Final = [("Content-Type", "text/plain")]


def request_line(line: str) -> bytes:
    """Return a request without a body that begins with `line`."""
    return f"{line}\r\nHost: example.com\r\n\r\n".encode()


GET: Final = request_line("GET / HTTP/1.1")
HEAD: Final = request_line("HEAD / HTTP/1.1")
OLD: Final = request_line("GET / HTTP/1.0")


def returning(result: Any, *, status: str = "200 OK", length: int | None = None) -> Any:
    """Make an application that starts its response and returns `result`, or what it makes when called."""
    fields = PLAIN if length is None else [*PLAIN, ("Content-Length", str(length))]

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, list(fields))
        return result() if callable(result) else result

    return application


class Closing:
    """An iterable without a length that counts its closings, and may raise when it is closed."""

    def __init__(self, items: Iterable[Any], close_error: BaseException | None = None) -> None:
        self._items = iter(items)
        self._close_error = close_error
        self.closed_count = 0

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def close(self) -> None:
        """Count."""
        self.closed_count += 1
        if self._close_error is not None:
            raise self._close_error


def cases(**makers: Callable[[], Any]) -> pytest.MarkDecorator:
    """Parametrize `make_result` by name; each test gets a fresh result."""
    return pytest.mark.parametrize("make_result", [pytest.param(maker, id=name) for name, maker in makers.items()])
