"""What runs, as documents: requests, connections, threads.

Values come from the inspector; here they are chosen, counted and written, in pieces that are short enough for whoever
else wants the interpreter.
"""

import linecache
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.documents import JSON, answer, members, text
from waitressd.insight.inspector import PHASES, Found, Inspector, RequestView, Standings
from waitressd.insight.parameters import Parameters, prefers_text
from waitressd.insight.slices import finish, padded
from waitressd.insight.threads import ThreadView
from waitressd.net import phases, stacks
from waitressd.net.stacks import Stack

MOST_ROWS: Final = 100_000  # that may be asked for at once
SHOWN_CLIENTS: Final = 10  # those with the most connections
CODE_CHARACTERS: Final = 200  # of one line of source

Head = Callable[[], dict[str, Any]]
"""Returns what every document begins with."""


class Listings:
    """The endpoints about what runs. `head` begins each document; `watcher_id` is the thread that watches the lanes."""

    def __init__(self, inspector: Inspector, head: Head, watcher_id: int) -> None:
        self._inspector = inspector
        self._head = head
        self._watcher_id = watcher_id

    def endpoints(self) -> list[Endpoint]:
        """Return them."""
        return [
            Endpoint("/requests", "requests", self.requests),
            Endpoint("/requests/", "requests", self.request, has_children=True, is_slow=True),
            Endpoint("/connections", "connections", self.connections),
            Endpoint("/threads", "threads", self.threads),
        ]

    # -- requests

    def requests(self, query: Query) -> Answer:
        """Answer who is in the server. Raises BadQuestion."""
        given = Parameters(query, "phase", "route", "older", "worker", "stack", "group", "limit")
        phase, route = given.choice("phase", PHASES), given.text("route")
        older, worker = given.seconds("older"), given.whole("worker", 0, MOST_ROWS, 1)
        shows_stack, is_grouped = given.flag("stack"), given.flag("group")
        limit = given.whole("limit", 200, MOST_ROWS)

        def is_wanted(found: Found) -> bool:
            return (
                phase in (None, found.phase)
                and route in (None, found.route)
                and found.age_seconds >= older
                and worker in (0, self._inspector.worker)
            )

        def body() -> Iterator[bytes]:
            yield b"{"
            yield from members(self._head())
            wanted = [found for found in (yield from padded(self._inspector.found())) if is_wanted(found)]
            document: dict[str, Any] = {"total": len(wanted), "stacks_missing": stacks.REFUSAL or None}
            if is_grouped:
                document["places"] = iter(places_of(found.view for found in wanted if found.view is not None))
            views = filter(None, map(self._inspector.view, wanted[:limit]))
            # One that has gone on meanwhile is not among those of its former phase.
            shown = (view for view in views if phase in (None, view.phase))
            document["requests"] = (request_row(view, shows_stack=shows_stack) for view in shown)
            yield from members(document, follows=True)
            yield b"}\n"

        return Answer(200, JSON, body())

    def request(self, query: Query) -> Answer:
        """Answer where one request is, with the source of each line: reads files, so it is for the slow lane."""
        Parameters(query)
        wanted = query.path.removeprefix("/requests/")
        views = finish(self._inspector.requests(), pause=time.sleep)
        view = next((view for view in views if view.id == wanted), None)
        if view is None:
            error = (
                f"There is no request {text(wanted, 60)!r}; it may have ended. /requests lists those that there are."
            )
            return answer({"error": error, "setting": None}, 404)
        row = request_row(view, shows_stack=True)
        if row["stack"] is not None:
            for frame, (file, line) in zip(row["stack"], view.stack.locations(), strict=True):
                frame["code"] = text(linecache.getline(file, line).strip(), CODE_CHARACTERS) or None
        return answer(self._head() | {"stacks_missing": stacks.REFUSAL or None} | row)

    # -- connections

    def connections(self, query: Query) -> Answer:
        """Answer what the connections wait for. Raises BadQuestion."""
        given = Parameters(query, "state", "older", "client", "limit", "offset")
        state, client = given.choice("state", phases.STATES), given.text("client")
        older = given.seconds("older")
        limit, offset = given.whole("limit", 1000, MOST_ROWS), given.whole("offset", 0, MOST_ROWS)

        def body() -> Iterator[bytes]:
            yield b"{"
            yield from members(self._head())
            now = self._inspector.clock()
            standings = yield from padded(self._inspector.standings())
            yield b""
            columns = zip(standings.channels, standings.states, standings.clients, strict=True)
            wanted: Sequence[int] = range(len(standings))
            if not (state is client is None and older == 0.0):
                wanted = [
                    number
                    for number, (channel, each_state, each_client) in enumerate(columns)
                    if state in (None, each_state)
                    and client in (None, each_client)
                    and now - channel.opened_at >= older
                ]
                yield b""
            document = {
                "total": len(wanted),
                "limit_count": self._inspector.connection_limit,
                "states": states_of(standings, now),
                "clients": clients_of(standings),
            }
            yield from members(document, follows=True)
            shown = wanted[offset : offset + limit]
            rows = (self._inspector.connection(standings[number], now)._asdict() for number in shown)
            yield from members({"connections": rows}, follows=True)
            yield b"}\n"

        return Answer(200, JSON, body())

    # -- threads

    def threads(self, query: Query) -> Answer:
        """Answer which threads there are, as JSON or as a traceback of each. Raises BadQuestion."""
        given = Parameters(query, "stack")
        shows_stack = given.flag("stack")
        if prefers_text(query.accept):
            return Answer(200, "text/plain; charset=utf-8", self._tracebacks())

        def body() -> Iterator[bytes]:
            yield b"{"
            yield from members(self._head())
            views = yield from padded(self._inspector.threads(self._watcher_id))
            rows = (thread_row(view, shows_stack=shows_stack) for view in views)
            yield from members({"stacks_missing": stacks.REFUSAL or None, "threads": rows}, follows=True)
            yield b"}\n"

        return Answer(200, JSON, body())

    def _tracebacks(self) -> Iterator[bytes]:
        for view in (yield from padded(self._inspector.threads(self._watcher_id))):
            yield traceback_of(view).encode("utf-8", "backslashreplace")


