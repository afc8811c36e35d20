"""What an admin address may say, for tests of those who show it: a shop in trouble, a server at rest, hostile clients.

Each scene is a table from a path to a JSON document with the keys that the real endpoints have. The figures of the shop
are those of the pictures in the manual, and are the same in each run.
"""

import math
import random
from collections.abc import Callable
from typing import Any, Final

Document = dict[str, Any]
Scene = dict[str, Document]

STEPS: Final = 150
BOUNDS: Final = [
    round(unit * factor, 6)
    for unit in (0.001, 0.01, 0.1, 1.0, 10.0)
    for factor in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5)
]

RIGHT_TO_LEFT: Final = "/\u05e9\u05dc\u05d5\u05dd/\u202egnp.exe"
"""Hebrew letters, and the control that would turn what follows around."""


def _head(**more: Any) -> Document:
    workers = [
        {"worker": 1, "pid": 4131, "answered": True, "silent_seconds": 0.0},
        {"worker": 2, "pid": 4132, "answered": True, "silent_seconds": 0.0},
    ]
    head = {
        "at": "2026-11-26T03:12:47.114Z",
        "server": "shop",
        "version": "1.0.0",
        "life": "serving",
        "workers": workers,
    }
    return head | more


def _frame(file: str, line: int, function: str, code: str = "") -> Document:
    is_own = file.startswith("shop/")
    return {"file": file, "line": line, "function": function, "own": is_own} | ({"code": code} if code else {})


STACK: Final = [
    _frame(
        "waitressd/wsgi/handler.py",
        78,
        "WsgiHandler.__call__",
        "for chunk in self.application(environ, start_response):",
    ),
    _frame("pyramid/router.py", 270, "Router.__call__", "response = self.execution_policy(environ, self)"),
    _frame("pyramid/tweens.py", 43, "excview_tween", "response = handler(request)"),
    _frame("pyramid_tm/__init__.py", 171, "tm_tween", "response = handler(request)"),
    _frame("shop/views.py", 131, "report", "return render(totals(request.dbsession, name))"),
    _frame("shop/reports.py", 214, "totals", 'rows = session.execute(TOTALS, {"name": name}).all()'),
    _frame(
        "sqlalchemy/engine/base.py",
        1969,
        "Connection._exec_single_context",
        "self.dialect.do_execute(cursor, statement, parameters)",
    ),
    _frame("psycopg/connection.py", 891, "Connection.wait", "return waiting.wait(gen, self.pgconn.socket, interval)"),
]
STUCK_AT: Final = "shop/reports.py:214 totals"


def request(number: int, phase: str, age: float, target: str, **more: Any) -> Document:
    """Return a row of `/requests` with every key; what is not given is unknown, or as for a request that just began."""
    row: Document = dict.fromkeys(
        (
            "request_id",
            "route",
            "expected_bytes",
            "status",
            "thread",
            "native_id",
            "cpu_share",
            "place",
            "limit_seconds",
            "answered_status",
        )
    )
    row |= {
        "id": f"1-{88100 + number}-{number % 7 + 1}",
        "worker": 1,
        "phase": phase,
        "age_seconds": age,
        "phase_seconds": age,
        "queue_seconds": 0.0,
        "method": "GET",
        "target": target,
        "has_query": False,
        "client": "198.51.100.4",
        "peer": "198.51.100.4:51234",
        "listener": "0.0.0.0:8080",
        "received_bytes": 412,
        "sent_bytes": 0,
        "pending_bytes": 0,
        "unchanged_seconds": 0.0,
        "overdue": False,
        "client_gone": False,
        "stack": None,
    }
    return row | more


def _in_thread(number: int, age: float, target: str, **more: Any) -> Document:
    thread = {"thread": f"waitressd-{number % 8}", "native_id": 4200 + number, "cpu_share": 0.0}
    return request(number, "application", age, target, **(thread | more))


def _stuck(number: int, age: float, target: str, **more: Any) -> Document:
    place = {"route": "/reports/{name}", "place": STUCK_AT, "unchanged_seconds": age - 0.1, "limit_seconds": 30.0}
    return _in_thread(number, age, target, **(place | {"client": "10.0.4.17"} | more))


