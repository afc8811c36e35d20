"""Documents as tables and lines: what of each is worth a column, and in which words.

Values in, values out; who prints them cuts and colours them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from waitressd.tools.documents import Document
from waitressd.tools.tables import Column, Flow, Line, Part, Row, Table
from waitressd.tools.texts import gauge, long_time, number, percent, short_time, size, sparkline, tenths
from waitressd.tools.workerviews import workers

_THREAD_NUMBER: Final = re.compile(r"waitressd\D*(\d+)")
_URGENT_SECONDS: Final = 10.0
"""A request in a thread for longer is shown as urgent, also without a limit."""
_SEVERITIES: Final = {"bad": "bad", "warn": "warn"}


def order(place: int) -> str:
    """Write a place in a queue: ``1st``, ``12th``."""
    ending = "th" if 10 < place % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def plural(count: float, noun: str) -> str:
    """Write a count and its noun."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def findings(document: Document) -> list[Part]:
    """Show what is the matter, one sentence each."""
    return [
        Flow((item.text("code"), *item.text("text").split()), _SEVERITIES.get(item.text("severity"), ""), " ")
        for item in document.rows("findings")
    ]


# ---- requests ------------------------------------------------------------------------------------------------------

REQUEST_COLUMNS: Final = (
    Column("Age s", right=True),
    Column("Id", rank=1),
    Column("Phase", rank=2),
    Column("Sent", rank=3),
    Column("Request", least=12),
    Column("Route", least=10, rank=5),
    Column("Client", least=9, rank=4),
    Column("Waited", right=True, rank=6),
    Column("Thread", rank=7, least=6),
    Column("CPU", right=True, rank=8),
    Column("Where it is now", least=15),
)


def queue_places(document: Document) -> dict[str, int]:
    """Number the requests that wait for a thread of each worker, by their ids; who waits longest is the first."""
    queued = [item for item in document.rows("requests") if item.text("phase") == "queued"]
    places: dict[str, int] = {}
    counts: dict[str, int] = {}
    for item in sorted(queued, key=lambda item: -(item.number("queue_seconds") or 0.0)):
        worker = item.text("worker")
        counts[worker] = places[item.text("id")] = counts.get(worker, 0) + 1
    return places


def request_rows(requests: Sequence[Document], places: Mapping[str, int]) -> list[Row]:
    """Show each request on a line, with its place in the queue if it has one, and below it the stack if it is there."""
    return [
        Row(_request_cells(item, places.get(item.text("id"), 0)), _request_style(item), stack_lines(item))
        for item in requests
    ]


def _request_cells(item: Document, place: int) -> tuple[str, ...]:
    in_thread = item.text("phase") == "application"
    return (
        tenths(item.number("age_seconds")),
        item.text("id"),
        item.text("phase"),
        item.text("answered_status") or item.text("status"),
        target(item),
        item.text("route") or "-",
        item.text("client") or item.text("peer") or "-",
        tenths(item.number("queue_seconds")),
        thread_of(item),
        percent(item.number("cpu_share")) if in_thread else "-",
        whereabouts(item, place).rpartition("/")[2] if in_thread else whereabouts(item, place),
    )


def thread_of(item: Document) -> str:
    """Name a thread by its worker and its number, where its name ends in one."""
    name = item.text("thread")
    found = _THREAD_NUMBER.fullmatch(name)
    return f"{item.text('worker') or '1'}-{found[1]}" if found else name or "-"


def target(item: Document) -> str:
    """Write the method and the target; a query is hinted at, for its text may hold secrets."""
    text = f"{item.text('method')} {item.text('target')}".strip()
    return f"{text}?..." if item.is_true("has_query") and "?" not in text else text or "-"


def whereabouts(item: Document, place: int = 0) -> str:
    """Say where a request is: a line of code, a place in the queue, or how much of it has passed."""
    phase = item.text("phase")
    if phase == "queued":
        return f"{order(place)} in the queue" if place else "in the queue"
    if phase == "flush":
        return f"{size(item.number('pending_bytes'))} to send"
    if phase in ("body", "head"):
        wanted = item.number("expected_bytes")
        received = size(item.number("received_bytes"))
        return f"{received} in" if wanted is None else f"{received} of {size(wanted)} in"
    text = item.text("place") or "-"
    unchanged = item.number("unchanged_seconds")
    return f"{text} for {long_time(unchanged)}" if unchanged is not None and unchanged >= 1 else text


def _request_style(item: Document) -> str:
    age = item.number("age_seconds") or 0.0
    if item.is_true("overdue") or (item.text("phase") == "application" and age >= _URGENT_SECONDS):
        return "bad"
    return "warn" if item.text("phase") == "queued" else ""


