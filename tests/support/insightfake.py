"""An admin address for the tests of what asks one: it answers with documents in the shapes that the manual promises.

The documents tell one story: two workers with eight threads each, six requests hang at the same line, twelve wait. A
test changes `InsightFake.documents` to tell another one.
"""

import json
import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import SHUT_RDWR, socket
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

Document = dict[str, Any]

HEAD: Final[Document] = {
    "at": "2026-11-26T03:12:47.114Z",
    "server": "shop",
    "version": "2.0",
    "life": "serving",
    "workers": [
        {"worker": 1, "pid": 4131, "answered": True, "silent_seconds": 0.0},
        {"worker": 2, "pid": 4132, "answered": True, "silent_seconds": 0.0},
    ],
}
"""The keys that every document begins with."""

PLACE: Final = "shop/reports.py:214 totals"
STACK: Final = [
    {"file": "waitressd/wsgi/task.py", "line": 78, "function": "WsgiHandler.__call__", "own": False},
    {"file": "pyramid/router.py", "line": 270, "function": "Router.__call__", "own": False},
    {"file": "shop/views.py", "line": 131, "function": "report", "own": True},
    {"file": "shop/reports.py", "line": 214, "function": "totals", "own": True},
    {"file": "sqlalchemy/engine/base.py", "line": 1969, "function": "_exec_single_context", "own": False},
    {"file": "psycopg/connection.py", "line": 891, "function": "Connection.wait", "own": False},
]
CODE: Final = [
    "status = self._run(environ)",
    "response = handle_request(request)",
    "return render(totals(request.dbsession, name))",
    'rows = session.execute(TOTALS, {"name": name}).all()',
    "self.dialect.do_execute(cursor, str_statement, effective_parameters, context)",
    "rv = waiting.wait(gen, self.pgconn.socket, interval=interval)",
]
"""The lines of `STACK`, which only one request by its id has."""


def request_row(number: int = 1, **changes: Any) -> Document:
    """Make a request that a thread has, with every key; `changes` replace some."""
    return {
        "id": f"1-{88100 + number}-14",
        "request_id": None,
        "worker": 1,
        "phase": "application",
        "age_seconds": 29.8,
        "phase_seconds": 28.9,
        "queue_seconds": 0.9,
        "method": "GET",
        "target": "/reports/q3",
        "has_query": False,
        "route": "/reports/{name}",
        "client": "10.0.4.17",
        "peer": f"10.0.4.17:{50000 + number}",
        "listener": "127.0.0.1:8080",
        "received_bytes": 412,
        "expected_bytes": None,
        "sent_bytes": 0,
        "pending_bytes": 0,
        "status": None,
        "answered_status": None,
        "thread": "waitressd-0",
        "native_id": 4140,
        "cpu_share": 0.0,
        "place": PLACE,
        "unchanged_seconds": 28.0,
        "limit_seconds": None,
        "overdue": False,
        "client_gone": False,
        "stack": None,
        **changes,
    }


def _elsewhere(number: int, phase: str, **changes: Any) -> Document:
    """Make a request that no thread has."""
    nothing = dict.fromkeys(("thread", "native_id", "cpu_share", "place", "unchanged_seconds"))
    return request_row(number, phase=phase, **{**nothing, **changes})


def _hung() -> list[Document]:
    hung = [
        ("GET", "/reports/annual", 41.3, "10.0.4.17"),
        ("GET", "/reports/q3", 29.8, "10.0.4.17"),
        ("POST", "/reports/export", 22.4, "10.0.7.2"),
        ("GET", "/reports/q1", 21.0, "10.0.7.2"),
        ("GET", "/reports/q2", 14.9, "10.0.7.9"),
        ("GET", "/reports/q4", 9.2, "10.0.7.9"),
    ]
    rows = [
        request_row(number, method=method, target=target, age_seconds=age, phase_seconds=age, client=client)
        for number, (method, target, age, client) in enumerate(hung, 1)
    ]
    rows[0] |= {"has_query": True, "overdue": True, "answered_status": 504, "limit_seconds": 30.0, "queue_seconds": 0.0}
    for row, thread in zip(rows, (3, 0, 5, 1, 4, 6), strict=True):
        row["thread"] = f"waitressd-{thread}"
    return rows