def _hung() -> list[Document]:
    first = {"request_id": "9f4c02d1e8b74c51a0c2e6d7b1f3a955", "overdue": True, "answered_status": 504}
    return [
        _stuck(20, 41.3, "/reports/annual", has_query=True, queue_seconds=0.002, **first),
        _stuck(14, 29.8, "/reports/q3", queue_seconds=0.9),
        _stuck(15, 22.4, "/reports/export", queue_seconds=1.4, method="POST", received_bytes=1840, client="10.0.7.2"),
        _stuck(16, 14.2, "/reports/q4", queue_seconds=1.9),
        _stuck(17, 12.0, "/reports/q2", queue_seconds=2.2),
        _stuck(18, 9.7, "/reports/vat", queue_seconds=2.3),
        _stuck(31, 8.9, "/reports/q1", queue_seconds=2.4, worker=2),
        _stuck(32, 7.7, "/reports/q3", queue_seconds=2.4, worker=2, client="10.0.7.2"),
        _stuck(33, 6.9, "/reports/annual", queue_seconds=2.6, worker=2),
    ]


def _busy() -> list[Document]:
    product = {"route": r"/products/{id:\d+}", "queue_seconds": 0.01}
    slow = {"place": "shop/views.py:88 product", "cpu_share": 0.97, "client": "88.12.5.201"}
    rows = [_in_thread(11, 8.1, "/products/8841", **(product | slow))]
    for number in range(6):
        place = "shop/templates.py:52 render" if number % 2 else "shop/models.py:310 Product.prices"
        more = product | {"place": place, "cpu_share": 0.11, "worker": 2, "client": f"88.12.5.{30 + number}"}
        rows.append(_in_thread(21 + number, 0.9 - number / 9, f"/products/{1200 + number * 37}", **more))
    return rows


def _waiting() -> list[Document]:
    wanted = [("/basket", "/basket"), ("/", "/"), ("/products/771", r"/products/{id:\d+}"), ("/search", "/search")]
    rows = []
    for number in range(12):
        age = 3.2 - number * 0.21
        target, route = wanted[number % 4]
        more = {"route": route, "queue_seconds": age, "client": f"198.51.100.{4 + number}"}
        rows.append(request(40 + number, "queued", age, target, **more))
    return rows


def _moving() -> list[Document]:
    upload = {"method": "POST", "received_bytes": 6_291_456, "expected_bytes": 42_047_897, "client": "198.51.100.61"}
    download = {"route": "/files/*path", "sent_bytes": 18_874_368, "pending_bytes": 2_310_144, "status": 200}
    return [
        request(12, "flush", 6.0, "/files/catalog.pdf", client="203.0.113.9", phase_seconds=5.6, **download),
        request(60, "body", 1.7, "/upload", **upload),
        request(61, "head", 0.4, "", method=None, received_bytes=96, client="203.0.113.80"),
    ]


def shop_requests() -> list[Document]:
    """Return sixteen requests in threads, twelve that wait, and some that come and go."""
    return sorted([*_hung(), *_busy(), *_waiting(), *_moving()], key=lambda row: -row["age_seconds"])


def _requests_document(rows: list[Document]) -> Document:
    at: dict[str, list[Document]] = {}
    for row in rows:
        if row["place"]:
            at.setdefault(row["place"], []).append(row)
    places = [
        {
            "place": place,
            "count": len(there),
            "oldest_seconds": there[0]["age_seconds"],
            "ids": [row["id"] for row in there],
        }
        for place, there in at.items()
    ]
    return _head(total=len(rows), requests=rows, places=places)


