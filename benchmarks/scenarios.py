"""What is measured: one row for each scenario, with what we want to reach beside each peer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BROWSER_FIELDS: Final = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9,de;q=0.8",
    "Cache-Control: max-age=0",
    'Sec-Ch-Ua: "Chromium";v="141", "Not?A_Brand";v="8"',
    "Sec-Ch-Ua-Mobile: ?0",
    'Sec-Ch-Ua-Platform: "Linux"',
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Upgrade-Insecure-Requests: 1",
    "Referer: https://www.example.org/shop/lists/all?page=2&sort=price",
    "Cookie: _ga=GA1.2.1083498234.1730543210; theme=dark; cart=3f1c9a7e5b; csrftoken=Zk3v9XbQ0uYt7LqW2sEr",
)


@dataclass(frozen=True)
class Scenario:
    """One row. `goals` maps a peer to the ratio of requests per second (ours by theirs) that we want to reach.

    `cpu_goals` maps a peer to the ratio of CPU time for each request (ours by theirs) that we want to stay below.

    `scaling_goal` is the ratio that we want between our own requests per second with the most workers and with the
    fewest. Where there are several numbers of workers, `goals` and `cpu_goals` are for servers that have the most.
    """

    name: str
    title: str
    app: str
    connections: int = 64
    threads: int = 4
    fields: tuple[str, ...] = ()
    body_bytes: int = 0
    idle_connections: int = 0
    goals: Mapping[str, float] = field(default_factory=dict)
    cpu_goals: Mapping[str, float] = field(default_factory=dict)
    static: str = ""  # what nginx answers here: "greeting", "page" or "file"; nothing: it takes no part
    packages: tuple[str, ...] = ()  # what the application imports
    only: tuple[str, ...] = ()  # servers that take part; empty: all
    is_secure: bool = False  # the server speaks TLS
    is_unique: bool = False  # no request line, cookie or entity tag of a request comes twice
    workers: tuple[int, ...] = (1,)  # each server runs once with each of these, the fewest first
    scaling_goal: float = 0.0
    load_threads: int = 1  # of wrk


_APPS: Final = "benchmarks.apps"
_SECURE: Final = ("waitressd", "gunicorn", "cheroot", "granian", "nginx")  # those that speak TLS themselves
_HELLO: Final = {"waitress": 12.0, "granian": 1.2, "bjoern": 0.85}
_FRAMEWORK: Final = {"granian": 0.95}
_WITH_WORKERS: Final = ("waitressd", "gunicorn", "granian", "uwsgi")
_ON_EACH_CORE: Final = (*_WITH_WORKERS, "bjoern")  # which shares a port instead
_BEST: Final = {"granian": 1.0, "gunicorn": 1.0, "uwsgi": 1.0, "bjoern": 1.0}

SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("hello-1", "hello, 1 connection", f"{_APPS}:hello", connections=1, static="greeting"),
    Scenario(
        "hello-64", "hello, 64 connections", f"{_APPS}:hello",
        goals=_HELLO, cpu_goals={"bjoern": 1.35}, static="greeting",
    ),
    Scenario(
        "hello-512", "hello, 512 connections", f"{_APPS}:hello", connections=512, goals=_HELLO, static="greeting"
    ),
    Scenario(
        "hello-idle", "hello, 64 connections, 10,000 others idle", f"{_APPS}:hello",
        idle_connections=10_000, only=("waitressd",),
    ),
    Scenario(
        "new-connection", "a new connection for each request", f"{_APPS}:hello",
        fields=("Connection: close",), goals={"granian": 1.0, "bjoern": 0.85}, static="greeting",
    ),
    Scenario(
        "browser", "a browser's head, 10 KiB answer", f"{_APPS}:page",
        fields=BROWSER_FIELDS, goals={"bjoern": 0.9, "granian": 1.2}, static="page",
    ),
    Scenario(
        "unique", "nothing repeats", f"{_APPS}:unique", is_unique=True,
        goals={"granian": 1.0, "bjoern": 0.6}, cpu_goals={"granian": 1.0, "bjoern": 1.6},
    ),
    Scenario(
        "post-10k", "POST 10 KiB", f"{_APPS}:upload",
        body_bytes=10 * 1024, goals={"bjoern": 0.9, "granian": 1.0}, cpu_goals={"bjoern": 1.25},
    ),
    Scenario(
        "post-1m", "POST 1 MiB", f"{_APPS}:upload",
        connections=16, body_bytes=1024 * 1024, goals={"granian": 1.0, "uwsgi": 0.8}, cpu_goals={"granian": 1.0},
    ),
    Scenario(
        "stream", "200 chunks of 1 KiB streamed", f"{_APPS}:stream",
        connections=16, goals={"granian": 1.0}, cpu_goals={"granian": 1.0},
    ),
    Scenario(
        "download", "32 MiB file", f"{_APPS}:download", connections=8, goals={"gunicorn": 1.0}, static="file"
    ),
    Scenario(
        "block-1ms", "application waits 1 ms, 16 threads", f"{_APPS}:block_1_ms",
        threads=16, goals={"granian": 0.9}, cpu_goals={"granian": 1.2},
    ),
    Scenario(
        "block-10ms", "application waits 10 ms, 32 threads", f"{_APPS}:block_10_ms",
        threads=32, goals={"granian": 1.0}, cpu_goals={"granian": 1.2},
    ),
    Scenario(
        "block-1-in-100", "1 request in 100 waits 50 ms, 16 threads", f"{_APPS}:block_1_in_100",
        threads=16, goals={"granian": 1.0}, cpu_goals={"granian": 1.2},
    ),
    Scenario("burn-1ms", "application computes 1 ms", f"{_APPS}:burn_1_ms", goals={"bjoern": 1.0, "granian": 1.0}),
    Scenario(
        "tls-hello", "hello by TLS, 64 connections", f"{_APPS}:hello", is_secure=True, static="greeting",
        only=_SECURE, goals={"granian": 0.7, "gunicorn": 4.0, "cheroot": 4.0},
    ),
    Scenario(
        "tls-new-connection", "a new connection by TLS for each request", f"{_APPS}:hello", is_secure=True,
        fields=("Connection: close",), static="greeting", only=_SECURE, goals={"gunicorn": 2.5},
    ),
    Scenario(
        "pyramid", "Pyramid hello", f"{_APPS}.pyramid_hello:application",
        packages=("pyramid", "setuptools<81"), cpu_goals=_FRAMEWORK,
    ),
    Scenario(
        "django", "Django hello", f"{_APPS}.django_hello:application", packages=("django",), cpu_goals=_FRAMEWORK
    ),
    Scenario("flask", "Flask hello", f"{_APPS}.flask_hello:application", packages=("flask",), cpu_goals=_FRAMEWORK),
    Scenario(
        "workers-burn", "computes 2 ms, 32 connections", f"{_APPS}:burn_2_ms",
        connections=32, only=_WITH_WORKERS, workers=(1, 2), scaling_goal=1.8, load_threads=2,
    ),
    Scenario(
        "workers-hello", "hello, 64 connections", f"{_APPS}:hello",
        only=_WITH_WORKERS, workers=(1, 2), scaling_goal=1.5, load_threads=2,
    ),
    Scenario(
        "workers-unique", "nothing repeats, 64 connections", f"{_APPS}:unique", is_unique=True,
        only=_ON_EACH_CORE, workers=(1, 2), goals={"granian": 1.0}, cpu_goals={"granian": 1.0}, load_threads=2,
    ),
    Scenario(
        "workers-django", "Django hello, 64 connections", f"{_APPS}.django_hello:application", packages=("django",),
        only=_ON_EACH_CORE, workers=(1, 2), goals=_BEST, cpu_goals=_FRAMEWORK, load_threads=2,
    ),
    Scenario(
        "workers-flask", "Flask hello, 64 connections", f"{_APPS}.flask_hello:application", packages=("flask",),
        only=_ON_EACH_CORE, workers=(1, 2), goals=_BEST, cpu_goals=_FRAMEWORK, load_threads=2,
    ),
    Scenario(
        "workers-pyramid", "Pyramid hello, 64 connections", f"{_APPS}.pyramid_hello:application",
        packages=("pyramid", "setuptools<81"),
        only=_ON_EACH_CORE, workers=(1, 2), goals=_BEST, cpu_goals=_FRAMEWORK, load_threads=2,
    ),
    Scenario(
        "workers-stream", "200 chunks of 1 KiB streamed, 16 connections", f"{_APPS}:stream",
        connections=16, only=_ON_EACH_CORE, workers=(1, 2), goals={"granian": 1.0}, cpu_goals={"granian": 1.0},
    ),
    Scenario(
        "workers-block", "application waits 1 ms, 16 threads, 64 connections", f"{_APPS}:block_1_ms",
        threads=16, only=_WITH_WORKERS, workers=(1, 2), goals={"granian": 1.0}, cpu_goals={"granian": 1.2},
    ),
)  # fmt: skip