def _requests() -> list[Document]:
    rows = [
        *_hung(),
        request_row(
            7,
            target="/products/8841",
            route="/products/{id:\\d+}",
            age_seconds=8.1,
            client="88.12.5.201",
            queue_seconds=2.9,
            cpu_share=0.97,
            place="shop/views.py:88 product",
            unchanged_seconds=0.0,
            thread="waitressd-2",
        ),
        _elsewhere(
            8,
            "flush",
            target="/files/catalog.pdf",
            route="/files/*path",
            age_seconds=6.0,
            status=200,
            sent_bytes=7340032,
            pending_bytes=18874368,
        ),
    ]
    rows += [
        _elsewhere(20 + place, "queued", worker=2, id=f"2-{51000 + place}-1", target="/basket", route=None,
                   age_seconds=3.2 - place / 10, queue_seconds=3.2 - place / 10, client="88.12.5.77")
        for place in range(12)
    ]  # fmt: skip
    body = {"target": "/upload", "method": "POST", "route": None, "client": "198.51.100.61"}
    rows.append(
        _elsewhere(
            40, "body", **body, age_seconds=1.7, queue_seconds=0.0, received_bytes=6291456, expected_bytes=42047897
        )
    )
    return rows


def requests_document(parameters: Mapping[str, str]) -> Document:
    """Answer ``/requests``, with the parameters that choose."""
    rows = _requests()
    if "phase" in parameters:
        rows = [row for row in rows if row["phase"] == parameters["phase"]]
    if "route" in parameters:
        rows = [row for row in rows if row["route"] == parameters["route"]]
    if "worker" in parameters:
        rows = [row for row in rows if row["worker"] == int(parameters["worker"])]
    rows = [row for row in rows if row["age_seconds"] >= float(parameters.get("older", 0))]
    if parameters.get("stack") == "1":
        for row in rows:
            row["stack"] = deepcopy(STACK) if row["phase"] == "application" else None
    document = {**HEAD, "total": len(rows), "requests": rows[: int(parameters.get("limit", 200))]}
    if parameters.get("group") == "1":
        document["places"] = _places(rows)
    return document


def _places(rows: list[Document]) -> list[Document]:
    places: dict[str, list[Document]] = {}
    for row in rows:
        if row["place"]:
            places.setdefault(row["place"], []).append(row)
    return [
        {
            "place": place,
            "count": len(found),
            "oldest_seconds": max(row["age_seconds"] for row in found),
            "ids": [row["id"] for row in found],
        }
        for place, found in places.items()
    ]


def one_request(identity: str) -> Document | None:
    """Answer ``/requests/ID``: one row, whose stack has its code; None if there is none."""
    for row in _requests():
        if row["id"] == identity:
            row["stack"] = [{**frame, "code": code} for frame, code in zip(STACK, CODE, strict=True)]
            return {**HEAD, **row}
    return None


def connections_document(parameters: Mapping[str, str]) -> Document:
    """Answer ``/connections``."""
    rows = [
        {
            "id": f"1-{88000 + number}",
            "state": "idle",
            "state_seconds": 118.0 - number,
            "age_seconds": 300.0 - number,
            "deadline_seconds": 2.0 + number,
            "client": "10.0.4.17",
            "peer": f"10.0.4.17:{50000 + number}",
            "listener": "127.0.0.1:8080",
            "requests": 14,
            "received_bytes": 5768,
            "sent_bytes": 91230,
            "pending_bytes": 0,
            "method": None,
            "target": None,
        }
        for number in range(20)
    ]
    states = {"idle": (2370, 118.0), "head": (9, 4.1), "body": (3, 9.9), "running": (14, 41.3), "flushing": (21, 21.0)}
    return {
        **HEAD,
        "total": 2417,
        "limit_count": 10000,
        "states": {name: {"count": count, "oldest_seconds": oldest} for name, (count, oldest) in states.items()},
        "clients": [{"client": "10.0.4.17", "count": 1200}, {"client": "88.12.5.77", "count": 31}],
        "connections": rows[int(parameters.get("offset", 0)) :][: int(parameters.get("limit", 1000))],
    }


def threads_document(parameters: Mapping[str, str]) -> Document:
    """Answer ``/threads``."""
    stack = deepcopy(STACK) if parameters.get("stack") == "1" else None
    rows = [
        ("waitressd-0", "task", 28.9, "1-88102-14", PLACE),
        ("waitressd-7", "waiting", None, None, None),
        ("MainThread", "dispatcher", None, None, "selectors.py:452 select"),
        ("waitressd-insight", "insight", None, None, None),
    ]
    return {
        **HEAD,
        "threads": [
            {
                "name": name,
                "role": role,
                "native_id": 4140 + number,
                "busy_seconds": busy,
                "request": request,
                "cpu_share": 0.0,
                "place": place,
                "stack": stack if request else None,
            }
            for number, (name, role, busy, request, place) in enumerate(rows)
        ],
    }