def _history() -> Document:
    dice = random.Random(7)
    names = ("requests", "2xx", "3xx", "4xx", "5xx", "p50", "p90", "p99", "busy_threads", "queue")
    history: dict[str, list[float]] = {name: [] for name in names}
    for step in range(STEPS):
        late = max(0, step - 105)
        slower = max(0.35, 1 - late / 70)
        row = {
            "2xx": (410 + 60 * math.sin(step / 17) + 30 * dice.random()) * slower,
            "3xx": 30 + 8 * dice.random(),
            "4xx": 9 + 5 * dice.random(),
            "5xx": late * 0.35 + 3 * dice.random() if late else (2.0 if dice.random() > 0.95 else 0.2),
        }
        row["requests"] = sum(row.values())
        growth = 1.055**late
        row["p50"] = 0.011 * (1 + 0.2 * dice.random()) * math.sqrt(growth)
        row["p90"] = 0.048 * (1 + 0.3 * dice.random()) * growth
        row["p99"] = min(0.21 * (1 + 0.5 * dice.random()) * growth**1.25, 4.6 + dice.random() / 3)
        row["busy_threads"] = 16 if late else 5 + int(4 * dice.random())
        row["queue"] = late // 4
        for name, value in row.items():
            history[name].append(round(value, 4))
    return {"step_seconds": 2, **history}


def _phase(
    count: int, mean: float, quantiles: tuple[float, float, float], humps: list[tuple[float, float, float]]
) -> Document:
    """Return the figures of one phase; each hump is (height, middle in seconds, width in decades)."""
    shape = [
        sum(tall * math.exp(-((math.log10(bound / middle) / wide) ** 2)) for tall, middle, wide in humps)
        for bound in BOUNDS
    ]
    scale = count / sum(shape)
    p50, p90, p99 = quantiles
    buckets = [*([bound, round(value * scale)] for bound, value in zip(BOUNDS, shape, strict=True)), [None, 0]]
    return {"count": count, "mean": mean, "p50": p50, "p90": p90, "p99": p99, "buckets": buckets}


def _route(
    route: str, requests: int, failed: int, quantiles: tuple[float, float, float], shares: tuple[int, ...]
) -> Document:
    p50, p90, p99 = quantiles
    phases = ("receive", "queue", "application", "flush")
    mean = {phase: p50 * 1.2 * share / 100 for phase, share in zip(phases, shares, strict=True)}
    return {"route": route, "requests": requests, "failed": failed, "p50": p50, "p90": p90, "p99": p99, "mean": mean}


def _finding(code: str, severity: str, text: str, rows: list[Document]) -> Document:
    return {"code": code, "severity": severity, "text": text, "ids": [row["id"] for row in rows]}


def _shop_findings() -> list[Document]:
    late = "One request is past its time limit of 30 s and still holds a thread; its client was answered 504."
    there = f"9 of 16 busy threads are at the same place, {STUCK_AT}, the first for 41 s."
    return [
        _finding("WD03", "bad", "All 16 threads are busy, and 12 requests wait, the first for 3.2 s.", _waiting()),
        _finding("WD07", "bad", late, _hung()[:1]),
        _finding("WD04", "warn", there, _hung()),
        _finding("WD05", "warn", "Waiting for a thread was 71 % of the time to answer in the last minute.", []),
    ]


def shop_stats() -> Document:
    """Return what `/stats` says while reports hang in the database."""
    phases = {
        "total": _phase(9540, 0.61, (0.041, 0.608, 4.67), [(1, 0.025, 0.33), (0.3, 3.5, 0.2)]),
        "receive": _phase(9540, 0.004, (0.001, 0.002, 0.05), [(1, 0.001, 0.2), (0.02, 2.0, 0.4)]),
        "queue": _phase(9540, 0.43, (0.004, 0.4, 3.3), [(1, 0.004, 0.4), (0.4, 2.6, 0.2)]),
        "application": _phase(9540, 0.16, (0.022, 0.11, 0.9), [(1, 0.022, 0.35)]),
        "flush": _phase(9540, 0.02, (0.001, 0.002, 0.3), [(1, 0.001, 0.2), (0.05, 1.0, 0.5)]),
    }
    routes = [
        _route("/reports/{name}", 18, 7, (4.1, 29.0, 41.0), (0, 8, 90, 2)),
        _route(r"/products/{id:\d+}", 3660, 7, (0.062, 2.4, 4.9), (1, 71, 27, 1)),
        _route("/basket", 1440, 16, (0.041, 2.2, 4.6), (1, 78, 20, 1)),
        _route("/files/*path", 186, 0, (0.9, 6.2, 11.0), (0, 9, 2, 89)),
        _route("/", 3946, 4, (0.012, 0.31, 3.9), (2, 80, 17, 1)),
        _route("/upload", 24, 0, (2.2, 6.1, 9.8), (86, 4, 9, 1)),
        _route("", 114, 0, (0.002, 0.004, 0.02), (30, 20, 45, 5)),
    ]
    per_second = {"requests": 234.1, "none": 0.1, "2xx": 170.7, "3xx": 33.0, "4xx": 13.5, "5xx": 9.6, "refused": 0.1}
    return _head(
        uptime_seconds=273_840.0,
        window_seconds=60,
        rates=per_second,
        phases=phases,
        routes=routes,
        threads={"busy": 16, "idle": 0, "overdue": 1, "limit": 16},
        queue={"depth": 12, "oldest_seconds": 3.2, "limit": 1000},
        connections=2431,
        connection_limit=8000,
        process={"rss_bytes": 431_800_320, "cpu_share": 0.62, "fds": 2561, "fd_limit": 65536},
        findings=_shop_findings(),
        history=_history(),
    )