def stack_lines(item: Document) -> tuple[Line, ...]:
    """Show a stack, one frame a line; the application's own are emphasised, and where it is now is marked."""
    frames = item.rows("stack")
    here = place_of(frames)
    lines = []
    for index, frame in enumerate(frames):
        line = frame.number("line")
        where = frame.text("file") + ("" if line is None else f":{line:.0f}")
        style = "own" if frame.is_true("own") else "dim"
        lines.append(Line(f"{'  >' if index == here else '   '} {where:<40} {frame.text('function')}", style))
        if code := frame.text("code").strip():
            lines.append(Line(f"        {code}", style))
    return tuple(lines)


def place_of(frames: Sequence[Document]) -> int:
    """Find the frame where a request is, the innermost of the application's own; the innermost if it has none."""
    own = [index for index, frame in enumerate(frames) if frame.is_true("own")]
    return own[-1] if own else len(frames) - 1


def _missing(document: Document) -> list[Part]:
    """Say why a server shows no stacks, where it cannot."""
    reason = document.text("stacks_missing")
    return [Line(f"no stacks: {reason}", "dim")] if reason else []


def requests(document: Document, *, is_whole: bool = True) -> list[Part]:
    """Show ``/requests``; only the whole list shows a place in the queue."""
    rows = document.rows("requests")
    total = document.number("total")
    count = len(rows) if total is None else int(total)
    if not count:
        return [Line("no requests in flight")]
    phases = f": {_counted(item.text('phase') or '?' for item in rows)}" if count == len(rows) else ""
    parts: list[Part] = [Line(f"{plural(count, 'request')} in flight{phases}", "head")]
    if document.has("places"):
        parts.append(places(document))
    numbers = queue_places(document) if is_whole else {}
    parts.append(Table(REQUEST_COLUMNS, request_rows(rows, numbers)))
    parts += _missing(document)
    if count > len(rows):
        parts.append(Line(f"the {plural(len(rows), 'oldest request')} of {number(count)}; see --limit", "dim"))
    return parts


def _counted(words: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items())


PLACE_COLUMNS: Final = (
    Column("Count", right=True),
    Column("Oldest s", right=True),
    Column("Place", least=20),
    Column("Requests", least=12, rank=1),
)


def places(document: Document) -> Table:
    """Show where requests are, the place with most of them first."""
    rows = sorted(document.rows("places"), key=lambda item: -(item.number("count") or 0))
    cells = [
        (
            number(item.number("count")),
            tenths(item.number("oldest_seconds")),
            item.text("place"),
            " ".join(item.texts("ids")),
        )
        for item in rows
    ]
    return Table(PLACE_COLUMNS, [Row(row) for row in cells])


def request(item: Document) -> list[Part]:
    """Show ``/requests/ID``: everything about one request."""
    facts = (
        ("id", item.text("id")),
        ("request id", item.text("request_id")),
        ("age", short_time(item.number("age_seconds"))),
        ("waited", short_time(item.number("queue_seconds"))),
        ("route", item.text("route")),
        ("client", item.text("client")),
        ("peer", item.text("peer")),
        ("listener", item.text("listener")),
        ("received", size(item.number("received_bytes"))),
        ("sent", size(item.number("sent_bytes"))),
        ("status", item.text("answered_status") or item.text("status")),
        ("thread", item.text("thread")),
        ("cpu", percent(item.number("cpu_share"))),
        ("limit", short_time(item.number("limit_seconds"))),
    )
    notes = (("overdue", "past its limit"), ("client_gone", "the client has left"))
    return [
        Line(target(item), "head"),
        Line(f"{item.text('phase')} for {short_time(item.number('phase_seconds'))}: {whereabouts(item)}"),
        Flow(tuple(f"{name} {value}" for name, value in facts if value not in ("", "-"))),
        *(Line(note, "bad") for key, note in notes if item.is_true(key)),
        *stack_lines(item),
        *_missing(item),
    ]


# ---- connections and threads ---------------------------------------------------------------------------------------

STATE_COLUMNS: Final = (Column("State"), Column("Count", right=True), Column("Oldest s", right=True))
CLIENT_COLUMNS: Final = (Column("Client", least=9), Column("Connections", right=True))
CONNECTION_COLUMNS: Final = (
    Column("Age s", right=True),
    Column("Id"),
    Column("State"),
    Column("For s", right=True),
    Column("Ends in s", right=True, rank=5),
    Column("Peer", least=12),
    Column("Requests", right=True, rank=3),
    Column("In", right=True, rank=6),
    Column("Out", right=True, rank=4),
    Column("To send", right=True, rank=2),
    Column("Request", least=8, rank=1),
)