def ended_request(**changes: Any) -> Document:
    """Make a request of ``/slow``, with every key."""
    return {
        "at": "2026-11-26T03:12:31.007Z",
        "id": "1-88090-3",
        "request_id": None,
        "method": "GET",
        "target": "/reports/q2",
        "route": "/reports/{name}",
        "status": 200,
        "ended_by": "complete",
        "client": "10.0.4.17",
        "receive_seconds": 0.0,
        "queue_seconds": 0.9,
        "application_seconds": 27.6,
        "flush_seconds": 0.2,
        "total_seconds": 28.7,
        "received_bytes": 412,
        "sent_bytes": 20480,
        "detail": None,
        "exception": None,
        "place": PLACE,
        "stack": deepcopy(STACK),
        **changes,
    }


def slow_document(_parameters: Mapping[str, str]) -> Document:
    """Answer ``/slow``."""
    failed = ended_request(
        id="1-88095-1", method="POST", target="/basket/add", route="/basket/add", status=500, total_seconds=0.19,
        exception="KeyError: 'sku' (shop/views.py:341 add)", place=None, stack=None,
    )  # fmt: skip
    refused = ended_request(
        id="2-51001-1", target="/basket", status=503, ended_by="refused", total_seconds=30.0, queue_seconds=30.0,
        application_seconds=0.0, detail="no thread in 30 s", place=None, stack=None,
    )  # fmt: skip
    return {**HEAD, "threshold_seconds": 1.0, "slow": [ended_request()], "failed": [failed, refused]}


FINDINGS: Final = [
    {
        "code": "WD03",
        "severity": "bad",
        "text": "All 8 threads of worker 1 are busy, 12 requests wait (3.2 s); 6 hang at shop/reports.py:214 totals",
        "ids": ["2-51000-1"],
    },
    {
        "code": "WD04",
        "severity": "warn",
        "text": "6 of 14 busy threads are at the same line for 28 s: shop/reports.py:214 totals",
        "ids": ["1-88101-14", "1-88102-14"],
    },
]

_BOUNDS: Final = (0.001, 0.01, 0.1, 1.0, 10.0)


def _phase(mean: float, p50: float, p90: float, p99: float) -> Document:
    buckets = [[bound, 100 * number] for number, bound in enumerate(_BOUNDS, 1)]
    return {"count": 2340, "mean": mean, "p50": p50, "p90": p90, "p99": p99, "buckets": buckets}


def _history() -> Document:
    """Tell the last five minutes: the load is steady, and a queue has grown since half a minute."""
    history = [230.0 + 20 * (number % 7) for number in range(150)]
    queue = [0.0] * 130 + [float(number) for number in range(20)]
    return {
        "step_seconds": 2,
        "requests": history,
        "2xx": history,
        "5xx": [0.0] * 150,
        "queue": queue,
        "p50": [0.01] * 150,
        "p90": [0.05] * 150,
        "p99": [0.2] * 150,
    }


def stats_document(_parameters: Mapping[str, str]) -> Document:
    """Answer ``/stats``."""
    mean = {"receive": 0.0, "queue": 0.3, "application": 3.8, "flush": 0.0}
    return {
        **HEAD,
        "uptime_seconds": 273_600.0,
        "rates": {"requests": 234.0, "2xx": 171.0, "3xx": 33.0, "4xx": 14.0, "5xx": 17.0, "refused": 0.4},
        "phases": {
            "receive": _phase(0.001, 0.001, 0.002, 0.01),
            "queue": _phase(0.4, 0.01, 0.4, 3.3),
            "application": _phase(0.15, 0.03, 0.2, 1.2),
            "flush": _phase(0.02, 0.001, 0.01, 0.15),
            "total": _phase(0.571, 0.041, 0.608, 4.67),
        },
        "routes": [
            {
                "route": "/reports/{name}",
                "requests": 3,
                "failed": 1,
                "p50": 4.1,
                "p90": 29.0,
                "p99": 41.0,
                "mean": mean,
            },
            {"route": "/basket", "requests": 240, "failed": 3, "p50": 0.041, "p90": 2.2, "p99": 4.6, "mean": mean},
        ],
        "threads": {"busy": 14, "idle": 2, "overdue": 1, "limit": 16},
        "queue": {"depth": 12, "oldest_seconds": 3.2, "limit": 1000},
        "connections": {
            "idle": 2370,
            "head": 9,
            "body": 3,
            "queued": 12,
            "running": 14,
            "flushing": 21,
            "lingering": 2,
        },
        "process": {"rss_bytes": 432013312, "cpu_share": 0.6, "fds": 2460, "fd_limit": 65536},
        "findings": FINDINGS,
        "history": _history(),
    }