def ended(at: str, number: int, target: str, phases: tuple[float, float, float, float], **more: Any) -> Document:
    """Return a row of `/slow` with every key; the phases are receive, queue, application and flush."""
    receive, queue, application, flush = phases
    row: Document = dict.fromkeys(("request_id", "route", "exception", "place", "stack"))
    return (
        row
        | {
            "at": f"2026-11-26T{at}Z",
            "id": f"1-{87000 + number}-1",
            "method": "GET",
            "target": target,
            "status": 200,
            "ended_by": "complete",
            "client": "198.51.100.4",
            "receive_seconds": receive,
            "queue_seconds": queue,
            "application_seconds": application,
            "flush_seconds": flush,
            "total_seconds": sum(phases),
            "received_bytes": 420,
            "sent_bytes": 18_020,
            "detail": "The application took its time.",
        }
        | more
    )


def shop_slow() -> Document:
    """Return what was slow or failed in the shop."""
    report = {"place": STUCK_AT, "stack": STACK, "route": "/reports/{name}"}
    download = {"route": "/files/*path", "detail": "The client took the answer slowly."}
    lost = {"status": None, "ended_by": "client", "detail": "The client left."}
    refused = {"status": 503, "ended_by": "refused", "detail": "No thread was free for 30 s."}
    late = {"status": 504, "ended_by": "timeout", "detail": "It was past its time limit.", "has_query": True}
    broken = {"method": "POST", "status": 500, "exception": "KeyError: 'sku' (shop/views.py:341 add)"}
    slow = [
        ended("03:12:40.701", 33, "/search", (0.0, 3.1, 0.2, 0.0), route="/search", detail="It waited for a thread."),
        ended("03:12:31.210", 31, "/reports/q2", (0.0, 0.9, 27.4, 0.3), **report),
        ended("03:11:58.040", 32, "/files/catalog.pdf", (0.0, 0.0, 0.2, 21.0), **download),
    ]
    failed = [
        ended("03:12:44.873", 41, "/basket", (0.0, 30.0, 0.0, 0.0), **refused),
        ended("03:12:35.114", 42, "/reports/annual", (0.0, 0.3, 29.7, 0.0), **(report | late)),
        ended("03:12:12.480", 43, "/basket/add", (0.01, 0.11, 0.07, 0.0), **broken),
        ended("03:11:40.902", 44, "/products/771", (0.0, 5.4, 0.7, 0.0), **lost),
    ]
    return _head(threshold_seconds=1.0, slow=slow, failed=failed)