def connections(document: Document) -> list[Part]:
    """Show ``/connections``."""
    rows = document.rows("connections")
    total = document.number("total") or 0
    limit = document.number("limit_count")
    of = "" if limit is None else f" of at most {number(limit)}"
    parts: list[Part] = [Line(f"{plural(total, 'connection')}{of}", "head")]
    states = [
        Row((name, number(item.number("count")), tenths(item.number("oldest_seconds"))))
        for name, item in document.below("states").items()
        if item.number("count")
    ]
    clients = [Row((item.text("client") or "-", number(item.number("count")))) for item in document.rows("clients")]
    parts += [Table(STATE_COLUMNS, states)] if states else []
    parts += [Table(CLIENT_COLUMNS, clients)] if clients else []
    if rows:
        parts.append(Table(CONNECTION_COLUMNS, [_connection(item) for item in rows]))
    if total > len(rows):
        parts.append(Line(f"{number(len(rows))} of {plural(total, 'connection')}; see --limit and --offset", "dim"))
    return parts


def _connection(item: Document) -> Row:
    return Row(
        (
            tenths(item.number("age_seconds")),
            item.text("id"),
            item.text("state"),
            tenths(item.number("state_seconds")),
            tenths(item.number("deadline_seconds")),
            item.text("peer") or item.text("client") or "-",
            number(item.number("requests")),
            size(item.number("received_bytes")),
            size(item.number("sent_bytes")),
            size(item.number("pending_bytes")),
            target(item),
        )
    )


THREAD_COLUMNS: Final = (
    Column("Worker", right=True, rank=4),
    Column("Name", least=8),
    Column("Role"),
    Column("Busy s", right=True),
    Column("Request", rank=1),
    Column("CPU", right=True, rank=3),
    Column("Thread id", right=True, rank=5),
    Column("Where it is now", least=18),
)


def threads(document: Document) -> list[Part]:
    """Show ``/threads``."""
    rows = document.rows("threads")
    cells = [
        (
            item.text("worker") or "-",
            item.text("name"),
            item.text("role"),
            tenths(item.number("busy_seconds")),
            item.text("request") or "-",
            percent(item.number("cpu_share")),
            item.text("native_id") or "-",
            item.text("place") or "-",
        )
        for item in rows
    ]
    shown = [Row(row, "", stack_lines(item)) for row, item in zip(cells, rows, strict=True)]
    roles = _counted(item.text("role") or "?" for item in rows)
    title = Line(f"{plural(len(rows), 'thread')}: {roles}", "head")
    return [title, Table(THREAD_COLUMNS, shown), *_missing(document)]


# ---- requests that have ended --------------------------------------------------------------------------------------

ENDED_COLUMNS: Final = (
    Column("At"),
    Column("Id", rank=6),
    Column("Status"),
    Column("Request", least=12),
    Column("Route", least=8, rank=5),
    Column("Total", right=True),
    Column("Queue", right=True, rank=2),
    Column("Application", right=True, rank=3),
    Column("Flush", right=True, rank=4),
    Column("What", least=16),
)


def slow(document: Document, *, with_stacks: bool = False) -> list[Part]:
    """Show ``/slow``."""
    threshold = short_time(document.number("threshold_seconds"))
    parts: list[Part] = []
    for key, title in (("slow", f"slow, over {threshold}"), ("failed", "failed")):
        rows = document.rows(key)
        parts.append(Line(f"{title}: {len(rows)}" if rows else f"{title}: none", "head"))
        if rows:
            parts.append(
                Table(ENDED_COLUMNS, [_ended(item, stack_lines(item) if with_stacks else ()) for item in rows])
            )
    return parts


def _ended(item: Document, below: tuple[Line, ...]) -> Row:
    ended_by = item.text("ended_by")
    what = item.text("exception") or item.text("detail") or item.text("place")
    status = item.text("status") or "-"
    cells = (
        clock(item.text("at")),
        item.text("id"),
        status,
        target(item),
        item.text("route") or "-",
        short_time(item.number("total_seconds")),
        short_time(item.number("queue_seconds")),
        short_time(item.number("application_seconds")),
        short_time(item.number("flush_seconds")),
        what or (ended_by if ended_by != "complete" else "-"),
    )
    return Row(cells, "bad" if status.startswith("5") else "", below)


def clock(at: str) -> str:
    """Take the time of day out of a time stamp."""
    return at.partition("T")[2][:8] or at[:8] or "-"


# ---- figures -------------------------------------------------------------------------------------------------------

