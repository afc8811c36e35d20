"""The application behind the wire cases: it does what the case at hand says, and remembers what it was asked."""

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.client import Client
from tests.support.servers import RunningServer

PROBE = "/probe"


@dataclass
class Call:
    """One request as the application saw it."""

    environ: dict[str, Any]
    body: bytes


@dataclass
class Stage:
    """A WSGI application whose answer is set by the test; it serves one test at a time."""

    server: RunningServer | None = None
    reads: bool = True
    play: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def set(self, play: dict[str, Any] | None = None) -> None:
        """Begin a case: forget what was, and answer as `play` says (200 without it)."""
        self.play = play or {"status": "200 OK", "fields": []}
        self.reads = play is None
        self.calls.clear()

    def connect(self) -> Client:
        """Open a connection to the server that serves this application."""
        assert self.server is not None
        return self.server.connect(timeout=8.0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer as the case says; `/probe` is always 200 and not remembered."""
        if environ["PATH_INFO"] == PROBE:
            start_response("200 OK", [])
            return [b"still here"]
        if self.reads:
            self.calls.append(Call(dict(environ), environ["wsgi.input"].read()))
        return perform(self.play, start_response)


def perform(play: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Answer as a play says: its head, what is written, what is returned and where it fails."""
    if play.get("fails") == "call":
        raise failure(play)
    chunks: list[Any] = [chunk.encode("latin-1") for chunk in play.get("chunks", ())] or list(play.get("text", ()))
    kind = play.get("kind", "list")
    if kind == "late":
        return late(play, chunks, start_response)
    write = start(play, start_response)
    for data in play.get("writes", ()):
        write(data.encode("latin-1"))
    if play.get("fails") == "started":
        raise failure(play)
    if kind == "generator":
        return generate(play, chunks)
    return tuple(chunks) if kind == "tuple" else chunks


def start(play: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Call start_response if the play has a status."""
    if "status" not in play:
        return None
    return start_response(play["status"], [(name, value) for name, value in play["fields"]])


def generate(play: dict[str, Any], chunks: list[Any]) -> Iterator[Any]:
    """Yield the chunks, and fail afterwards if the play says so."""
    yield from chunks
    if play.get("fails") == "end":
        raise failure(play)


def late(play: dict[str, Any], chunks: list[Any], start_response: Callable[..., Any]) -> Iterator[Any]:
    """Call start_response only when the first item is asked for (PEP 3333 allows it)."""
    start(play, start_response)
    yield from chunks


def failure(play: dict[str, Any]) -> BaseException:
    """Return what the play raises; its text is a secret that no answer may tell."""
    kind = getattr(builtins, play.get("error", "RuntimeError"))
    error = kind("secret")
    assert isinstance(error, BaseException)
    return error