def shop_connections() -> Document:
    """Return how many connections of which kind the shop has."""
    states = {
        "proxy": (0, None),
        "handshake": (0, None),
        "idle": (2370, 118.0),
        "head": (9, 4.1),
        "body": (3, 9.9),
        "queued": (12, 3.2),
        "running": (16, 41.3),
        "flushing": (21, 21.0),
        "lingering": (2, 0.8),
    }
    clients = [
        {"client": "10.0.4.17", "count": 41},
        {"client": "88.12.5.77", "count": 12},
        {"client": "203.0.113.9", "count": 8},
    ]
    counted = {state: {"count": number, "oldest_seconds": oldest} for state, (number, oldest) in states.items()}
    return _head(total=2431, limit_count=8000, states=counted, clients=clients, connections=[])


SAMPLES: Final = r"""
305 /reports/{name};pyramid.router:Router.__call__;shop.views:report;shop.reports:totals;sqlalchemy.engine:_execute;psycopg.connection:wait
10 /reports/{name};pyramid.router:Router.__call__;shop.views:report;mako.runtime:_render
48 /products/{id:\d+};pyramid.router:Router.__call__;shop.views:product;shop.templates:render;mako.runtime:_render
27 /products/{id:\d+};pyramid.router:Router.__call__;shop.views:product;shop.templates:render;mako.filters:html_escape
40 /products/{id:\d+};pyramid.router:Router.__call__;shop.views:product;shop.models:Product.prices;sqlalchemy.engine:_execute
12 /products/{id:\d+};pyramid.router:Router.__call__;shop.views:product;json.encoder:encode
38 /;pyramid.router:Router.__call__;shop.views:home;mako.runtime:_render
20 /;pyramid.router:Router.__call__;pyramid_tm:tm_tween;transaction._manager:commit
"""  # noqa: E501 - one sample a line
"""How often each stack was seen, a hundred times a second."""


def shop_profile() -> Document:
    """Return a profile as speedscope reads it: most of the time is in the database, below `totals`."""
    samples = [line.partition(" ") for line in SAMPLES.strip().splitlines()]
    names = sorted({name for _, _, stack in samples for name in stack.split(";")})
    frames = [
        {"name": name, "file": f"{name.split(':')[0].replace('.', '/')}.py", "line": 10 + 7 * at}
        if ":" in name and not name.startswith("/")
        else {"name": name}
        for at, name in enumerate(names)
    ]
    profile = {
        "type": "sampled",
        "name": "shop",
        "unit": "seconds",
        "startValue": 0,
        "endValue": 5,
        "samples": [[names.index(name) for name in stack.split(";")] for _, _, stack in samples],
        "weights": [int(number) / 100 for number, _, _ in samples],
    }
    schema = "https://www.speedscope.app/file-format-schema.json"
    return {"$schema": schema, "shared": {"frames": frames}, "profiles": [profile]}


def shop() -> Scene:
    """Return a shop whose reports hang in the database: all threads of a worker are busy, and requests wait."""
    return {
        "stats": shop_stats(),
        "requests": _requests_document(shop_requests()),
        "slow": shop_slow(),
        "connections": shop_connections(),
        "profile": shop_profile(),
    }


def at_rest() -> Scene:
    """Return a server that was just started, and that nobody has asked anything."""
    workers = [{"worker": 1, "pid": 4131, "answered": True, "silent_seconds": 0.0}]
    none = {
        "count": 0,
        "mean": None,
        "p50": None,
        "p90": None,
        "p99": None,
        "buckets": [[bound, 0] for bound in BOUNDS],
    }
    names = ("requests", "2xx", "3xx", "4xx", "5xx", "p50", "p90", "p99", "busy_threads", "queue")
    stats = _head(
        workers=workers,
        uptime_seconds=3.0,
        findings=[],
        routes=[],
        connections=0,
        history={"step_seconds": 2} | {name: [] for name in names},
        rates=dict.fromkeys(("requests", "2xx", "3xx", "4xx", "5xx", "refused"), 0.0),
        queue={"depth": 0, "oldest_seconds": None, "limit": 1000},
        phases=dict.fromkeys(("total", "receive", "queue", "application", "flush"), none),
        threads={"busy": 0, "idle": 8, "overdue": 0, "limit": 8},
        process={"rss_bytes": 31_000_000, "cpu_share": 0.0, "fds": 12, "fd_limit": 1024},
    )
    return {
        "stats": stats,
        "requests": _head(workers=workers, total=0, requests=[], places=[]),
        "slow": _head(workers=workers, threshold_seconds=1.0, slow=[], failed=[]),
        "connections": _head(workers=workers, total=0, limit_count=8000, states={}, clients=[], connections=[]),
        "profile": {"shared": {"frames": []}, "profiles": [{"samples": [], "weights": []}]},
    }