COLLAPSED: Final = """\
/reports/{name};pyramid.router:Router.__call__:270;shop.views:report:131;shop.reports:totals:214 4300000
/products/{id};pyramid.router:Router.__call__:270;shop.views:product:88 700000
(498 samples in 5.002 s) 0
"""


@dataclass(frozen=True)
class Asked:
    """A question that came, for a test to look at."""

    method: str
    path: str
    parameters: Mapping[str, str]
    fields: Mapping[str, str]
    """With names in lower case."""


@dataclass(frozen=True)
class Reply:
    """What is answered, byte for byte."""

    status: int
    body: bytes
    content_type: str = "application/json"
    fields: Mapping[str, str] = field(default_factory=dict)


def in_json(document: object, status: int = 200) -> Reply:
    """Answer with a document."""
    return Reply(status, json.dumps(document).encode())


Answerer = Callable[[Asked], Reply]


def _default_documents() -> dict[str, Answerer]:
    def document(make: Callable[[Mapping[str, str]], Document]) -> Answerer:
        return lambda asked: in_json(make(asked.parameters))

    def profile(asked: Asked) -> Reply:
        if asked.parameters.get("format") == "speedscope":
            return in_json({"$schema": "https://www.speedscope.app/file-format-schema.json", "profiles": []})
        return Reply(200, COLLAPSED.encode(), "text/plain; charset=utf-8")

    return {
        "/live": lambda _: in_json({**HEAD, "live": True}),
        "/ready": lambda _: in_json({**HEAD, "ready": True}),
        "/requests": document(requests_document),
        "/connections": document(connections_document),
        "/threads": document(threads_document),
        "/slow": document(slow_document),
        "/stats": document(stats_document),
        "/profile": profile,
        "/control/drain": lambda _: in_json({**HEAD, "life": "leaving"}, 202),
        "/control/cancel": lambda _: in_json(HEAD, 202),
    }


class InsightFake:
    """An admin address whose answers a test chooses. Made by `insight_fake`; answers in threads of its own."""

    def __init__(self, token: str) -> None:
        self.token = token
        """What a question must bring, unless it is empty."""
        self.documents: dict[str, Answerer] = _default_documents()
        """What each path answers; ``/requests/ID`` is known besides."""
        self.asked: list[Asked] = []
        """The questions so far, in order."""
        self.address = ""
        """As ``admin_listen`` takes it."""
        self.connections: set[socket] = set()
        """Those that are open; a client may keep one, and the end does not wait for it."""

    def answer(self, asked: Asked) -> Reply:
        """Answer one question, in the thread of its connection."""
        self.asked.append(asked)
        if self.token and asked.fields.get("authorization") != f"Bearer {self.token}":
            return in_json({"error": "a token is needed", "setting": "admin_token_file"}, 401)
        if asked.path in self.documents:
            if asked.path.startswith("/control/") and asked.method != "POST":
                return in_json({"error": "POST changes, GET does not"}, 405)
            if asked.method == "POST" and asked.fields.get("x-waitressd-control") != "1":
                return in_json({"error": "the field X-Waitressd-Control is missing"}, 403)
            return self.documents[asked.path](asked)
        if asked.path.startswith("/requests/") and (found := one_request(asked.path.rpartition("/")[2])):
            return in_json(found)
        return in_json({"error": f"there is no {asked.path}", "endpoints": sorted(self.documents)}, 404)


def _handler(fake: InsightFake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            fake.connections.add(self.request)
            super().setup()

        def finish(self) -> None:
            super().finish()
            fake.connections.discard(self.request)

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = urlsplit(self.path)
            fields = {name.lower(): value for name, value in self.headers.items()}
            reply = fake.answer(Asked(self.command, url.path, dict(parse_qsl(url.query)), fields))
            self.send_response(reply.status)
            named = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body)), **reply.fields}
            for name, value in named.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else reply.body)

        def do_POST(self) -> None:
            self.do_GET()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


@contextmanager
def insight_fake(unix_path: Path | None = None, token: str = "") -> Iterator[InsightFake]:
    """Run an admin address on a free port of 127.0.0.1, or on a Unix socket; it is gone at the end."""
    fake = InsightFake(token)
    handler = _handler(fake)
    server: socketserver.BaseServer
    if unix_path:
        server = socketserver.ThreadingUnixStreamServer(str(unix_path), handler)
        fake.address = f"unix:{unix_path}"
    else:
        tcp = _TcpServer(("127.0.0.1", 0), handler)
        fake.address = f"127.0.0.1:{tcp.server_address[1]}"
        server = tcp
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        for connection in list(fake.connections):
            with suppress(OSError):  # the client was faster
                connection.shutdown(SHUT_RDWR)
        server.server_close()
        if unix_path:
            unix_path.unlink()


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
