"""Time to parse a request head with ten fields, beside other servers' parsers: `python -m benchmarks.parse_head`.

Each round times every parser once, in random order, so that a busy machine slows all of them; the median of the rounds
is printed with its ratio to ours. Every parser does what its server does with a head: ours ends with a Request that is
ready for an environ, the Host and framing rules included. A parser that is not installed is left out.
"""

import argparse
import importlib.util
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from waitressd.http.connection import Connection
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head

HEAD: Final = (
    b"GET /static/app/main.js?v=12345 HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Referer: https://www.example.com/index.html\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n\r\n"
)

Run = Callable[[], object]


def build_waitressd() -> Run:
    """Our core, with a new connection for each head as the others have; keeping one saves a fifth of the time."""
    limits = Limits()

    def run() -> object:
        connection = Connection(limits, "")
        connection.reader.feed(HEAD)
        event = connection.next_event()
        assert isinstance(event, Request)
        return event

    return run


def build_waitress() -> Run:
    """The parser of waitress, as its channel calls it."""
    adjustments = import_module("waitress.adjustments").Adjustments()
    parser_class = import_module("waitress.parser").HTTPRequestParser

    def run() -> object:
        parser = parser_class(adjustments)
        parser.received(HEAD)
        assert parser.completed
        return parser

    return run


def build_h11() -> Run:
    """The protocol library h11, which hypercorn and uvicorn can use."""
    h11 = import_module("h11")

    def run() -> object:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(HEAD)
        event = connection.next_event()
        assert isinstance(event, h11.Request)
        return event

    return run


def build_gunicorn() -> Run:
    """The parser of gunicorn's synchronous workers, without its optional C extension."""
    config = import_module("gunicorn.config").Config()
    parser_class = import_module("gunicorn.http.parser").RequestParser

    def run() -> object:
        request = next(parser_class(config, iter([HEAD]), ("127.0.0.1", 1)))
        assert request.method == "GET"
        return request

    return run


def build_httptools() -> Run:
    """The C parser of Node.js in the package httptools, which uvicorn can use; it leaves most rules to its caller."""
    httptools = import_module("httptools")

    class Protocol:
        """Collects what the parser reports."""

        def __init__(self) -> None:
            self.fields: list[tuple[bytes, bytes]] = []

        def on_url(self, url: bytes) -> None:
            self.url = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.fields.append((name, value))

    def run() -> object:
        protocol = Protocol()
        httptools.HttpRequestParser(protocol).feed_data(HEAD)
        assert len(protocol.fields) == 10
        return protocol

    return run


PARSERS: Final[dict[str, tuple[str | None, Callable[[], Run]]]] = {
    "waitressd": (None, build_waitressd),
    "waitress": ("waitress", build_waitress),
    "h11": ("h11", build_h11),
    "gunicorn": ("gunicorn", build_gunicorn),
    "httptools (C)": ("httptools", build_httptools),
}


def measure(runs: dict[str, Run], rounds: int, repeat: int) -> dict[str, float]:
    """Return the median time of one head for each parser, in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            run = runs[name]
            start = time.perf_counter()
            for _ in range(repeat):
                run()
            times[name].append((time.perf_counter() - start) / repeat * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_exchange(repeat: int) -> float:
    """Return the time of one small request and its answer on a kept connection, in microseconds."""
    connection = Connection(Limits(), "waitressd")
    sent = b"GET /hello HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: wrk\r\n\r\n"
    fields = [("Content-Type", "text/plain"), ("Content-Length", "13")]
    start = time.perf_counter()
    for _ in range(repeat):
        connection.reader.feed(sent)
        connection.next_event()
        head = build_head("200 OK", fields)
        connection.encoder.encode_response(head, b"Hello, world!", "Sun, 06 Nov 1994 08:49:37 GMT")
    return (time.perf_counter() - start) / repeat * 1e6


def render(medians: dict[str, float]) -> str:
    """Lay the medians out as a table."""
    ours = medians["waitressd"]
    lines = [f"{'parser':<15} {'us per head':>11} {'times ours':>11}"]
    lines += [
        f"{name:<15} {median:>11.2f} {median / ours:>11.2f}"
        for name, median in sorted(medians.items(), key=lambda item: item[1])
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse_head", description=__doc__)
    parser.add_argument("--rounds", type=int, default=41, help="how often each parser is timed (default: 41)")
    parser.add_argument("--repeat", type=int, default=1000, help="heads in one timing (default: 1000)")
    options = parser.parse_args(arguments)
    runs: dict[str, Any] = {
        name: build()
        for name, (module, build) in PARSERS.items()
        if module is None or importlib.util.find_spec(module) is not None
    }
    medians = measure(runs, options.rounds, options.repeat)
    print(f"{platform.python_implementation()} {platform.python_version()}, {len(HEAD)} octets, 10 fields\n")
    print(render(medians))
    print(f"\nrequest and answer on a kept connection, 2 fields each: {measure_exchange(20_000):.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