def request_row(view: RequestView, *, shows_stack: bool) -> dict[str, Any]:
    """Return a request as it is written."""
    return _row_of(view, shows_stack=shows_stack)


def thread_row(view: ThreadView, *, shows_stack: bool) -> dict[str, Any]:
    """Return a thread as it is written."""
    return _row_of(view, shows_stack=shows_stack)


def _row_of(view: RequestView | ThreadView, *, shows_stack: bool) -> dict[str, Any]:
    row = view._asdict()
    row["stack"] = stack_rows(view.stack) if shows_stack and view.stack else None
    return row


def stack_rows(stack: Stack) -> list[dict[str, Any]]:
    """Return a stack as it is written, the innermost call last."""
    return [
        {"file": text(frame.file), "line": frame.line, "function": text(frame.function), "own": frame.own}
        for frame in stack.frames
    ]


def places_of(views: Iterable[RequestView]) -> list[dict[str, Any]]:
    """Group requests by the place of their threads, the place with the most of them first; without one they are out."""
    groups: dict[str, list[RequestView]] = {}
    for view in views:
        if view.place is not None:
            groups.setdefault(view.place, []).append(view)
    return [
        {
            "place": place,
            "count": len(group),
            "oldest_seconds": round(max(view.phase_seconds for view in group), 4),
            "ids": [view.id for view in group],
        }
        for place, group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def states_of(standings: Standings, now: float) -> dict[str, dict[str, Any]]:
    """Count connections by state, with how long the oldest has been in it. Every state is there."""
    counts = Counter(standings.states)
    rows: dict[str, dict[str, Any]] = {state: {"count": 0, "oldest_seconds": None} for state in phases.STATES}
    for state, count in counts.items():
        pairs = zip(standings.states, standings.since, strict=True)
        oldest = min((since for each, since in pairs if each == state and since is not None), default=now)
        rows[state] = {"count": count, "oldest_seconds": round(max(0.0, now - oldest), 4)}
    return rows


def clients_of(standings: Standings) -> list[dict[str, Any]]:
    """Name the clients with the most connections."""
    counts = Counter(standings.clients)
    return [{"client": client, "count": count} for client, count in counts.most_common(SHOWN_CLIENTS)]


def traceback_of(view: ThreadView) -> str:
    """Write a thread and its stack as a traceback, without the source: no file is read for it."""
    what = [view.role, f"native id {view.native_id}"]
    if view.request is not None:
        what.append(f"request {view.request}")
    if view.busy_seconds is not None:
        what.append(f"busy for {view.busy_seconds:.1f} s")
    lines = [f"Thread {view.name} ({', '.join(what)}):"]
    for frame, (file, line) in zip(view.stack.frames, view.stack.locations(), strict=True):
        lines.append(f'  File "{file}", line {line}, in {frame.function}')
    if not view.stack:
        lines.append(f"  {view.stack.missing}")
    return "\n".join(lines) + "\n\n"