PHASE_COLUMNS: Final = (
    Column("Phase"),
    Column("p50", right=True),
    Column("p90", right=True),
    Column("p99", right=True),
    Column("Mean", right=True),
    Column("Count", right=True, rank=1),
)
ROUTE_COLUMNS: Final = (
    Column("Route", least=10),
    Column("Requests", right=True),
    Column("Failed", right=True),
    Column("p50", right=True),
    Column("p90", right=True, rank=2),
    Column("p99", right=True),
    Column("Where the time goes", least=12, rank=1),
)
_PHASES: Final = ("receive", "queue", "application", "flush")
_STATES: Final = ("idle", "head", "body", "queued", "running", "flushing", "lingering")
_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")


def stats(document: Document, encoding: str = "utf-8") -> list[Part]:
    """Show ``/stats``."""
    parts: list[Part] = [title_line(document), *findings(document), *figures(document, encoding), *workers(document)]
    phases = [
        Row(
            (
                name,
                *(short_time(item.number(key)) for key in ("p50", "p90", "p99", "mean")),
                number(item.number("count")),
            )
        )
        for name, item in document.below("phases").items()
    ]
    routes = [_route(item) for item in document.rows("routes")]
    parts += [Table(PHASE_COLUMNS, phases)] if phases else []
    parts += [Table(ROUTE_COLUMNS, routes)] if routes else []
    return parts


def _route(item: Document) -> Row:
    mean = item.below("mean")
    return Row(
        (
            item.text("route") or "(none)",
            number(item.number("requests")),
            number(item.number("failed")),
            *(short_time(item.number(key)) for key in ("p50", "p90", "p99")),
            shares(mean.number),
        ),
        "warn" if item.number("failed") else "",
    )


def shares(seconds: Callable[[str], float | None]) -> str:
    """Say which part of a time each phase has: ``queue 71 %  application 26 %``."""
    known = {name: value for name in _PHASES if (value := seconds(name)) is not None and value > 0}
    whole = sum(known.values())
    parts = [f"{name} {percent(value / whole)}" for name, value in known.items() if value / whole >= 0.01]
    return "  ".join(parts)


def title_line(document: Document) -> Line:
    """Say who answers, how many there are of it, since when, and whether it takes requests."""
    workers = document.rows("workers")
    limit = document.below("threads").number("limit")
    pids = " ".join(item.text("pid") for item in workers)
    threads = "" if not limit else f" x {number(limit / max(1, len(workers)))} threads"
    parts = [
        document.text("server") or "-",
        f"waitressd {document.text('version')}".strip(),
        f"pid {pids}" if len(workers) == 1 else "",
        f"{plural(len(workers), 'worker')}{threads}" if workers else "",
        f"up {long_time(document.number('uptime_seconds'))}" if document.has("uptime_seconds") else "",
        document.text("life"),
        f"{clock(document.text('at'))} UTC" if document.has("at") else "",
    ]
    return Line("  ".join(part for part in parts if part), "head")


def figures(document: Document, encoding: str = "utf-8") -> list[Part]:
    """Show rates, threads, queue, percentiles, connections and the process."""
    rates, threads, queue = document.below("rates"), document.below("threads"), document.below("queue")
    history = document.below("history")
    classes = "  ".join(f"{name} {number(rates.number(name))}" for name in _CLASSES)
    busy, limit = threads.number("busy"), threads.number("limit")
    overdue = f" ({number(threads.number('overdue'))} overdue)" if threads.number("overdue") else ""
    oldest = f" ({short_time(queue.number('oldest_seconds'))})" if queue.number("oldest_seconds") else ""
    now = (
        f"req/s {number(rates.number('requests'))} {sparkline(history.numbers('requests'), 12, encoding)}".rstrip(),
        classes,
        f"refused {number(rates.number('refused'))}" if rates.number("refused") else "",
        f"threads {gauge(busy, limit, 16)} {number(busy)}/{number(limit)}{overdue}",
        f"queue {number(queue.number('depth'))}{oldest} {sparkline(history.numbers('queue'), 8, encoding)}".rstrip(),
    )
    return [Flow(now), Flow((_latency(document), *_process(document)))]


def _latency(document: Document) -> str:
    phases = document.below("phases")
    total = phases.below("total")
    texts = "  ".join(f"{key} {short_time(total.number(key))}" for key in ("p50", "p90", "p99"))
    parts = shares(lambda name: phases.below(name).number("p99"))
    return f"{texts} = {parts}" if parts else texts


def _process(document: Document) -> Iterator[str]:
    process, states = document.below("process"), document.below("connections")
    counts = "  ".join(f"{name} {number(count)}" for name in _STATES if (count := states.total(name)))
    yield f"connections {number(document.total('connections'))}"
    yield counts
    yield f"rss {size(process.number('rss_bytes'))}"
    share = process.number("cpu_share")
    yield f"cpu {'-' if share is None else f'{share:.1f}'}"
