"""The WSGI application of the simulation: what a request's target asks for, with a sync point between any two steps.

A target is `/<connection>/<number of the request>/<mode>/<size>`. What an answer must contain follows from it, so that
the client at the other end knows every byte that it may get.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from tests.simulation.world import World

FILE: Final = Path(__file__)
FILE_CONTENT: Final = FILE.read_bytes()
CHUNKS: Final = 4  # of a streamed answer
HANG_SECONDS: Final = 6.0

MIXED: Final = (
    "small", "small", "small", "small", "sleep", "burn", "stream", "large", "write", "file", "hang", "fail", "cut",
    "short", "late", "poll",
)  # fmt: skip
MOODS: Final = (
    MIXED,
    MIXED,
    ("sleep", "sleep", "small"),
    ("small",),
    ("hang", "small"),
    ("stream", "late", "cut", "write"),
)
"""What the requests of one run ask for."""


def content(connection: int, number: int, mode: str, size: int) -> bytes:
    """Return the body of the complete answer to a request."""
    if mode == "file":
        return FILE_CONTENT[:size]
    unit = f"<{connection}/{number}>".encode()
    return (unit * (size // len(unit) + 1))[:size]


class Body:
    """An iterable that must be closed exactly once."""

    def __init__(self, world: "World", chunks: Iterator[bytes]) -> None:
        self._world = world
        self._chunks = chunks
        self.closed = 0
        world.bodies.append(self)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Count."""
        self._world.step()
        self.closed += 1


class Application:
    """One for each world."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connection, number, mode, size = self._request(environ)
        self._world.begin(connection, number)
        self._read_input(connection, number, environ)
        return self._answer(environ, start_response, content(connection, number, mode, size), mode)

    @staticmethod
    def _request(environ: dict[str, Any]) -> tuple[int, int, str, int]:
        _, connection, number, mode, size = environ["PATH_INFO"].split("/")
        return int(connection), int(number), mode, int(size)

    def _read_input(self, connection: int, number: int, environ: dict[str, Any]) -> None:
        stream: BinaryIO = environ["wsgi.input"]
        expected = self._world.uploads.get((connection, number), b"")
        if stream.read() != expected:
            self._world.scheduler.violate(f"the body of {connection}/{number} is not what its client sent")

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any], body: bytes, mode: str
    ) -> Iterable[bytes]:
        world = self._world
        world.step()
        fields = [("Content-Type", "text/plain"), ("X-Target", environ["PATH_INFO"])]
        if mode == "fail":
            raise RuntimeError("the application fails before it answers")
        if mode == "file":
            start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
            file = FILE.open("rb")
            world.files.append(file)
            wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
            return wrapped
        if mode == "short":
            start_response("200 OK", [*fields, ("Content-Length", str(len(body) + 5))])
            return [body]
        if mode == "write":
            write = start_response("200 OK", fields)
            for part in split(body):
                world.step()
                write(part)
            return []
        self._work(environ, mode)
        start_response("200 OK", fields)
        if mode in ("stream", "late", "large", "cut"):
            return Body(world, self._stream(body, mode))
        return [body]

    def _work(self, environ: dict[str, Any], mode: str) -> None:
        world = self._world
        if mode == "sleep" and world.sleep_to_the_limit():
            pass
        elif mode == "sleep":
            world.sleep(world.random.choice((0.0001, 0.001, 0.01, 0.1)))
        elif mode == "hang":
            world.scheduler.sometimes["an application hangs"] += 1
            world.sleep(HANG_SECONDS * world.random.random())
        elif mode == "burn":
            world.scheduler.burn(0.001)
        elif mode == "poll":
            for _ in range(20):
                world.sleep(0.05)
                if environ["waitressd.client_disconnected"]():
                    world.scheduler.sometimes["the application sees that its client left"] += 1
                    break

    def _stream(self, body: bytes, mode: str) -> Iterator[bytes]:
        world = self._world
        parts = list(split(body))
        for part in parts:
            world.step()
            if mode == "late":
                world.sleep(0.02)
            if mode == "cut" and part is parts[-1]:
                raise RuntimeError("the application fails in the middle")
            yield part


def split(body: bytes) -> Iterator[bytes]:
    """Cut a body into a few parts."""
    size = len(body) // CHUNKS + 1
    for start in range(0, len(body), size):
        yield body[start : start + size]