def _without_values(value: Any) -> Any:
    """Return the same lists and objects, and null for everything else."""
    if isinstance(value, dict):
        return {
            key: inner if key in {"id", "route", "place"} else _without_values(inner) for key, inner in value.items()
        }
    return [_without_values(inner) for inner in value] if isinstance(value, list) else None


def unknown() -> Scene:
    """Return the shop of which nothing is known: each value is null, each list has its rows."""
    scene = shop()
    return {path: _without_values(document) for path, document in scene.items() if path != "profile"} | {
        "profile": scene["profile"]
    }


HOSTILE: Final = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"'><svg/onload=alert(1)>",
    RIGHT_TO_LEFT,
    "/" + "a" * 1_000_000,
    "/z\u0300" + "\u0301" * 400,
    "/tab\there\x00\x1b[31mred\x7f\u200b\u2028",
    "javascript:alert(1)",
    "/\ud83d\ude00/\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "/%3Cscript%3E",
    "/" + "\u0fd5" * 300,
    "{{constructor}}${7*7}",
)


def hostile() -> Scene:
    """Return a server whose clients put markup, controls and too much of everything into what they send."""
    scene = shop()
    rows = [
        _in_thread(
            number,
            5.0 - number / 9,
            text,
            method=text[:24],
            route=text[:200],
            client=text[:60],
            place=text[:300],
            thread=text[:40],
        )
        | {"request_id": text[:200], "id": f"1-{number}-1{'<b>' if number == 0 else ''}"}
        for number, text in enumerate(HOSTILE)
    ]
    scene["requests"] = _requests_document(rows)
    exception = f"{HOSTILE[0]}: {HOSTILE[1]} ({HOSTILE[2]})"
    scene["slow"]["failed"] = [
        ended(
            "03:12:44.873",
            number,
            text,
            (0.1, 0.1, 0.1, 0.1),
            status=500,
            detail=text[:300],
            exception=exception,
            route=text[:200],
        )
        for number, text in enumerate(HOSTILE)
    ]
    scene["stats"]["server"] = HOSTILE[0]
    scene["stats"]["routes"] = [_route(text[:200], 3, 0, (0.1, 0.2, 0.3), (1, 2, 3, 4)) for text in HOSTILE]
    scene["stats"]["findings"] = [
        {"code": "WD06", "severity": "warn", "text": f"One client, {text[:200]}, holds 9 threads.", "ids": [HOSTILE[0]]}
        for text in HOSTILE
    ]
    scene["connections"]["clients"] = [{"client": text[:60], "count": 9} for text in HOSTILE[:3]]
    for frame in scene["profile"]["shared"]["frames"]:
        frame["name"] = HOSTILE[0]
    return scene


def crowd() -> Scene:
    """Return a server with two hundred rows and nine findings."""
    scene = shop()
    rows = [
        _in_thread(
            number,
            200.0 - number,
            f"/items/{number}",
            route="/items/{number}",
            place=f"shop/items.py:{number % 5} item",
        )
        for number in range(200)
    ]
    scene["requests"] = _requests_document(rows) | {"total": 2317}
    scene["stats"]["threads"] = {"busy": 230, "idle": 26, "overdue": 3, "limit": 256}
    scene["stats"]["findings"] = [
        {
            "code": f"WD{number:02}",
            "severity": "bad" if number < 4 else "warn",
            "text": f"Finding number {number} of nine, about two requests.",
            "ids": [rows[number]["id"], rows[-number]["id"]],
        }
        for number in range(1, 10)
    ]
    return scene


SCENES: Final[dict[str, Callable[[], Scene]]] = {
    "shop": shop,
    "at_rest": at_rest,
    "unknown": unknown,
    "hostile": hostile,
    "crowd": crowd,
}
